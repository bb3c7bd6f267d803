/** How well it goes: rates and ages of the chosen stream, from the results themselves. */
import { byId, duration, setText } from "./dom.js";

const WINDOW = 150;
const SPARK_POINTS = 120;
const SPARK_TOPS_S = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30];

const SYNC_WORDS = { exact: "masks frame-exact", estimated: "masks nearly exact", newest: "newest masks" };

/** The last frame ages, and their percentiles. Bounded. */
export class Ages {
  #ages_s = [];

  add(age_s) {
    this.#ages_s.push(age_s);
    if (this.#ages_s.length > WINDOW) this.#ages_s.shift();
  }

  clear() {
    this.#ages_s = [];
  }

  /** Nearest rank. @param {number} share 0..1 @returns {number | null} seconds */
  percentile(share) {
    if (this.#ages_s.length === 0) return null;
    const sorted = [...this.#ages_s].sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  }

  last(count) {
    return this.#ages_s.slice(-count);
  }
}

/** Two durations with one unit, the second's. */
export function pair(small_s, large_s) {
  if (small_s === null || large_s === null) return "–";
  const small = large_s < 0.9995 ? Math.round(small_s * 1000) : small_s.toFixed(1);
  return `${small} / ${duration(large_s)}`;
}

export class NumbersPanel {
  #ages = new Ages();

  /** @param result `saccade.frame/1` */
  add(result) {
    this.#ages.add(result.published_s - result.captured_s);
  }

  clear() {
    this.#ages.clear();
  }

  /**
   * @param {object | undefined} stream its status
   * @param {string | null} sync how masks find their picture
   */
  render(stream, sync) {
    setText(byId("n-fps"), stream ? stream.tracked_fps.toFixed(1) : "–");
    setText(byId("n-dropped"), stream ? String(stream.dropped) : "–");
    setText(byId("n-age"), pair(this.#ages.percentile(0.5), this.#ages.percentile(0.95)));
    const times = (stream?.queries ?? []).map((status) => status.prompt_to_mask_s).filter((time) => time !== null);
    setText(byId("n-prompt"), duration(times.at(-1)));
    setText(byId("n-sync"), SYNC_WORDS[sync] ?? "");
    this.#spark(this.#ages.last(SPARK_POINTS));
  }

  #spark(ages_s) {
    const most = Math.max(0, ...ages_s);
    const top = SPARK_TOPS_S.find((one) => one >= most) ?? most;
    const start = SPARK_POINTS - ages_s.length;
    const points = ages_s.map((age, i) => `${start + i},${(31 - 30 * Math.max(0, age / top)).toFixed(1)}`);
    byId("spark").firstElementChild.setAttribute("points", points.join(" "));
    setText(byId("spark-top"), duration(top));
  }
}
