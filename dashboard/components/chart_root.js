// The one component of a page with live charts: holds all its charts, takes deltas, keeps zoom, legend and crosshair.

import { drawNotices, heartbeat, kept, setClass, setText, staleNotice, el } from "./base.js";
import { drawControls } from "./chart_controls.js";
import { ChartPage } from "./chart_page.js";
import { Printing } from "./chart_print.js";
import { drawCompareHead } from "./compare_head.js";
import { CompareSearch } from "./compare_search.js";
import { drawFoot } from "./chart_foot.js";
import { together } from "./format.js";
import { keptScroll } from "./chart_place.js";
import { pageKeys } from "./keys.js";
import { drawRunHead } from "./run_head.js";
import { RunLayout } from "./run_layout.js";
import { SignalSearch } from "./run_search.js";
import { drawSections } from "./chart_sections.js";
import { tellNews } from "./notifications.js";
import { pageLink } from "./pages.js";

// How each page was last looked at, for the rare case that Streamlit mounts it anew (a lost connection).
const looks = new Map();
const PATIENCE = 3;
const KEYS = [["← →", "on a chart: reads it, from point to point"], ["+ −", "on a chart: zooms"], ["Shift ← →", "on a chart: moves along"], ["0", "on a chart: shows all of it"], ["Enter", "in the search: pins a signal, or unpins it"]];
const ANSWER_MS = 2500;
const HEADS = { run: drawRunHead, compare: drawCompareHead };
const SEARCHES = { run: SignalSearch, compare: CompareSearch };

function mounted(parent) {
  const parts = { notices: el("div", { class: "notices" }), head: el("header"), empty: el("div", { class: "empty", hidden: true }), find: el("div", { class: "find-row", hidden: true }), view: el("div", { class: "view-row", role: "group", "aria-label": "How charts are drawn" }), body: el("main"), foot: el("footer", { class: "foot" }) };
  const root = el("div", { class: "rv page" }, parts.notices, parts.head, parts.empty, el("div", { class: "tools" }, parts.find, parts.view), parts.body, parts.foot);
  parent.append(root);
  const state = { root, parts, empty: parts.empty, frame: {}, words: {}, curves: {}, views: {}, page: new ChartPage(root), received_ms: performance.now(), every_s: 1 };
  state.printing = new Printing(state.page);
  state.place = keptScroll(root);
  state.keys = pageKeys({ keys: KEYS, search: () => state.search?.input.focus() });
  state.stopHeartbeat = heartbeat(state, (silent_s) => beat(state, silent_s));
  globalThis.runvitalsPlotly.then(() => state.page.later(), (error) => (state.loadError = error.message));
  return state;
}

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const state = kept(parentElement, () => mounted(parentElement));
  state.received_ms = performance.now();
  state.trigger = setTriggerValue;
  state.page.askFor = (zoom) => setStateValue("zoom", zoom);
  state.page.near.tell = (sight) => setStateValue("sight", sight);
  state.page.askFile = (wanted) => setTriggerValue("csv", wanted);
  state.tellLayout = (layout) => setStateValue("layout", layout);
  const resync = (part) => ask(state, part, setTriggerValue);
  Object.assign(state, { every_s: data.every_s, now_s: data.now_s, notices: data.notices });
  tellNews(data.news ?? []);
  if (data.frame) {
    const frame = newest(state.frame, data.frame, () => resync("frame"));
    const words = newest(state.words, data.words, () => resync("words"));
    for (const part of ["map", "signals"]) if (data[part]) newest((state[part] ??= {}), data[part], () => resync(part));
    if (frame && words) draw(state, frame, words);
    const curves = data.curves ? newest(state.curves, data.curves, () => resync("curves")) : {};
    if (curves) state.page.hold(curves, state.curves.digest);
    if (data.views) newest(state.views, data.views, () => resync("views"));
    const taken = state.page.receive(data.charts);
    if (!frame || !words || !curves) resync("all");
    else if (!taken) resync("charts");
  }
  drawEmpty(state, data.empty);
  beat(state, 0);
  return () => {
    // Streamlit also calls this where a message came while the one before it was being handed over; the page stays then.
    if (state.root.isConnected) return;
    if (state.name) looks.set(nameOf(state.frame.body), { hidden: state.page.hidden });
    state.stopHeartbeat();
    state.place.stop();
    state.keys.stop();
    state.printing.stop();
    state.page.destroy();
    state.root.remove();
    delete parentElement.runvitals;
  };
}

