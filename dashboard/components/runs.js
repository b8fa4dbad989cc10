// The Runs page: search, views, and one live table in three groups. A refresh moves nothing under the pointer.

import { el, heartbeat, keyed, kept, received, setAttribute, setText, severityLabel, severityMark, statusLabel, seriesColors } from "./base.js";
import { age, count, revive, signed } from "./format.js";
import { searchField } from "./search.js";
import { spark } from "./spark.js";
import { drawState, serverNow, takePulse, updatedText, watchLine } from "./watch.js";

const GROUPS = [["attention", "Needs attention"], ["running", "Running, no finding"], ["ended", "Ended"]];
const COLUMNS = ["run", "trainer", "health", "finding", "status", "step", "age", "loss", "margin", "alerts"];
const HEADS = ["Run", "Trainer", "Health", "First finding", "Status", "Step", "Last step", "Loss", "Margin", "Alerts"];
const RIGHT = new Set(["step", "age", "alerts"]);
const MOST_COMPARED = 6;
const FULL = `At most ${MOST_COMPARED} runs can be told apart on one chart: take one off to choose another.`;
const LONG_NAME = 40;
const NAME_END = 8;

export default function runs({ data, parentElement, setTriggerValue }) {
  const state = kept(parentElement, () => build(parentElement));
  state.send = setTriggerValue;
  takePulse(state, data);
  cleanAddress();
  const body = received(state, data, setTriggerValue);
  if (body && state.drawn !== state.digest) {
    state.drawn = state.digest;
    drawBody(state, body);
  }
  tick(state);
  return state.stop;
}

/** Going to another page leaves its words in this page's entry of the history; back here they mean nothing. */
function cleanAddress() {
  const address = new URL(location.href);
  const stale = ["run", "compare", "alert"].filter((name) => address.searchParams.has(name));
  if (!stale.length || /\/(run|compare|alerts)\/?$/.test(address.pathname)) return;
  for (const name of stale) address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
}

function build(parent) {
  const state = { picked: new Set(), watchLine: watchLine() };
  state.count = el("span", { class: "count" });
  state.noticeBox = el("div", { class: "notices" });
  state.search = searchField({ placeholder: "Name, or trainer:dpo, margin<0, config.beta=0.1", onsearch: (text) => state.send("query", text) });
  state.compare = el("button", { class: "button", type: "button", disabled: true, onclick: () => state.send("compare", [...state.picked]) }, "Compare (select 2–6)");
  state.full = el("p", { class: "full-line", role: "status", hidden: true }, FULL);
  state.views = el("div", { class: "row", style: { flexWrap: "wrap" } });
  state.troubles = el("div", { class: "troubles", role: "status" });
  state.tables = Object.fromEntries(GROUPS.map(([name, words]) => [name, groupOf(words)]));
  state.nothing = el("p", { class: "none", hidden: true }, "No run answers this search.");
  state.table = el(
    "table",
    { "aria-label": "Runs", onpointerenter: () => (state.over = true), onpointerleave: () => leave(state), onkeydown: (event) => walk(state, event) },
    el("thead", {}, el("tr", {}, COLUMNS.map((name, at) => el("th", { scope: "col", class: columnClass(name) }, HEADS[at])))),
    GROUPS.map(([name]) => state.tables[name].node),
  );
  state.updated = el("span", { class: "updated" });
  state.root = el(
    "div",
    { class: "rv" },
    state.noticeBox,
    el("div", { class: "title" }, el("h1", {}, "Runs"), state.count, el("div", { class: "controls" }, state.watchLine.node)),
    el("div", { class: "search" }, state.search.node, state.compare),
    state.full,
    el("div", { class: "views" }, state.views, el("span", { class: "hint" }, "name · trainer: · status: · health: · step> · margin< · alert: · config.beta=0.1")),
    state.troubles,
    state.table,
    state.nothing,
    foot(state.updated),
  );
  parent.append(state.root);
  state.stop = heartbeat(state, () => tick(state));
  return state;
}

function foot(updated) {
  const words = { healthy: "healthy: no rule fires, which is not the same as correct", warning: "warning", critical: "critical", unknown: "unknown: not enough data" };
  return el("div", { class: "foot" }, Object.entries(words).map(([name, text]) => el("span", { class: "mark" }, severityMark(name), text)), updated);
}

function columnClass(name) {
  return RIGHT.has(name) ? `c-${name} right` : `c-${name}`;
}

function groupOf(words) {
  const number = el("span");
  const rest = COLUMNS.slice(1).map((name) => el("td", { class: columnClass(name) }));
  const head = el("tbody", {}, el("tr", { class: "group" }, el("th", { scope: "rowgroup" }, words, " ", number), rest));
  const rows = el("tbody");
  const node = [head, rows];
  return { node, head, rows, number };
}

