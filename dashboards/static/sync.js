/**
 * Which result belongs to the picture on the screen.
 *
 * The server stamps each picture of the WHEP track with its media time on the 90 kHz RTP clock, moved by
 * up to 63 ticks (0.7 ms) that follow from the frame's index, plus an origin that is drawn by lot for each session
 * (`rtp_ticks` in streaming/webrtc/whep.py). The browser shows the stamp (`requestVideoFrameCallback`,
 * `metadata.rtpTimestamp`), and every result has media time and index. So one number is unknown, the origin, and it is
 * voted for: each recent picture and each recent result propose one together, whichever of the two came later.
 * Because the moves make even frame rates uneven, only the true origin is proposed again and again.
 *
 * Exact: once the origin is known, a picture gets the result that was computed on it. Not exact: (1) a picture
 * that the tracker dropped has no result, it gets its neighbour's; (2) before the vote is decided, or where the
 * browser or the server gives no such stamps, `metadata.receiveTime` chooses, assuming that the way here took
 * about SEND_S: good to a frame or two on a quiet network; (3) without that, the newest result is drawn.
 *
 * A picture may be here before its result: tracking takes time. `hold_s` says how long pictures have to wait so
 * that their masks are there with them.
 */

const CLOCK_HZ = 90_000;
const WRAP = 2 ** 32;
/** Seconds are rounded to ticks on both sides. */
const TOLERANCE_TICKS = 2;
const KEEP_S = 1.5;
const KEEP_RESULTS = 120;
/** Half a second of pictures: whose result is later than that, its masks are not waited for anyway. */
const KEEP_STAMPS = 16;
const KEEP_ORIGINS = 256;
const VOTES_TO_WIN = 6;
/** The winner's share that the second may not reach: about equal votes decide nothing. */
const CLEAR = 0.75;
const DECAY = 0.97;
/** Usual time from a capture to its arrival here: decode, encode, loopback or LAN. */
const SEND_S = 0.02;
/** Waiting for the masks may not make the picture later than this. */
const MAX_HOLD_S = 0.3;
const KEEP_HOLDS = 90;
/** A picture further than this from every result is better shown without masks. */
const FAR_S = 0.5;

/** As `rtp_ticks` on the server. Squares, because their differences differ: each two frames are moved apart otherwise. */
const moved = (index) => Math.imul(Math.imul(index, index), 2654435761) >>> 26;
const ticks = ({ pts_s, frame_index }) => Math.round(pts_s * CLOCK_HZ) + moved(frame_index);
const wrap = (value) => ((value % WRAP) + WRAP) % WRAP;
const apart = (a, b) => Math.min(wrap(a - b), wrap(b - a));

export class FrameMatcher {
  #results = [];
  #stamps = [];
  #origins = [];
  /** Page clock minus server clock, seconds, too large by the fastest way of a result to us. */
  #clockOffset_s = Infinity;
  #holds_s = [];

  /** A new WHEP session draws a new origin. */
  restart() {
    this.#origins = [];
    this.#stamps = [];
  }

  clear() {
    this.restart();
    this.#results = [];
    this.#holds_s = [];
    this.#clockOffset_s = Infinity;
  }

  /** How long a picture should wait after its arrival, seconds: enough for nine results of ten. */
  get hold_s() {
    const sorted = [...this.#holds_s].sort((a, b) => a - b);
    return Math.min(MAX_HOLD_S, Math.max(0, sorted[Math.floor(0.9 * sorted.length)] ?? 0));
  }

  /** @param result `saccade.frame/1` @param {number} arrived_s Unix time of this page */
  add(result, arrived_s) {
    this.#clockOffset_s = Math.min(this.#clockOffset_s + 1e-4, arrived_s - result.published_s);
    this.#results.push({ ...result, arrived_s });
    const oldest_s = result.captured_s - KEEP_S;
    while (this.#results.length > KEEP_RESULTS || this.#results[0].captured_s < oldest_s) this.#results.shift();
    for (const stamp of this.#stamps) this.#propose(wrap(ticks(result) - stamp));
    this.#rank();
  }

  /** @returns the newest result, or null */
  newest() {
    return this.#results.at(-1) ?? null;
  }

  /**
   * @param {{rtpTimestamp?: number, receiveTime?: number, presentationTime?: number}} metadata of the picture shown
   * @param {number} timeOrigin_s Unix time of the page's time 0, from which the metadata's milliseconds count
   * @returns {{result: object | null, how: "exact" | "estimated" | "newest"}}
   */
  match(metadata, timeOrigin_s) {
    const guess_s = this.#receivedCapture(metadata, timeOrigin_s);
    const origin = metadata.rtpTimestamp === undefined ? null : this.#vote(metadata.rtpTimestamp);
    if (origin !== null) {
      const match = this.#byTicks(wrap(metadata.rtpTimestamp + origin));
      this.#learnHold(metadata, match, timeOrigin_s);
      return match;
    }
    if (guess_s === null) return { result: this.newest(), how: "newest" };
    return { result: this.#nearest((result) => Math.abs(result.captured_s - guess_s)), how: "estimated" };
  }

  #receivedCapture({ receiveTime }, timeOrigin_s) {
    if (receiveTime === undefined || !Number.isFinite(this.#clockOffset_s)) return null;
    return timeOrigin_s + receiveTime / 1000 - this.#clockOffset_s - SEND_S;
  }

  #learnHold({ receiveTime, presentationTime }, { result, how }, timeOrigin_s) {
    if (receiveTime === undefined || presentationTime === undefined) return;
    const waited_s = (presentationTime - receiveTime) / 1000;
    // Its result is not here yet: it would have had to wait longer than it did.
    const needed_s = how === "exact" ? result.arrived_s - timeOrigin_s - receiveTime / 1000 : waited_s + 0.03;
    this.#holds_s.push(needed_s);
    if (this.#holds_s.length > KEEP_HOLDS) this.#holds_s.shift();
  }

  /** @returns {number | null} the elected origin */
  #vote(stamp) {
    for (const candidate of this.#origins) candidate.votes *= DECAY;
    for (const result of this.#results) this.#propose(wrap(ticks(result) - stamp));
    this.#stamps.push(stamp);
    if (this.#stamps.length > KEEP_STAMPS) this.#stamps.shift();
    this.#rank();
    const [best, second] = this.#origins;
    return best && best.votes >= VOTES_TO_WIN && best.votes * CLEAR > (second?.votes ?? 0) ? best.origin : null;
  }

  #propose(origin) {
    const known = this.#origins.find((candidate) => apart(candidate.origin, origin) <= TOLERANCE_TICKS);
    if (known) known.votes += 1;
    else this.#origins.push({ origin, votes: 1 });
  }

  #rank() {
    this.#origins.sort((a, b) => b.votes - a.votes);
    this.#origins.length = Math.min(this.#origins.length, KEEP_ORIGINS);
  }

  #byTicks(wanted) {
    const miss_s = (result) => apart(wrap(ticks(result)), wanted) / CLOCK_HZ;
    const result = this.#nearest(miss_s);
    const own = result !== null && miss_s(result) * CLOCK_HZ <= TOLERANCE_TICKS;
    return { result, how: own ? "exact" : "estimated" };
  }

  #nearest(miss_s) {
    let best = null;
    let least = FAR_S;
    for (const result of this.#results) {
      const miss = miss_s(result);
      if (miss <= least) [best, least] = [result, miss];
    }
    return best;
  }
}
