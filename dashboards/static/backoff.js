/** How long to wait before trying again: fast at first, then at most every five seconds, for ever. */
const DELAYS_S = [0.25, 0.5, 1, 2, 3, 5];

/**
 * @param {number} attempt from 0 up
 * @param {number} random 0..1, spreads viewers out after a restart
 * @returns {number} seconds
 */
export function delay_s(attempt, random = Math.random()) {
  const base = DELAYS_S[Math.min(attempt, DELAYS_S.length - 1)];
  return base * (0.8 + 0.4 * random);
}

/** Waits, unless `signal` ends the wait. @returns {Promise<boolean>} whether to go on */
export function pause(seconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const timer = setTimeout(done, seconds * 1000, true);
    const stop = () => done(false);
    function done(goOn) {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      resolve(goOn);
    }
    signal.addEventListener("abort", stop);
  });
}
