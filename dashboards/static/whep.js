/** Plays one stream in a `<video>`, and plays it again whenever it broke. */
import { delay_s, pause } from "./backoff.js";
import { connected, hold, lost } from "./peer.js";

/** Results come and no new picture does, for this long: the session is dead, negotiate again. */
const STALL_S = 4;

/**
 * @param {string} streamId
 * @param {HTMLVideoElement} video
 * @param {{expected: () => boolean, hold_s: () => number, report: (state, why: string) => void}} wishes
 *   expected: whether there should be pictures now (a camera that is away is no stall);
 *   hold_s: how long a picture should wait for its masks;
 *   report: hears "connecting" | "playing" | "waiting" and why
 * @param {AbortSignal} signal ends it
 */
export async function play(streamId, video, wishes, signal) {
  const { report } = wishes;
  for (let attempt = 0; !signal.aborted; attempt++) {
    report("connecting", "");
    let wait_s = 0;
    try {
      if (await session(streamId, video, wishes, signal)) attempt = 0;
      if (signal.aborted) return;
      report("waiting", "The picture stopped. Connecting again…");
    } catch (problem) {
      if (signal.aborted) return;
      wait_s = problem.retryAfter_s ?? 0;
      report("waiting", problem.message);
    }
    video.srcObject = null;
    if (!(await pause(Math.max(wait_s, delay_s(attempt)), signal))) return;
  }
}

/** One session, from offer to loss. @returns {Promise<boolean>} whether a picture ever came */
async function session(streamId, video, wishes, signal) {
  const peer = new RTCPeerConnection();
  const ended = new AbortController();
  const { receiver } = peer.addTransceiver("video", { direction: "recvonly" });
  peer.ontrack = ({ track }) => {
    if (!signal.aborted) video.srcObject = new MediaStream([track]);
  };
  const over = async () => {
    await connected(peer, signal);
    await Promise.race([lost(peer, signal), watch(video, receiver, wishes, ended.signal)]);
  };
  try {
    await hold(peer, `whep/${encodeURIComponent(streamId)}`, true, over);
    return video.currentTime > 0;
  } finally {
    ended.abort();
  }
}

/** Resolves when no new picture came for too long although there should be some, and someone could see it. */
function watch(video, receiver, { expected, hold_s, report }, signal) {
  return new Promise((resolve) => {
    let shown = video.currentTime;
    let fresh_ms = performance.now();
    const timer = setInterval(() => {
      const now_ms = performance.now();
      // Live means now: pictures wait for their masks, and for nothing else.
      receiver.jitterBufferTarget = Math.round(hold_s() * 100) * 10;
      if (video.currentTime !== shown) {
        shown = video.currentTime;
        fresh_ms = now_ms;
        report("playing", "");
      }
      if (document.hidden || !expected()) fresh_ms = now_ms;
      if (now_ms - fresh_ms > STALL_S * 1000) resolve();
    }, 250);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  });
}
