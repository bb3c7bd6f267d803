/** What WHIP (RFC 9725) and WHEP have in common: one POST with an offer, one DELETE at the end. */
import { Problem, request } from "./api.js";

/** A host candidate is there at once; nothing worth waiting for comes later without STUN. */
const GATHER_S = 1;

/**
 * Sends the peer's offer, complete with its candidates, and takes the answer.
 * @param {RTCPeerConnection} peer
 * @param {string} path `whip/{id}` or `whep/{id}`, relative to the page
 * @param {boolean} background whether nobody is waiting (then a 401 opens no dialog)
 * @returns {Promise<string>} the session's address
 */
async function negotiate(peer, path, background) {
  await peer.setLocalDescription();
  await gathered(peer);
  const options = { body: peer.localDescription.sdp, type: "application/sdp", background };
  const response = await request("POST", path, options);
  // A proxy may serve the page below a path that Location does not have: take the session's id only.
  const session = `${path}/${response.headers.get("Location").split("/").pop()}`;
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  return session;
}

/**
 * Holds a session until `until` is done, then ends it; a page that is closed ends it on its way out, so that no
 * place stays taken until the server misses us.
 * @template T
 * @param {RTCPeerConnection} peer
 * @param {string} path as for `negotiate`
 * @param {boolean} background as for `negotiate`
 * @param {() => Promise<T>} until begins when the session is there
 * @returns {Promise<T>}
 * @throws {Problem} what the service refused
 */
export async function hold(peer, path, background, until) {
  let session = "";
  const leave = () => hangUp(peer, session);
  window.addEventListener("pagehide", leave);
  try {
    session = await negotiate(peer, path, background);
    return await until();
  } finally {
    window.removeEventListener("pagehide", leave);
    await leave();
  }
}

/** Ends a session; one that is gone already is fine. */
async function hangUp(peer, session) {
  peer.close();
  if (!session) return;
  try {
    await request("DELETE", session, { keepalive: true, background: true });
  } catch (problem) {
    console.debug("The session was gone before it was ended:", problem.message);
  }
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER_S * 1000);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

/** No way was found in this time: there is none. */
const CONNECT_S = 6;

/**
 * Resolves when the connection stands, or `signal` ends the wait.
 * @throws {Problem} which addresses were tried, where none was reached
 */
export function connected(peer, signal) {
  return new Promise((resolve, reject) => {
    const settle = (finish) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", look);
      peer.removeEventListener("connectionstatechange", look);
      finish();
    };
    const look = () => {
      if (signal.aborted || peer.connectionState === "connected") settle(resolve);
      else if (["failed", "closed"].includes(peer.connectionState)) settle(() => reject(unreachable(peer)));
    };
    const timer = setTimeout(() => settle(() => reject(unreachable(peer))), CONNECT_S * 1000);
    signal.addEventListener("abort", look);
    peer.addEventListener("connectionstatechange", look);
    look();
  });
}

function unreachable(peer) {
  const candidates = (peer.remoteDescription?.sdp ?? "").matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+)/gim);
  const places = [...candidates].map(([, address, port]) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`));
  const isLoopback = (place) => /^(127\.|\[::1\])/.test(place);
  let remedy = "Open these ports in the firewall, or see ice_public_addresses in the settings of the service.";
  if (places.every(isLoopback)) {
    remedy = isLoopback(`${location.hostname}:`) || location.hostname === "localhost"
      ? "Firefox reaches loopback only with media.peerconnection.ice.loopback in about:config."
      : "Set ice_addresses of the service to addresses that this device reaches.";
  }
  return new Problem({ status: 0, title: `No video: the service was not reached by UDP at ${places.join(", ")}.`, remedy });
}

/** A lapse shorter than this may heal by itself. */
const HEAL_S = 3;

/** Resolves when the connection is lost for good, or `signal` ends it. */
export function lost(peer, signal) {
  return new Promise((resolve) => {
    // Where the other side says good-bye; the connection itself only notices, seconds later, that nothing comes.
    const [{ sender: { transport } }] = peer.getTransceivers();
    let timer = 0;
    const look = () => {
      clearTimeout(timer);
      const states = [peer.connectionState, transport?.state];
      if (signal.aborted || states.includes("failed") || states.includes("closed")) resolve();
      else if (peer.connectionState === "disconnected") timer = setTimeout(resolve, HEAL_S * 1000);
    };
    signal.addEventListener("abort", look, { once: true });
    peer.addEventListener("connectionstatechange", look);
    transport?.addEventListener("statechange", look);
    look();
  });
}
