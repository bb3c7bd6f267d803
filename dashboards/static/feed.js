/** Results and events of one stream, as they come, for as long as it is wanted. */
import { delay_s, pause } from "./backoff.js";
import { token } from "./token.js";

/** The server's word that there is no such stream any more. */
const CLOSE_NOT_FOUND = 4404;
/** Nothing at all for this long: the way is dead although nobody said so. */
const SILENCE_S = 20;

/**
 * @param {string} streamId
 * @param {(message: object, arrived_s: number) => void} deliver one `saccade.*` message
 * @param {(state: "connecting" | "open" | "waiting") => void} report
 * @param {AbortSignal} signal ends it
 */
export async function follow(streamId, deliver, report, signal) {
  for (let attempt = 0; !signal.aborted; attempt++) {
    report("connecting");
    const { opened, code } = await once(streamId, deliver, () => report("open"), signal);
    if (code === CLOSE_NOT_FOUND) return;
    if (opened) attempt = 0;
    report("waiting");
    if (!(await pause(delay_s(attempt), signal))) return;
  }
}

/** One connection, from open to close. @returns {Promise<{opened: boolean, code: number}>} whether it ever was, and why no more */
function once(streamId, deliver, onOpen, signal) {
  return new Promise((resolve) => {
    let opened = false;
    let heard_ms = performance.now();
    const socket = connect(streamId);
    const watch = setInterval(() => performance.now() - heard_ms > SILENCE_S * 1000 && socket.close(), 1000);
    const stop = () => socket.close();
    signal.addEventListener("abort", stop);
    socket.onopen = () => {
      opened = true;
      onOpen();
    };
    socket.onmessage = (event) => {
      heard_ms = performance.now();
      if (!signal.aborted) deliver(JSON.parse(event.data), (performance.timeOrigin + heard_ms) / 1000);
    };
    socket.onclose = ({ code }) => {
      clearInterval(watch);
      signal.removeEventListener("abort", stop);
      resolve({ opened, code });
    };
  });
}

function connect(streamId) {
  const url = new URL(`v1/streams/${encodeURIComponent(streamId)}/feed`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  // Browsers cannot set headers on a WebSocket, and a token in the URL would end up in logs.
  return new WebSocket(url, token() ? ["saccade", `bearer.${token()}`] : ["saccade"]);
}