function drawBody(state, body) {
  setText(state.count, `${count(body.total)} ${body.total === 1 ? "run" : "runs"}, ${count(body.live)} running`);
  state.search.update(body.query, body.troubles);
  keyed(state.views, body.views, {
    key: (view) => view.name,
    make: (view) => el("button", { class: "pill", type: "button", onclick: () => state.search.set(view.query) }, view.name),
    update: (node, view) => setAttribute(node, "aria-pressed", String(view.query === body.query)),
  });
  keyed(state.troubles, body.troubles, {
    key: (trouble) => trouble.term,
    make: (trouble) => el("span", { class: "mark" }, severityMark("warning"), `${trouble.term}: ${trouble.reason}; left out`),
    update: () => {},
  });
  const known = new Set(body.rows.map((row) => row.id));
  for (const id of state.picked) if (!known.has(id)) state.picked.delete(id);
  drawRows(state, body.rows);
  drawCompare(state);
}

/** While the pointer is over the table every row keeps its place; only new rows come in and gone rows leave. */
function drawRows(state, rows) {
  state.colors = seriesColors(state.root);
  const held = state.over && state.order ? holdOrder(state.order, rows) : null;
  state.order = held ?? rows.map((row) => ({ id: row.id, group: row.group }));
  state.waiting = held !== null;
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const [name] of GROUPS) {
    const mine = state.order.filter((place) => place.group === name).map((place) => byId.get(place.id));
    const table = state.tables[name];
    keyed(table.rows, mine, { key: (row) => row.id, make: (row) => makeRow(state, row), update: (node, row) => updateRow(state, node, row) });
    setText(table.number, count(mine.length));
    table.head.hidden = !mine.length;
  }
  state.nothing.hidden = rows.length > 0;
  state.table.hidden = !rows.length;
}

function holdOrder(order, rows) {
  const places = new Map(order.map((place) => [place.id, place]));
  const present = new Set(rows.map((row) => row.id));
  const old = order.filter((place) => present.has(place.id));
  return [...old, ...rows.filter((row) => !places.has(row.id)).map((row) => ({ id: row.id, group: row.group }))];
}

function leave(state) {
  state.over = false;
  if (state.waiting) drawRows(state, state.body.rows);
}

function makeRow(state, row) {
  const cells = Object.fromEntries(COLUMNS.map((name) => [name, el("td", { class: columnClass(name) })]));
  const pick = el("input", {
    type: "checkbox", class: "pick", "aria-label": `Compare ${row.name}`, tabindex: -1,
    onclick: (event) => event.stopPropagation(), onchange: () => choose(state, row.id, pick.checked),
  });
  const link = el("a", { href: `./run?run=${encodeURIComponent(row.id)}`, tabindex: -1, title: row.project ? `${row.project} / ${row.name}` : row.name });
  const finding = el("div", { class: "under cut ink2" });
  cells.run.append(el("div", { class: "name" }, pick, el("div", { class: "grow" }, el("div", { class: "cut" }, link), finding)));
  const open = (event) => {
    // A modified click is the browser's: a new tab or window.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    state.send("open", row.id);
  };
  const node = el("tr", { class: "run", tabindex: 0, onclick: open }, COLUMNS.map((name) => cells[name]));
  node.runvitals = { cells, pick, link, finding, parts: {} };
  return node;
}

function choose(state, id, on) {
  if (on && state.picked.size < MOST_COMPARED) state.picked.add(id);
  else if (!on) state.picked.delete(id);
  for (const table of Object.values(state.tables)) for (const node of table.rows.children) drawPicked(state, node);
  drawCompare(state);
}

function drawPicked(state, node) {
  const on = state.picked.has(node.dataset.key);
  node.runvitals.pick.checked = on;
  setAttribute(node, "aria-selected", String(on));
  const full = !on && state.picked.size >= MOST_COMPARED;
  node.runvitals.pick.classList.toggle("full", full);
  setAttribute(node.runvitals.pick, "title", full ? FULL : on ? "Chosen for comparison" : "Choose for comparison");
}

function drawCompare(state) {
  const many = state.picked.size;
  setText(state.compare, many ? `Compare ${many}${many < 2 ? " (select 2–6)" : ""}` : "Compare (select 2–6)");
  state.compare.disabled = many < 2;
  state.compare.classList.toggle("primary", many >= 2);
  state.full.hidden = many < MOST_COMPARED;
}

