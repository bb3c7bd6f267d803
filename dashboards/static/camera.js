/** Publishing this device's camera: start, what it is doing, stop. */
import { Problem, streams as api } from "./api.js";
import { byId, setText } from "./dom.js";
import { calm, complain } from "./trouble.js";
import { publish } from "./whip.js";

const WORDS = { asking: "Waiting for the camera…", connecting: "Connecting…", live: "Live: this camera is published." };

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
    this.#stop = new AbortController();
    this.#show(true, "");
    try {
      await wantStream(id);
      await publish(id, (state) => this.#report(id, state), this.#stop.signal);
      this.#show(false, this.#stop.signal.aborted ? "Stopped." : "The connection was lost.");
    } catch (problem) {
      this.#show(false, "");
      if (!this.#stop.signal.aborted) complain(kindly(problem, id));
    } finally {
      this.#stop = null;
    }
  }

  #report(id, state) {
    this.#show(true, WORDS[state]);
    if (state !== "live") return;
    calm();
    this.#onLive(id);
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
