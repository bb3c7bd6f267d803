/**
 * The token of the API: from `#token=…` in the address, or from a person by the dialog.
 *
 * It lives in this tab's sessionStorage, and leaves the address bar (and so the history) at once.
 */
import { ask, byId } from "./dom.js";

const KEY = "saccade.token";
let asking = null;

/** Takes the token out of the address, keeping the rest of the fragment. */
export function takeTokenFromAddress() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("token");
  if (given === null) return;
  fragment.delete("token");
  if (given) sessionStorage.setItem(KEY, given);
  const rest = fragment.toString();
  history.replaceState(null, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
}

export function token() {
  return sessionStorage.getItem(KEY);
}

/**
 * Asks a person, once however many requests wait for it.
 * @returns {Promise<boolean>} whether there is a new token to try
 */
export function askForToken() {
  asking ??= show().finally(() => (asking = null));
  return asking;
}

async function show() {
  const field = byId("token-field");
  field.value = "";
  if ((await ask(byId("token-dialog"))) !== "ok" || !field.value.trim()) return false;
  sessionStorage.setItem(KEY, field.value.trim());
  field.value = "";
  return true;
}
