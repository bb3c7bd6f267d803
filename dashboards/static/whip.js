/** Publishes this browser's camera as a stream. */
import { Problem } from "./api.js";
import { connected, hold, lost } from "./peer.js";

const CAMERA = { video: { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30 } }, audio: false };

/**
 * One publication, from the camera's light on to its light off.
 *
 * @param {string} streamId a stream whose URL is `whip:`
 * @param {(state: "asking" | "connecting" | "live") => void} report
 * @param {AbortSignal} signal ends it
 * @throws {Problem} what the service refused (409: somebody publishes there already)
 * @throws {DOMException} what the browser or its user refused
 */
export async function publish(streamId, report, signal) {
  report("asking");
  const media = await openCamera();
  try {
    signal.throwIfAborted();
    report("connecting");
    const peer = new RTCPeerConnection();
    preferVp8(peer.addTransceiver(media.getVideoTracks()[0], { direction: "sendonly" }));
    await hold(peer, `whip/${encodeURIComponent(streamId)}`, false, async () => {
      await connected(peer, signal);
      if (!signal.aborted) report("live");
      return lost(peer, signal);
    });
  } finally {
    media.getTracks().forEach((track) => track.stop());
  }
}

async function openCamera() {
  if (navigator.mediaDevices) return navigator.mediaDevices.getUserMedia(CAMERA);
  const title = "Browsers give a camera only to pages that came safely.";
  throw new Problem({ status: 0, title, remedy: "Open this page by https://, or on the machine itself by http://127.0.0.1." });
}

/** VP8 is the cheapest to decode in software without delay; every browser has it. */
function preferVp8(transceiver) {
  const { codecs } = RTCRtpReceiver.getCapabilities("video");
  const rank = (codec) => (codec.mimeType.toLowerCase() === "video/vp8" ? 0 : 1);
  transceiver.setCodecPreferences([...codecs].sort((a, b) => rank(a) - rank(b)));
}
