/**
 * Which result belongs to the picture on the screen.
 *
 * The server stamps each picture of the WHEP track with its capture time on the 90 kHz RTP clock,
 * plus an origin that is drawn by lot for each session. The browser shows that stamp
 * (`requestVideoFrameCallback`, `metadata.rtpTimestamp`), and the feed tells the capture time of each
 * result. So one number is unknown, the origin, and it is voted for: each shown picture proposes
 * one origin per recent result, and only the true one is proposed again and again.
 *
 * Exact: once the origin is known, a picture gets the result that was computed on it, to the tick.
 * Not exact: (1) capture times on a perfectly even grid make origins one period apart score alike;
 * then `metadata.receiveTime` decides between them, which assumes that the way to this browser took
 * about SEND_S. (2) A picture the tracker dropped has no result; it gets its neighbour's. (3) Before the vote is
 * decided, or in a browser without `rtpTimestamp`, the receive time alone chooses, good to
 * about a frame on a quiet network. (4) Without that, the newest result is drawn.
 */

const CLOCK_HZ = 90_000;
const WRAP = 2 ** 32;
/** Rounding on the way: pts to ticks on the server, milliseconds in some browsers' metadata. */
const TOLERANCE_TICKS = 4;
const KEEP_S = 1.5;
const KEEP_RESULTS = 120;
const KEEP_ORIGINS = 256;
const VOTES_TO_WIN = 6;
const DECAY = 0.97;
/** Usual time from a capture to its arrival here: decode, encode, loopback or LAN. */
const SEND_S = 0.02;
/** A picture further than this from every result is better shown without masks. */
const FAR_S = 0.5;

const ticks = (seconds) => Math.round(seconds * CLOCK_HZ);
const wrap = (value) => ((value % WRAP) + WRAP) % WRAP;
const apart = (a, b) => Math.min(wrap(a - b), wrap(b - a));

export class FrameMatcher {
  #results = [];
  #origins = [];
  /** Page clock minus server clock, seconds, too large by the fastest way of a result to us. */
  #clockOffset_s = Infinity;

  /** A new WHEP session draws a new origin. */
  restart() {
    this.#origins = [];
  }

  clear() {
    this.restart();
    this.#results = [];
    this.#clockOffset_s = Infinity;
  }

  /** @param result `saccade.frame/1` @param {number} arrived_s Unix time of this page */
  add(result, arrived_s) {
    this.#clockOffset_s = Math.min(this.#clockOffset_s + 1e-4, arrived_s - result.published_s);
    this.#results.push(result);
    const oldest_s = result.captured_s - KEEP_S;
    while (this.#results.length > KEEP_RESULTS || this.#results[0].captured_s < oldest_s) this.#results.shift();
  }

  /** @returns the newest result, or null */
  newest() {
    return this.#results.at(-1) ?? null;
  }

  /**
   * @param {{rtpTimestamp?: number, receiveTime?: number}} metadata of the picture on the screen
   * @param {number} timeOrigin_s Unix time of the page's `receiveTime` 0
   * @returns {{result: object | null, how: "exact" | "estimated" | "newest"}}
   */
  match(metadata, timeOrigin_s) {
    const guess_s = this.#receivedCapture(metadata, timeOrigin_s);
    if (metadata.rtpTimestamp !== undefined) {
      this.#vote(metadata.rtpTimestamp, guess_s);
      const origin = this.#elect();
      if (origin !== null) return this.#byTicks(wrap(metadata.rtpTimestamp + origin));
    }
    if (guess_s === null) return { result: this.newest(), how: "newest" };
    return { result: this.#nearest((result) => Math.abs(result.captured_s - guess_s)), how: "estimated" };
  }

  #receivedCapture({ receiveTime }, timeOrigin_s) {
    if (receiveTime === undefined || !Number.isFinite(this.#clockOffset_s)) return null;
    return timeOrigin_s + receiveTime / 1000 - this.#clockOffset_s - SEND_S;
  }

  #vote(stamp, guess_s) {
    for (const origin of this.#origins) origin.votes *= DECAY;
    for (const result of this.#results) {
      const miss_s = guess_s === null ? 0 : Math.abs(result.captured_s - guess_s);
      this.#propose(wrap(ticks(result.captured_s) - stamp), miss_s);
    }
    this.#origins.sort((a, b) => b.votes - a.votes);
    this.#origins.length = Math.min(this.#origins.length, KEEP_ORIGINS);
  }

  #propose(origin, miss_s) {
    const known = this.#origins.find((other) => apart(other.origin, origin) <= TOLERANCE_TICKS);
    if (!known) {
      this.#origins.push({ origin, votes: 1, miss_s });
      return;
    }
    known.votes += 1;
    known.miss_s += 0.1 * (miss_s - known.miss_s);
  }

  /** The origin with the most votes; among near-equals the one that the receive times speak for. */
  #elect() {
    const best = this.#origins[0];
    if (!best || best.votes < VOTES_TO_WIN) return null;
    const rivals = this.#origins.filter((other) => other.votes > 0.75 * best.votes);
    return rivals.reduce((a, b) => (b.miss_s < a.miss_s ? b : a)).origin;
  }

  #byTicks(captured) {
    const miss = (result) => apart(wrap(ticks(result.captured_s)), captured) / CLOCK_HZ;
    const result = this.#nearest(miss);
    const exact = result !== null && miss(result) * CLOCK_HZ <= TOLERANCE_TICKS;
    return { result, how: exact ? "exact" : "estimated" };
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
