/** Publishing this device's camera: start, what it is doing, stop. */
import { Problem, streams as api } from "./api.js";
import { delay_s, pause } from "./backoff.js";
import { byId, setText } from "./dom.js";
import { calm, complain } from "./trouble.js";
import { publish } from "./whip.js";

const WORDS = { asking: "Waiting for the camera…", connecting: "Connecting…", live: "Live: this camera is published." };

/** What a service says that is just coming back, or has not missed us yet (409): worth another try. */
const PASSING = new Set([0, 409, 429, 502, 503]);

export class CameraPanel {
  #stop = null;
  #onLive;

  /** @param {(id: string) => Promise<void>} onLive the camera is published under this id */
  constructor(onLive) {
    this.#onLive = onLive;
    byId("camera-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#stop) this.#stop.abort();
      else this.#start(byId("camera-id").value.trim());
    });
  }

  async #start(id) {
    const { signal } = (this.#stop = new AbortController());
    this.#show(true, "");
    let last = "";
    try {
      await wantStream(id);
      await this.#keepPublishing(id, signal);
    } catch (problem) {
      if (!signal.aborted) complain(kindly(problem, id));
    }
    if (signal.aborted) last = "Stopped.";
    this.#stop = null;
    this.#show(false, last);
  }

  /** Once it was live it comes back by itself, until it is stopped: a service that restarted waits for us. */
  async #keepPublishing(id, signal) {
    let wasLive = false;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const report = (state) => {
        this.#show(true, WORDS[state]);
        if (state !== "live") return;
        calm();
        // Later returns leave alone what is being looked at by then.
        if (!wasLive) this.#onLive(id);
        [wasLive, attempt] = [true, 0];
      };
      try {
        await publish(id, report, signal);
      } catch (problem) {
        if (!wasLive || !PASSING.has(problem.status)) throw problem;
      }
      if (!signal.aborted) this.#show(true, "The connection was lost. Connecting again…");
      await pause(delay_s(attempt), signal);
    }
  }

  #show(running, text) {
    const button = byId("camera-button");
    setText(button, running ? "Stop" : "Start");
    button.className = running ? "danger" : "primary";
    byId("camera-id").disabled = running;
    setText(byId("camera-state"), text);
  }
}

/** Publishing needs a stream that expects a publisher; one that is there already is fine. */
async function wantStream(id) {
  try {
    await api.add(id, "whip:");
  } catch (problem) {
    if (problem.status !== 409) throw problem;
  }
}

function kindly(problem, id) {
  if (problem.status === 409) {
    return new Problem({
      status: 409,
      title: `Somebody else publishes as “${id}” already.`,
      detail: problem.detail,
      remedy: "Choose another name, or stop the other one.",
    });
  }
  if (problem.name === "NotAllowedError") {
    const remedy = "Allow it in the browser's address bar.";
    return new Problem({ status: 0, title: "The browser did not let us use the camera.", remedy });
  }
  if (problem.name === "NotFoundError") return new Problem({ status: 0, title: "This device has no camera." });
  return problem;
}
