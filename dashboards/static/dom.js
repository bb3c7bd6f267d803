/** The few helpers that every panel uses. Text only ever enters the page by `textContent`. */

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}.`);
  return found;
}

/** A copy of the one element in `<template id="...">`. */
export function stamp(templateId) {
  return byId(templateId).content.firstElementChild.cloneNode(true);
}

/** Writes only what changed: a rewritten text node would lose a selection and wake screen readers. */
export function setText(element, text) {
  const value = text ?? "";
  if (element.textContent !== value) element.textContent = value;
}

/** @param {string} name of the child's `data-part` */
export function part(element, name) {
  return element.querySelector(`[data-part="${name}"]`);
}

/**
 * Makes the children of `list` stand for `items`, keeping the elements (and so the focus) of those that stay.
 *
 * @param {(item) => string} key
 * @param {(item) => HTMLElement} create
 * @param {(element, item) => void} update
 */
export function reconcile(list, items, key, create, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let place = null;
  for (const item of items) {
    const id = key(item);
    let element = old.get(id);
    old.delete(id);
    if (!element) {
      element = create(item);
      element.dataset.key = id;
    }
    const wanted = place ? place.nextSibling : list.firstChild;
    if (element !== wanted) list.insertBefore(element, wanted);
    update(element, item);
    place = element;
  }
  for (const gone of old.values()) gone.remove();
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
}

/** Shows `<dialog>` and waits. @returns {Promise<string>} its return value, "" where it was dismissed */
export function ask(dialog) {
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
    dialog.showModal();
  });
}
