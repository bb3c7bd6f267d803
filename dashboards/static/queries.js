/** What is asked of the chosen stream: add, edit while it runs, remove; and what came of it. */
import { queries as api } from "./api.js";
import { byId, duration, part, reconcile, setText, stamp } from "./dom.js";
import { spoken } from "./notes.js";
import { trackColour } from "./palette.js";
import { attempt } from "./trouble.js";

const WORDS = {
  pending: "looking…",
  following: "following",
  absent: "no such object",
  answered: "answered",
  failed: "failed, trying again",
};

export class QueriesPanel {
  #streamId = null;
  #tracks = [];
  /** By query: what is being said now. @type {Map<string, {revision: number, text: string}>} */
  #words = new Map();
  #adding = false;
  /** What the next question is about: [x0, y0, x1, y1] as shares of the picture, or null. */
  #region = null;
  #onChange;

  /** @param {() => Promise<void>} onChange queries were added, edited or removed */
  constructor(onChange) {
    this.#onChange = onChange;
    byId("query-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(byId("query-text").value);
    });
    byId("pointed-forget").addEventListener("click", () => this.point(null));
    byId("query-kind").addEventListener("change", () => byId("query-kind").value === "ask" || this.point(null));
  }

  /** @param {number[] | null} region what a person pointed at, as shares of the picture; null: nothing any more */
  point(region) {
    if (!this.#streamId) return;
    this.#region = region;
    byId("pointed").hidden = byId("pointed-mark").hidden = region === null;
    if (region === null) return;
    byId("query-kind").value = "ask";
    const field = byId("query-text");
    field.value ||= "What is this?";
    field.focus();
    field.select();
  }

  /** @param {string[]} texts words that are worth a try here */
  offer(texts) {
    byId("examples").replaceChildren(...texts.map((text) => this.#example(text)));
  }

  /** @param {object | undefined} stream as from `GET /v1/streams`, or none */
  render(stream) {
    if (this.#streamId !== (stream?.stream_id ?? null)) this.point(null);
    this.#streamId = stream?.stream_id ?? null;
    for (const control of byId("query-form").elements) control.disabled = !stream;
    for (const example of byId("examples").children) example.disabled = !stream;
    const known = new Set((stream?.queries ?? []).map((status) => status.query_id));
    for (const id of this.#words.keys()) if (!known.has(id)) this.#words.delete(id);
    reconcile(byId("queries"), stream?.queries ?? [], (status) => status.query_id, (status) => this.#row(status), this.#fill);
  }

  /** @param {object[]} tracks of the newest result: they lend their colour to the query they answer */
  setTracks(tracks) {
    this.#tracks = tracks;
  }

  /** @param {object} message `saccade.words/1`, or the `saccade.answer/1` that ends them */
  hear({ schema, query_id: id, revision, text }) {
    if (schema.startsWith("saccade.words/")) this.#words.set(id, { revision, text });
    else if (schema.startsWith("saccade.answer/")) this.#words.delete(id);
  }

  #example(text) {
    const button = document.createElement("button");
    button.type = "button";
    setText(button, text);
    button.addEventListener("click", () => {
      byId("query-kind").value = "refer";
      this.point(null);
      this.#add(text);
    });
    return button;
  }

  async #add(text) {
    // A second Enter before the first was answered is an impatient one, not a second question.
    if (this.#adding) return;
    this.#adding = true;
    const kind = byId("query-kind").value;
    const added = await attempt(() => api.add(this.#streamId, text, kind, this.#region ?? undefined));
    this.#adding = false;
    if (!added) return;
    byId("query-text").value = "";
    this.point(null);
    byId("query-text").focus();
    await this.#onChange();
  }

  #row({ query_id: id }) {
    const row = stamp("query-row");
    const field = part(row, "text");
    field.addEventListener("input", () => this.#dirty(row));
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      field.value = row.dataset.text;
      this.#dirty(row);
    });
    part(row, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#edit(row, id);
    });
    part(row, "remove").addEventListener("click", () => this.#remove(id));
    return row;
  }

  #dirty(row) {
    part(row, "save").hidden = part(row, "text").value === row.dataset.text;
  }

  #fill = (row, status) => {
    const field = part(row, "text");
    // A draft is a person's; only a field that says what was last known follows the service.
    if (row.dataset.text === undefined || field.value === row.dataset.text) field.value = status.text;
    row.dataset.text = status.text;
    this.#dirty(row);
    part(row, "remove").setAttribute("aria-label", `Remove query ${status.text}`);
    const badge = part(row, "state");
    badge.dataset.state = status.state;
    setText(badge, WORDS[status.state] ?? status.state);
    const { prompt_to_mask_s: time_s, presence } = status;
    setText(part(row, "region"), status.region ? "where you pointed" : "");
    setText(part(row, "time"), time_s === null ? "" : `in ${duration(time_s)}`);
    setText(part(row, "presence"), presence === null ? "" : `${Math.round(presence * 100)} % sure`);
    const words = this.#words.get(status.query_id);
    const saying = words?.revision === status.revision && ["pending", "failed"].includes(status.state);
    if (saying) setText(badge, "saying…");
    row.dataset.saying = String(saying);
    setText(part(row, "answer"), spoken(saying ? words.text : (status.answer ?? "")));
    const track = this.#tracks.find((one) => one.query_id === status.query_id && one.mask);
    part(row, "dot").style.setProperty("--colour", track ? trackColour(track.track_id).line : "");
  };

  async #edit(row, id) {
    const text = part(row, "text").value;
    if (text === row.dataset.text) return;
    const edited = await attempt(async () => {
      // The service may have trimmed it; what it accepted is what is shown.
      const status = await api.edit(id, text);
      row.dataset.text = part(row, "text").value = status.text;
    });
    if (!edited) return;
    this.#dirty(row);
    await this.#onChange();
  }

  async #remove(id) {
    if (await attempt(() => api.remove(id))) await this.#onChange();
  }
}