// Asks for a part of the page again, at most once in a while: the answer to an earlier question may be on its way.
function ask(state, part, setTriggerValue) {
  const now_ms = performance.now();
  if (now_ms - (state.asked_ms ?? -Infinity) < ANSWER_MS) return;
  state.asked_ms = now_ms;
  state.page.counted("resyncs");
  setTriggerValue("resync", { part, at_ms: now_ms });
}

// The newest body of one part of the page. One that was overtaken is asked for only where no newer one comes within a few messages.
function newest(kept, sent, ask) {
  if (sent.body) Object.assign(kept, { digest: sent.digest, body: sent.body, missed: 0 });
  else if (kept.digest !== sent.digest) {
    kept.missed = (kept.missed ?? 0) + 1;
    if (kept.body && kept.missed % PATIENCE === 0) ask();
  }
  return kept.body ?? null;
}

function draw(state, frame, words) {
  const { page, parts } = state;
  if (frame.page === "run" && !new URLSearchParams(location.search).has("run")) named(frame.head.id);
  arrange(state, frame);
  state.name ??= lookedAt(page, nameOf(frame));
  const specs = frame.sections.flatMap((section) => section.blocks.filter((block) => block.kind === "chart"))
    .map((spec) => ({ ...spec, ...words.charts?.[spec.id] }));
  page.regard(JSON.stringify([frame.head.id, frame.head.runs?.slice(0, frame.head.colours)]), JSON.stringify([frame.head.runs, frame.head.query]));
  page.specify(specs, { clocks: frame.clocks, marks: words.marks ?? {} });
  state.said = words;
  page.title = frame.head.name ?? frame.page;
  page.compares = frame.page === "compare";
  page.heldAxis = frame.head.axis;
  page.onMoved = () => {
    HEADS[frame.page]?.(parts.head, { state, frame, words: state.said });
    parts.view.hidden = !page.charts.length;
    drawControls(parts.view, page);
  };
  page.after = () => drawSections(parts.body, { state, frame, words: state.said });
  page.onMoved();
  drawSections(parts.body, { state, frame, words });
  drawFoot(parts.foot, { state, frame });
  if (!state.keys.node.isConnected) parts.foot.append(state.keys.node);
  state.place.drawn();
}

// Pins, and the search that finds what to pin.
function arrange(state, frame) {
  const { page, parts } = state;
  state.layout ??= page.layout = new RunLayout(location.search, (layout) => {
    state.tellLayout(layout);
    page.viewVersion++;
    page.later();
    page.onMoved();
  });
  state.search ??= new (SEARCHES[frame.page] ?? SignalSearch)(state);
  if (!parts.find.firstChild) parts.find.append(state.search.node);
  parts.find.hidden = !frame.head.signals;
  state.search.draw(frame.head, state.signals?.body);
}

// Puts the run into an address that names none, so that a copy of it leads here. In place of the entry, so that Back still leads back.
function named(run) {
  const address = new URL(location.href);
  address.searchParams.set("run", run);
  history.replaceState(history.state, "", address);
}

// Of a comparison its runs: what is hidden in one of them is named by its place.
function nameOf({ page, head }) {
  return `${page}:${head.id ?? head.entries?.map((entry) => entry.id)}`;
}

function lookedAt(page, name) {
  Object.assign(page, looks.get(name));
  return name;
}

// What stands in place of a page that has nothing to show yet: what will, and how to bring it about.
function drawEmpty(state, lesson) {
  const text = lesson ? JSON.stringify(lesson) : "";
  state.empty.hidden = !lesson;
  state.parts.foot.hidden = Boolean(lesson);
  if (lesson) state.parts.view.hidden = true;
  if (!lesson || state.empty.dataset.text === text) return;
  state.empty.dataset.text = text;
  state.empty.replaceChildren(el("h1", {}, lesson.title), el("p", { class: "ink2" }, together(lesson.text)), lesson.code ? el("div", { class: "code" }, el("pre", {}, lesson.code)) : "",
    pageLink("", {}, { class: "button" }, "Open Runs"));
}

// Each second: the ages on the screen, and whether the server has gone quiet.
function beat(state, silent_s) {
  const stale = silent_s >= 3 * state.every_s;
  const failed = state.loadError ? [{ key: "plotly", severity: "warning", title: "Charts did not load", text: state.loadError }] : [];
  const notices = [...failed, ...staleNotice(silent_s, { every_s: state.every_s, updated_s: state.now_s }), ...(state.notices ?? [])];
  drawNotices(state.parts.notices, notices);
  state.page.stale = stale;
  setClass(state.root, `rv page${stale ? " silent" : ""}`);
  for (const node of state.root.querySelectorAll("[data-since]")) state.ages?.(node, silent_s);
}
