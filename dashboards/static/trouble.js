/** The one place where the page says that something a person asked for did not work. */
import { Problem } from "./api.js";
import { byId, part, setText } from "./dom.js";

/** @param {Problem | Error} problem */
export function complain(problem) {
  const box = byId("trouble");
  const told = problem instanceof Problem ? problem : { title: "This did not work.", detail: problem.message };
  setText(part(box, "title"), told.title);
  setText(part(box, "detail"), told.detail);
  setText(part(box, "remedy"), told.remedy);
  box.hidden = false;
}

export function calm() {
  byId("trouble").hidden = true;
}

/**
 * Does what a person asked for; a failure is shown, never thrown away.
 * @returns {Promise<boolean>} whether it worked
 */
export async function attempt(action) {
  try {
    await action();
    calm();
    return true;
  } catch (problem) {
    complain(problem);
    return false;
  }
}

byId("trouble-close").addEventListener("click", calm);
