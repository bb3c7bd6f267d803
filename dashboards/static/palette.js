/**
 * One colour per track for its whole life.
 *
 * Okabe and Ito's colours, which people with the common colour blindnesses tell apart (Okabe & Ito,
 * "Color Universal Design", 2008), in the order that keeps neighbours furthest apart. Colour is
 * never the only sign: every object also carries its number.
 */
const COLOURS = [
  { line: "#56b4e9", ink: "#06131c" },
  { line: "#e69f00", ink: "#1a1200" },
  { line: "#cc79a7", ink: "#1c0814" },
  { line: "#f0e442", ink: "#1a1800" },
  { line: "#d55e00", ink: "#160900" },
  { line: "#00b386", ink: "#00150f" },
  { line: "#f4f4f4", ink: "#111111" },
  { line: "#3d8fd1", ink: "#00101c" },
];

/** @param {number} trackId from 1 up @returns {{line: string, ink: string}} */
export function trackColour(trackId) {
  return COLOURS[(Math.max(1, trackId) - 1) % COLOURS.length];
}
