/**
 * Masks as they come over the wire, and as they are drawn.
 *
 * On the wire: COCO compressed run lengths, column-major, background first (pycocotools,
 * `maskApi.c` rleFrString). Drawn: closed outlines in source pixels, so that an outline stays two
 * screen pixels wide and crisp at every size and device pixel ratio.
 */

const MAX_PIXELS = 4096 * 4096;

/**
 * @param {{size: [number, number], counts: string}} rle size is [height, width] in pixels
 * @returns {number[]} run lengths, background first; they add up to height * width
 * @throws {RangeError} where the text is not a mask of that size
 */
export function runLengths({ size: [height, width], counts: text }) {
  const total = height * width;
  if (!Number.isInteger(total) || total <= 0 || total > MAX_PIXELS) {
    throw new RangeError(`A mask cannot be ${height} x ${width}.`);
  }
  const runs = [];
  let sum = 0;
  for (let place = 0; place < text.length; ) {
    let [value, next] = signedNumber(text, place);
    place = next;
    // From the fourth run on, the difference to the run before the last is stored.
    if (runs.length > 2) value += runs[runs.length - 2];
    if (value < 0 || (sum += value) > total) throw new RangeError("The runs do not fit the mask.");
    runs.push(value);
  }
  if (sum !== total) throw new RangeError("The runs do not fill the mask.");
  return runs;
}

/** Five bits a character, least first, sign in the last one. */
function signedNumber(text, place) {
  let value = 0;
  for (let shift = 0; shift < 30; shift += 5) {
    const bits = text.charCodeAt(place++) - 48;
    if (!(bits >= 0 && bits < 64)) throw new RangeError("Not a run-length text.");
    value |= (bits & 31) << shift;
    if (!(bits & 32)) return [bits & 16 ? value | (-1 << (shift + 5)) : value, place];
  }
  throw new RangeError("A run length is too long.");
}

/**
 * @returns {{bits: Uint8Array, box: [number, number, number, number] | null}} bits column-major
 *   (pixel x, y at x * height + y); box x0, y0, x1, y1 exclusive, null where the mask is empty
 */
export function decodeMask(rle) {
  const [height, width] = rle.size;
  const bits = new Uint8Array(height * width);
  let box = null;
  let at = 0;
  runLengths(rle).forEach((run, number) => {
    if (number % 2 === 1 && run > 0) {
      bits.fill(1, at, at + run);
      box = grow(box, at, at + run - 1, height);
    }
    at += run;
  });
  return { bits, box };
}

function grow(box, first, last, height) {
  const x0 = Math.floor(first / height);
  const x1 = Math.floor(last / height);
  const oneColumn = x0 === x1;
  const y0 = oneColumn ? first % height : 0;
  const y1 = oneColumn ? (last % height) + 1 : height;
  if (!box) return [x0, y0, x1 + 1, y1];
  return [Math.min(box[0], x0), Math.min(box[1], y0), Math.max(box[2], x1 + 1), Math.max(box[3], y1)];
}

// Right, down, left, up; and for each, the pixel to the left and to the right of the way ahead,
// seen from the corner (x, y) between the pixels (x-1, y-1) and (x, y).
const STEP = [[1, 0], [0, 1], [-1, 0], [0, -1]];
const AHEAD_LEFT = [[0, -1], [0, 0], [-1, 0], [-1, -1]];
const AHEAD_RIGHT = [[0, 0], [-1, 0], [-1, -1], [0, -1]];

/**
 * Closed outlines of a mask, holes included (fill with "evenodd").
 *
 * Follows the cracks between pixels with the object on the right hand; the middles of the cracks
 * are the corners of the outline, which cuts every stair by half a pixel and no more.
 *
 * @returns {number[][]} each outline as x0, y0, x1, y1, … in source pixels
 */
export function outlines(rle) {
  const [height, width] = rle.size;
  const { bits, box } = decodeMask(rle);
  if (!box) return [];
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && bits[x * height + y] === 1;
  const seen = new Uint8Array(bits.length);
  const found = [];
  for (let x = box[0]; x < box[2]; x++) {
    for (let y = box[1]; y < box[3]; y++) {
      if (!seen[x * height + y] && inside(x, y) && !inside(x, y - 1)) {
        found.push(follow(x, y, inside, (px, py) => (seen[px * height + py] = 1)));
      }
    }
  }
  return found;
}

/** One round along the cracks, from the top edge of pixel (x, y). */
function follow(startX, startY, inside, mark) {
  const points = [];
  let x = startX;
  let y = startY;
  let way = 0;
  let before = -1;
  do {
    if (way === 0) mark(x, y);
    const [dx, dy] = STEP[way];
    // A straight run needs its two ends only.
    if (way === before && points.length >= 4 && straight(points, x + dx / 2, y + dy / 2)) points.length -= 2;
    points.push(x + dx / 2, y + dy / 2);
    before = way;
    x += dx;
    y += dy;
    way = turn(x, y, way, inside);
  } while (x !== startX || y !== startY || way !== 0);
  return points;
}

function straight(points, x, y) {
  const n = points.length;
  const ax = points[n - 2] - points[n - 4];
  const ay = points[n - 1] - points[n - 3];
  return ax * (y - points[n - 1]) === ay * (x - points[n - 2]);
}

function turn(x, y, way, inside) {
  const [lx, ly] = AHEAD_LEFT[way];
  const [rx, ry] = AHEAD_RIGHT[way];
  if (!inside(x + rx, y + ry)) return (way + 1) % 4;
  return inside(x + lx, y + ly) ? (way + 3) % 4 : way;
}

/** @returns {Path2D} the outlines of a mask as one path in source pixels */
export function maskPath(rle) {
  const path = new Path2D();
  for (const points of outlines(rle)) {
    path.moveTo(points[0], points[1]);
    for (let i = 2; i < points.length; i += 2) path.lineTo(points[i], points[i + 1]);
    path.closePath();
  }
  return path;
}