/** Draws a cell anew only where what it shows changed. */
function cell(node, name, shown, draw) {
  const { cells, parts } = node.runvitals;
  const text = JSON.stringify(shown);
  if (parts[name] === text) return;
  parts[name] = text;
  cells[name].replaceChildren(...[draw()].flat().filter(Boolean));
}

function updateRow(state, node, row) {
  node.runvitals.row = row;
  node.style.setProperty("--run", state.colors[row.color % state.colors.length]);
  drawName(node.runvitals.link, row.name);
  setText(node.runvitals.finding, row.finding);
  drawPicked(state, node);
  cell(node, "trainer", row.trainer, () => el("span", { class: "ink2" }, row.trainer.toUpperCase()));
  cell(node, "health", row.health, () => severityLabel(row.health));
  cell(node, "finding", row.finding, () => el("div", { class: "cut ink2", title: row.finding }, row.finding));
  cell(node, "status", row.status, () => statusLabel(row.status));
  cell(node, "step", [row.step, row.max_steps], () => steps(row));
  cell(node, "loss", [row.loss, row.loss_of], () => loss(row));
  cell(node, "margin", [row.margin, row.margin_now, row.margin_of], () => margin(row));
  cell(node, "alerts", [row.alerts, row.acknowledged, row.muted, row.health], () => alertCount(row));
}

/** A long name is cut in its middle: runs of one sweep differ at the end. */
function drawName(link, name) {
  if (link.textContent === name) return;
  if (name.length <= LONG_NAME) link.replaceChildren(name);
  else link.replaceChildren(el("span", { class: "cut" }, name.slice(0, -NAME_END)), el("span", {}, name.slice(-NAME_END)));
  link.classList.toggle("long", name.length > LONG_NAME);
}

function steps(row) {
  const done = row.max_steps ? Math.min(1, (row.step ?? 0) / row.max_steps) : 0;
  const bar = row.max_steps ? el("span", { class: "bar" }, el("i", { style: { width: `${(100 * done).toFixed(1)}%` } })) : null;
  const of = row.max_steps ? el("span", { class: "ink2" }, ` / ${count(row.max_steps)}`) : null;
  return el("span", { class: "steps" }, count(row.step ?? (row.max_steps ? 0 : null)), of, bar);
}

function loss(row) {
  if (!row.loss.length) return el("span", { class: "ink3 small" }, row.step === null ? "no step yet" : "not logged");
  return el("div", { title: `${row.loss_of}: ${row.loss_of === "Loss" ? "what is minimised" : "this trainer logs no loss as a whole"}` }, spark(row.loss));
}

/** Open alerts; where none is open, the incidents that somebody has acknowledged (hollow) or muted (struck through). */
function alertCount(row) {
  const name = row.health === "critical" ? "critical" : "warning";
  const seen = row.acknowledged + row.muted;
  const title = seen ? `${count(row.alerts)} open, ${count(row.acknowledged)} acknowledged, ${count(row.muted)} muted` : null;
  if (row.alerts || !seen) return el("span", { class: row.alerts ? name : "ink2", title }, count(row.alerts));
  return el("span", { class: "mark", title }, severityMark(name, { hollow: true, muted: !row.acknowledged, size: 10 }), el("span", { class: "ink2" }, count(seen)));
}

function margin(row) {
  const curve = row.margin.length ? spark(row.margin) : el("span", { class: "ink3 small" }, row.step === null ? "" : "no probe");
  return el("div", { class: "marginal", title: row.margin_of ? `Margin on ${row.margin_of}` : null }, curve, el("span", { class: "value" }, signed(revive(row.margin_now))));
}

/** What moves with the clock alone. */
function tick(state) {
  const now_s = serverNow(state);
  drawState(state.root, state.noticeBox, state);
  state.watchLine.update(state.watch, now_s);
  setText(state.updated, updatedText(state));
  for (const table of Object.values(state.tables)) {
    for (const node of table.rows.children) {
      const { cells, row } = node.runvitals;
      setText(cells.age, row.last_step_s === null ? "—" : age(now_s - row.last_step_s));
      cells.age.classList.toggle("late", ["stalled", "hung", "crashed"].includes(row.status));
    }
  }
}

/** Arrows walk the rows, Enter opens, Space chooses for comparison. */
function walk(state, event) {
  const node = event.target.closest("tr.run");
  if (!node) return;
  const rows = [...state.table.querySelectorAll("tr.run")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) rows[rows.indexOf(node) + step]?.focus();
  else if (event.key === "Enter") state.send("open", node.dataset.key);
  else if (event.key === " ") choose(state, node.dataset.key, !state.picked.has(node.dataset.key));
  else return;
  event.preventDefault();
}
