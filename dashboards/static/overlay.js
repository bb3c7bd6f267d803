/**
 * Draws the tracks of a result over the picture they belong to.
 *
 * The canvas lies on the `<video>` and is as large in device pixels as the video is on the screen;
 * the picture keeps its aspect (`object-fit: contain`), so source pixels map to the canvas by one
 * scale and two margins. Nothing is drawn while the tab is hidden.
 */
import { maskPath } from "./masks.js";
import { trackColour } from "./palette.js";

const FILL_ALPHA = 0.34;
const LINE_PX = 2;
const FONT = "600 12px system-ui, sans-serif";
const CHIP_HEIGHT_PX = 20;
/** A picture narrower than this has room for the name only. */
const NARROW_PX = 480;
/** No picture for this long: draw on black, so that masks are seen even where video cannot pass. */
const VIDEO_GONE_MS = 700;
const DASHED = new Set(["tentative", "occluded"]);

/** Where a picture of `width` x `height` lies in a box, in the box's own unit. */
export function fit(width, height, boxWidth, boxHeight) {
  const scale = Math.min(boxWidth / width, boxHeight / height);
  return { scale, left: (boxWidth - width * scale) / 2, top: (boxHeight - height * scale) / 2 };
}

export class Overlay {
  #video;
  #canvas;
  #matcher;
  #onShown;
  #shown = { result: null, how: "newest" };
  #paths = new WeakMap();
  #lastVideo_ms = -Infinity;
  #running = true;
  /** What a person wants to see. */
  show = { masks: true, labels: true, boxes: false };

  /** @param {(shown: {result, how: string}) => void} onShown after each drawing */
  constructor(video, canvas, matcher, onShown) {
    [this.#video, this.#canvas, this.#matcher, this.#onShown] = [video, canvas, matcher, onShown];
    new ResizeObserver(() => this.redraw()).observe(canvas);
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(this.#onPicture);
    requestAnimationFrame(this.#onTick);
  }

  /** Forgets the picture of the stream before. */
  clear() {
    this.#shown = { result: null, how: "newest" };
    this.redraw();
  }

  redraw() {
    if (!document.hidden) this.#draw();
  }

  /** A new picture is about to be on the screen. */
  #onPicture = (now_ms, metadata) => {
    this.#video.requestVideoFrameCallback(this.#onPicture);
    this.#lastVideo_ms = now_ms;
    if (document.hidden) return;
    this.#shown = this.#matcher.match(metadata, performance.timeOrigin / 1000);
    this.#draw();
  };

  /** Without pictures (or without their callback), results come at their own pace. */
  #onTick = (now_ms) => {
    requestAnimationFrame(this.#onTick);
    const newest = this.#matcher.newest();
    if (document.hidden || now_ms - this.#lastVideo_ms < VIDEO_GONE_MS || newest === this.#shown.result) return;
    this.#shown = { result: newest, how: "newest" };
    this.#draw();
  };

  #draw() {
    const context = this.#resized();
    const { result } = this.#shown;
    if (result) {
      const { scale, left, top } = fit(result.width, result.height, this.#canvas.width, this.#canvas.height);
      context.setTransform(scale, 0, 0, scale, left, top);
      const visible = result.tracks.filter((track) => track.mask);
      if (this.show.masks) for (const track of visible) this.#drawMask(context, track, scale);
      if (this.show.boxes) for (const track of visible) drawBox(context, track, scale);
      if (this.show.labels) this.#drawLabels(context, visible, { scale, left, top });
    }
    this.#onShown(this.#shown);
  }

  /** The canvas at the screen's own resolution, empty. */
  #resized() {
    const width = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    const height = Math.round(this.#canvas.clientHeight * devicePixelRatio);
    const context = this.#canvas.getContext("2d");
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  #path(track) {
    let path = this.#paths.get(track);
    if (!path) {
      path = maskPath(track.mask);
      this.#paths.set(track, path);
    }
    return path;
  }

  #drawMask(context, track, scale) {
    const { line } = trackColour(track.track_id);
    const path = this.#path(track);
    context.globalAlpha = FILL_ALPHA;
    context.fillStyle = line;
    context.fill(path, "evenodd");
    context.globalAlpha = 1;
    outline(context, scale, line, DASHED.has(track.state), () => context.stroke(path));
  }

  #drawLabels(context, tracks, { scale, left, top }) {
    const dpr = devicePixelRatio;
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.font = FONT;
    const room = { width: this.#canvas.width / dpr, height: this.#canvas.height / dpr };
    const chips = tracks.map((track) => {
      const [x0, y0] = track.box_px;
      const text = label(track, room.width < NARROW_PX);
      const width = context.measureText(text).width + 12;
      return { track, text, width, x: (left + x0 * scale) / dpr, y: (top + y0 * scale) / dpr - CHIP_HEIGHT_PX - 3 };
    });
    for (const chip of placed(chips, room)) drawChip(context, chip);
  }
}

function label(track, short) {
  const name = `${track.phrase} · #${track.track_id}`;
  return short ? name : `${name} · ${track.state} · ${track.score.toFixed(2)}`;
}

/** Chips inside the picture and off each other: from the top down, one that would cover another moves below it. */
export function placed(chips, room) {
  const done = [];
  for (const chip of [...chips].sort((a, b) => a.y - b.y)) {
    const x = Math.max(0, Math.min(chip.x, room.width - chip.width));
    let y = Math.max(0, Math.min(chip.y, room.height - CHIP_HEIGHT_PX));
    for (const other of done) {
      const beside = x >= other.x + other.width || other.x >= x + chip.width;
      if (!beside && Math.abs(y - other.y) < CHIP_HEIGHT_PX) y = other.y + CHIP_HEIGHT_PX + 2;
    }
    done.push({ ...chip, x, y });
  }
  return done;
}

/** A coloured line on a darker, wider one: seen on any picture. */
function outline(context, scale, colour, dashed, stroke) {
  const unit = devicePixelRatio / scale;
  context.lineJoin = "round";
  context.setLineDash([]);
  context.lineWidth = (LINE_PX + 2) * unit;
  context.strokeStyle = "rgb(0 0 0 / 45%)";
  stroke();
  context.setLineDash(dashed ? [6 * unit, 5 * unit] : []);
  context.lineWidth = LINE_PX * unit;
  context.strokeStyle = colour;
  stroke();
  context.setLineDash([]);
}

function drawBox(context, track, scale) {
  const [x0, y0, x1, y1] = track.box_px;
  const { line } = trackColour(track.track_id);
  outline(context, scale, line, DASHED.has(track.state), () => context.strokeRect(x0, y0, x1 - x0, y1 - y0));
}

function drawChip(context, { track, text, width, x, y }) {
  const { line, ink } = trackColour(track.track_id);
  context.fillStyle = line;
  context.beginPath();
  context.roundRect(x, y, width, CHIP_HEIGHT_PX, 5);
  context.fill();
  context.fillStyle = ink;
  context.textBaseline = "middle";
  context.fillText(text, x + 6, y + CHIP_HEIGHT_PX / 2 + 0.5);
}
