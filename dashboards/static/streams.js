/** The list of streams: what each is doing, pick one, add one, remove one. */
import { streams as api } from "./api.js";
import { ask, byId, duration, part, reconcile, setText, stamp } from "./dom.js";
import { attempt } from "./trouble.js";

export class StreamsPanel {
  #chosen;
  #offered = false;
  #onPick;
  #onChange;

  /**
   * @param {(id: string) => void} onPick
   * @param {() => Promise<void>} onChange streams were added or removed
   */
  constructor(onPick, onChange) {
    [this.#onPick, this.#onChange] = [onPick, onChange];
    byId("stream-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(event.currentTarget);
    });
  }

  /** @param {object[]} streams as from `GET /v1/streams` @param {string | null} chosen */
  render(streams, chosen) {
    this.#chosen = chosen;
    byId("streams-empty").hidden = streams.length > 0;
    this.#offer(streams.length === 0);
    reconcile(byId("streams"), streams, (stream) => stream.stream_id, (stream) => this.#row(stream), this.#fill);
  }

  /** Unfolds the form once while there is nothing else to do, and folds it again if nobody began to fill it. */
  #offer(isEmpty) {
    if (isEmpty === this.#offered) return;
    this.#offered = isEmpty;
    if (isEmpty || !byId("stream-url").value) byId("add-details").open = isEmpty;
  }

  #row({ stream_id: id }) {
    const row = stamp("stream-row");
    setText(part(row, "name"), id);
    part(row, "pick").addEventListener("click", () => this.#onPick(id));
    part(row, "remove").setAttribute("aria-label", `Remove stream ${id}`);
    part(row, "remove").addEventListener("click", () => this.#remove(id));
    return row;
  }

  #fill = (row, stream) => {
    row.setAttribute("aria-current", String(stream.stream_id === this.#chosen));
    const badge = part(row, "state");
    badge.dataset.state = stream.state;
    setText(badge, stream.state);
    setText(part(row, "facts"), facts(stream));
    part(row, "pick").title = stream.url;
  };

  async #add(form) {
    const id = byId("stream-id").value.trim();
    const added = await attempt(() => api.add(id, byId("stream-url").value.trim()));
    if (!added) return;
    form.reset();
    byId("add-details").open = false;
    await this.#onChange();
    this.#onPick(id);
  }

  async #remove(id) {
    setText(byId("remove-title"), `Remove stream “${id}”?`);
    if ((await ask(byId("remove-dialog"))) !== "ok") return;
    if (await attempt(() => api.remove(id))) await this.#onChange();
  }
}

function facts(stream) {
  if (stream.state !== "live") return stream.reason || "";
  const said = [`${stream.tracked_fps.toFixed(0)} fps`];
  if (stream.frame_age_p95_s !== null) said.push(`age ${duration(stream.frame_age_p95_s)}`);
  if (stream.dropped) said.push(`${stream.dropped} dropped`);
  if (stream.reconnects) said.push(`${stream.reconnects}× reconnected`);
  return said.join(" · ");
}
