/**
 * The page: one stream is chosen, everything else follows from it.
 *
 * What changes with every frame comes by the feed; what changes seldom (streams, queries) is asked for every
 * two seconds, after every change, and when the feed says that something happened.
 */
import { streams as api, service as about } from "./api.js";
import { CameraPanel } from "./camera.js";
import { byId, setText } from "./dom.js";
import { addNote, clearNotes, renderTracks } from "./notes.js";
import { NumbersPanel } from "./numbers.js";
import { QueriesPanel } from "./queries.js";
import { Stage } from "./stage.js";
import { StreamsPanel } from "./streams.js";
import { askForToken, takeTokenFromAddress } from "./token.js";

const POLL_MS = 2000;
const RENDER_MS = 250;
/** Answers and events come in bursts; one look at the queries serves them all. */
const SETTLE_MS = 150;

const known = { streams: [], chosen: null, connected: false };
let settling = 0;
let asking = null;
let again = null;
/** Somebody closed the token dialog: do not open it again by ourselves. */
let refused = false;

takeTokenFromAddress();
const numbers = new NumbersPanel();
const stage = new Stage((result) => numbers.add(result), onNote, onFeed);
const streamsPanel = new StreamsPanel(choose, refresh);
const queriesPanel = new QueriesPanel(refresh);
stage.onPointed((region) => queriesPanel.point(region));
new CameraPanel(async (id) => {
  await refresh();
  choose(id);
});

function onNote(message) {
  queriesPanel.hear(message);
  // Words that grow are shown where they are asked for, ten times a second, and are no events.
  if (message.schema.startsWith("saccade.words/")) return;
  addNote(message);
  clearTimeout(settling);
  settling = setTimeout(refresh, SETTLE_MS);
}

/** The feed notices first that the service went away or came back. */
function onFeed(state) {
  if (state !== "connecting") refresh();
}

/** @param {string | null} id */
function choose(id) {
  if (id === known.chosen) return;
  known.chosen = id;
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (id === null) fragment.delete("stream");
  else fragment.set("stream", id);
  history.replaceState(null, "", `${location.pathname}${location.search}#${fragment}`);
  numbers.clear();
  clearNotes();
  stage.choose(id);
  render();
}

/**
 * Asks the service how things stand. One question at a time, so that an old answer never overwrites a newer one;
 * a wish that comes meanwhile is served by one more round.
 */
function refresh() {
  if (asking) {
    again ??= asking.then(refresh);
    return again;
  }
  again = null;
  asking = look().finally(() => (asking = null));
  return asking;
}

/** Nobody waits for this, so trouble is shown in the top bar only. */
async function look() {
  try {
    known.streams = await api.list();
    keepChoice();
    // Another service may have taken the place of one that went away, with other things to see.
    if (!known.connected) queriesPanel.offer((await about.status()).examples);
    known.connected = true;
    service("live", "connected");
  } catch (problem) {
    known.connected = false;
    trouble(problem);
  }
  render();
}

function trouble(problem) {
  service(problem.status === 401 ? "failed" : "reconnecting", problem.status === 0 ? "no connection" : problem.title);
  if (problem.status !== 401 || refused) return;
  refused = true;
  askForToken().then((given) => {
    refused = !given;
    if (given) refresh();
  });
}

/** The chosen stream may be gone, or none was chosen yet. */
function keepChoice() {
  const ids = known.streams.map((stream) => stream.stream_id);
  if (ids.includes(known.chosen)) return;
  const wanted = known.chosen === null ? new URLSearchParams(location.hash.slice(1)).get("stream") : null;
  choose(ids.includes(wanted) ? wanted : (ids[0] ?? null));
}

function service(state, words) {
  const pill = byId("service");
  pill.dataset.state = state;
  setText(pill, words);
}

function render() {
  if (document.hidden) return;
  const tracks = stage.result?.tracks ?? [];
  queriesPanel.setTracks(tracks);
  streamsPanel.render(known.streams, known.chosen);
  const chosen = known.streams.find((stream) => stream.stream_id === known.chosen);
  queriesPanel.render(chosen);
  stage.describe(chosen);
  numbers.render(chosen, stage.sync);
  renderTracks(tracks);
}

window.addEventListener("hashchange", () => {
  takeTokenFromAddress();
  const wanted = new URLSearchParams(location.hash.slice(1)).get("stream");
  if (known.streams.some((stream) => stream.stream_id === wanted)) choose(wanted);
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
// Sessions ended when the page was left; a page taken out of the browser's cache starts anew.
window.addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
setInterval(render, RENDER_MS);
setInterval(() => document.hidden || refresh(), POLL_MS);
stage.choose(null);
refresh();
