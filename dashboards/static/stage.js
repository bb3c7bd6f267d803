/** The chosen stream: its pictures by WHEP, its results by the feed, both for as long as it is chosen. */
import { byId, setText } from "./dom.js";
import { follow } from "./feed.js";
import { FrameMatcher } from "./sync.js";
import { fit, Overlay } from "./overlay.js";
import { listen } from "./pointing.js";
import { play } from "./whep.js";

/** Results as recent as this mean that the camera is alive, so pictures are due. */
const RECENT_S = 2;

export class Stage {
  #matcher = new FrameMatcher();
  #overlay;
  #leave = new AbortController();
  #arrived_s = -Infinity;
  #exactShare = 0;
  #why = "";
  #onResult;
  #onNote;
  #onFeed;
  /** The newest result, or null. */
  result = null;
  /** How the drawn masks usually find their picture: "exact", "estimated", "newest", or null where none is drawn. */
  sync = null;

  /**
   * @param {(result: object) => void} onResult
   * @param {(message: object) => void} onNote events, answers and errors
   * @param {(state: string) => void} onFeed
   */
  constructor(onResult, onNote, onFeed) {
    [this.#onResult, this.#onNote, this.#onFeed] = [onResult, onNote, onFeed];
    this.#overlay = new Overlay(byId("video"), byId("overlay"), this.#matcher, (shown) => this.#shown(shown));
    for (const what of ["masks", "labels", "boxes"]) this.#toggle(what);
  }

  #toggle(what) {
    const box = byId(`show-${what}`);
    const apply = () => {
      this.#overlay.show[what] = box.checked;
      this.#overlay.redraw();
    };
    box.addEventListener("change", apply);
    // A browser may restore boxes from before a reload.
    apply();
  }

  /** @param {string | null} streamId */
  choose(streamId) {
    this.#leave.abort();
    this.#leave = new AbortController();
    this.#matcher.clear();
    this.result = this.sync = null;
    this.#arrived_s = -Infinity;
    this.#overlay.clear();
    byId("video").srcObject = null;
    setText(byId("stage-name"), streamId ?? "");
    this.#picture("none", streamId ? "Connecting…" : "Choose a stream, or add one.");
    this.describe(undefined);
    if (streamId === null) return;
    const { signal } = this.#leave;
    follow(streamId, (message, arrived_s) => this.#deliver(message, arrived_s), this.#onFeed, signal);
    const wishes = {
      expected: () => this.#alive(),
      hold_s: () => this.#matcher.hold_s,
      report: (state, why) => this.#video(state, why, signal),
    };
    play(streamId, byId("video"), wishes, signal);
  }

  /** @param {(region: number[]) => void} deliver a click or a box on the picture, as shares of it */
  onPointed(deliver) {
    listen(byId("stage"), () => this.result, (region) => {
      this.#mark(region);
      deliver(region);
    });
  }

  /** Where a person pointed, over the picture as it lies on the stage now. */
  #mark([x0, y0, x1, y1]) {
    const { width, height } = this.result;
    const { clientWidth, clientHeight } = byId("stage");
    const { scale, left, top } = fit(width, height, clientWidth, clientHeight);
    const box = { left: left + x0 * width * scale, top: top + y0 * height * scale };
    const size = { width: (x1 - x0) * width * scale, height: (y1 - y0) * height * scale };
    for (const [name, px] of Object.entries({ ...box, ...size })) byId("pointed-mark").style.setProperty(name, `${px}px`);
  }

  #alive() {
    return (performance.timeOrigin + performance.now()) / 1000 - this.#arrived_s < RECENT_S;
  }

  #deliver(message, arrived_s) {
    if (!message.schema?.startsWith("saccade.frame/")) {
      this.#onNote(message);
      return;
    }
    this.#arrived_s = arrived_s;
    this.result = message;
    this.#matcher.add(message, arrived_s);
    this.#onResult(message);
  }

  #video(state, why, signal) {
    if (signal.aborted) return;
    if (state === "connecting") this.#matcher.restart();
    if (state === "playing") this.#picture("playing", "");
    else if (state === "waiting") this.#picture("none", why);
  }

  /** Single pictures without a result of their own are no reason to call the masks inexact. */
  #usual(how) {
    if (how === "newest") return how;
    return this.#exactShare > 0.7 ? "exact" : "estimated";
  }

  #picture(state, why) {
    byId("stage").dataset.video = state;
    this.#why = why;
  }

  /** Says on the picture why it is not a live one. @param {object | undefined} stream its status */
  describe(stream) {
    const isLive = !stream || stream.state === "live";
    setText(byId("stage-note"), isLive ? this.#why : stream.reason || `The stream is ${stream.state}.`);
  }

  /** What is on the screen, for those who look at the page by program as well. */
  #shown({ result, how }) {
    this.#exactShare += 0.05 * ((how === "exact" ? 1 : 0) - this.#exactShare);
    this.sync = result ? this.#usual(how) : null;
    const { dataset } = byId("overlay");
    dataset.sync = result ? how : "";
    dataset.frame = result ? String(result.frame_index) : "";
    byId("stage").dataset.drawn = String(result !== null);
  }
}
