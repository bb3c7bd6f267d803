/** Plays one stream in a `<video>`, and plays it again whenever it broke. */
import { delay_s, pause } from "./backoff.js";
import { hangUp, lost, negotiate } from "./peer.js";

/** Results come and no new picture does, for this long: the session is dead, negotiate again. */
const STALL_S = 4;

/**
 * @param {string} streamId
 * @param {HTMLVideoElement} video
 * @param {() => boolean} expected whether there should be pictures now (a camera that is away is no stall)
 * @param {(state: "connecting" | "playing" | "waiting", why: string) => void} report
 * @param {AbortSignal} signal ends it
 */
export async function play(streamId, video, expected, report, signal) {
  for (let attempt = 0; !signal.aborted; attempt++) {
    report("connecting", "");
    let wait_s = 0;
    try {
      if (await session(streamId, video, expected, report, signal)) attempt = 0;
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
async function session(streamId, video, expected, report, signal) {
  const peer = new RTCPeerConnection();
  const ended = new AbortController();
  const { receiver } = peer.addTransceiver("video", { direction: "recvonly" });
  // Live means now: hold back no picture longer than it takes to put packets in order.
  receiver.jitterBufferTarget = 0;
  peer.ontrack = ({ track }) => {
    if (!signal.aborted) video.srcObject = new MediaStream([track]);
  };
  let address = "";
  try {
    address = await negotiate(peer, `/whep/${encodeURIComponent(streamId)}`, true);
    const stalled = watch(video, expected, () => report("playing", ""), ended.signal);
    await Promise.race([lost(peer, signal), stalled]);
    return video.currentTime > 0;
  } finally {
    ended.abort();
    await hangUp(peer, address);
  }
}

/** Resolves when no new picture came for too long although there should be some, and someone could see it. */
function watch(video, expected, onPicture, signal) {
  return new Promise((resolve) => {
    let shown = video.currentTime;
    let fresh_ms = performance.now();
    const timer = setInterval(() => {
      const now_ms = performance.now();
      if (video.currentTime !== shown) {
        shown = video.currentTime;
        fresh_ms = now_ms;
        onPicture();
      }
      if (document.hidden || !expected()) fresh_ms = now_ms;
      if (now_ms - fresh_ms > STALL_S * 1000) resolve();
    }, 250);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  });
}
