/** The objects that are followed now, and what happened to them. Both lists are bounded. */
import { byId, part, reconcile, setText, stamp } from "./dom.js";
import { trackColour } from "./palette.js";

const KEEP_EVENTS = 100;
const DIM = new Set(["occluded", "lost", "ended"]);

/** @param {object[]} tracks of the newest result */
export function renderTracks(tracks) {
  byId("tracks-empty").hidden = tracks.length > 0;
  reconcile(byId("tracks"), tracks, (track) => String(track.track_id), newTrack, fillTrack);
}

function newTrack({ track_id: id }) {
  const row = stamp("track-row");
  part(row, "swatch").style.setProperty("--colour", trackColour(id).line);
  return row;
}

function fillTrack(row, track) {
  row.dataset.dim = String(DIM.has(track.state));
  setText(part(row, "name"), `#${track.track_id} ${track.phrase}`);
  const badge = part(row, "state");
  badge.dataset.state = track.state;
  setText(badge, track.state);
  setText(part(row, "score"), `score ${track.score.toFixed(2)}`);
}

/** @param message `saccade.event/1`, `saccade.answer/1` or `saccade.error/1` */
export function addNote(message) {
  const list = byId("events");
  const row = stamp("event-row");
  row.dataset.kind = message.schema.split(/[./]/)[1];
  const time = part(row, "time");
  const at = new Date(message.at_s * 1000);
  time.dateTime = at.toISOString();
  setText(time, at.toLocaleTimeString([], { hour12: false }));
  setText(part(row, "text"), words(message));
  list.prepend(row);
  while (list.children.length > KEEP_EVENTS) list.lastElementChild.remove();
}

export function clearNotes() {
  renderTracks([]);
  byId("events").replaceChildren();
}

/** One line for people. */
export function words(message) {
  if (message.schema.startsWith("saccade.answer/")) return answered(message);
  if (message.schema.startsWith("saccade.error/")) return [message.message, message.remedy].filter(Boolean).join(" ");
  const track = message.after ?? message.before;
  const name = `#${message.track_id} ${track?.phrase ?? ""}`.trim();
  if (message.type === "new") return `${name} found`;
  if (message.type === "end") return `${name} ended`;
  return `${name} ${change(message)}`;
}

function answered({ text, presence, prompt_to_mask_s: time_s }) {
  const said = [`Answer: ${spoken(text) || "here it is"}`];
  if (presence !== null) said.push(`presence ${Math.round(presence * 100)} %`);
  if (time_s !== null) said.push(`mask after ${Math.round(time_s * 1000)} ms`);
  return said.join(" · ");
}

/** An answer without the model's token for "this mask"; "" where it says nothing else. */
export function spoken(text) {
  return text.replace(/^\s*Sure, \[SEG\](?: and \[SEG\])*\.?/, "").replaceAll("[SEG]", "").trim();
}

function change({ before, after }) {
  if (before.phrase !== after.phrase) return `was “${before.phrase}”`;
  if (before.state !== after.state) return `is ${after.state}, was ${before.state}`;
  return "answers the new words";
}
