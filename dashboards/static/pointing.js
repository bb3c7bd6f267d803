/** A click or a drawn box on the picture: what a question is about. Shares of the picture, 0..1. */
import { fit } from "./overlay.js";

/** A shorter way than this between press and release is a click. */
const CLICK_PX = 6;

/**
 * From where a person pressed to where they released, in pixels of the stage.
 *
 * @param {{x: number, y: number}} from @param {{x: number, y: number}} to
 * @param {{width: number, height: number}} picture @param {{width: number, height: number}} stage
 * @returns {number[] | null} [x0, y0, x1, y1]; both corners are one for a click; null beside the picture
 */
export function pointed(from, to, picture, stage) {
  const { scale, left, top } = fit(picture.width, picture.height, stage.width, stage.height);
  const share = ({ x, y }) => [(x - left) / (scale * picture.width), (y - top) / (scale * picture.height)];
  const [first, last] = [share(from), share(to)];
  if (first.some((value) => value < 0 || value > 1)) return null;
  if (Math.hypot(to.x - from.x, to.y - from.y) < CLICK_PX) return [...first, ...first];
  const inside = last.map((value) => Math.min(1, Math.max(0, value)));
  const low = first.map((value, axis) => Math.min(value, inside[axis]));
  const high = first.map((value, axis) => Math.max(value, inside[axis]));
  return [...low, ...high];
}

/**
 * Listens to a stage.
 *
 * @param {HTMLElement} stage
 * @param {() => {width: number, height: number} | null} picture its size, or null while there is none
 * @param {(region: number[]) => void} onPointed
 */
export function listen(stage, picture, onPointed) {
  let from = null;
  const place = ({ clientX, clientY }) => {
    const { left, top } = stage.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };
  stage.addEventListener("pointerdown", (event) => {
    from = event.button === 0 && !event.target.closest("fieldset") ? place(event) : null;
  });
  // A box may be drawn beyond the picture's edge.
  window.addEventListener("pointerup", (event) => {
    const size = picture();
    const region = from && size && pointed(from, place(event), size, { width: stage.clientWidth, height: stage.clientHeight });
    from = null;
    if (region) onPointed(region);
  });
  window.addEventListener("pointercancel", () => (from = null));
}
