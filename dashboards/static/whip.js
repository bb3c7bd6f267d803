/** Publishes this browser's camera as a stream. */
import { hangUp, lost, negotiate } from "./peer.js";

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
  const media = await navigator.mediaDevices.getUserMedia(CAMERA);
  const peer = new RTCPeerConnection();
  let address = "";
  const leave = () => hangUp(peer, address);
  window.addEventListener("pagehide", leave);
  try {
    signal.throwIfAborted();
    report("connecting");
    const transceiver = peer.addTransceiver(media.getVideoTracks()[0], { direction: "sendonly" });
    preferVp8(transceiver);
    address = await negotiate(peer, `/whip/${encodeURIComponent(streamId)}`, false);
    report("live");
    await lost(peer, signal);
  } finally {
    window.removeEventListener("pagehide", leave);
    media.getTracks().forEach((track) => track.stop());
    await leave();
  }
}

/** VP8 is the cheapest to decode in software without delay; every browser has it. */
function preferVp8(transceiver) {
  const { codecs } = RTCRtpReceiver.getCapabilities("video");
  const rank = (codec) => (codec.mimeType.toLowerCase() === "video/vp8" ? 0 : 1);
  transceiver.setCodecPreferences([...codecs].sort((a, b) => rank(a) - rank(b)));
}
