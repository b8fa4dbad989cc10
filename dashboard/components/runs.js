// The Runs page: search, views, and one live table in groups. A refresh moves nothing under the pointer.

import { atEnd, el, heartbeat, keyed, kept, setAttribute, setText, severityMark, seriesColors } from "./base.js";
import { deedSender } from "./deeds.js";
import { count } from "./format.js";
import { openPage } from "./pages.js";
import { actionBar } from "./runs_bar.js";
import { rowKeys } from "./runs_keys.js";
import { takeParts } from "./runs_parts.js";
import { COLUMNS, HEADS, columnClass, drawPicked, makeRow, tickRow, updateRow } from "./runs_row.js";
import { cleanAddress, keptPlace } from "./runs_place.js";
import { grouping, lookOf, saveView, viewPills } from "./runs_views.js";
import { searchField } from "./search.js";
import { suggestions } from "./search_suggest.js";
import { drawState, serverNow, takePulse, updatedText, watchLine } from "./watch.js";

const MOST_COMPARED = 50;
const MORE_ROWS = 120;
const NUMBERS = new Set(["step", "loss", "margin", "alerts"]);

export default function runs({ data, parentElement, setTriggerValue }) {
  const state = kept(parentElement, () => build(parentElement));
  state.send = setTriggerValue;
  takePulse(state, data);
  cleanAddress();
  if (takeParts(state, data, setTriggerValue)) drawBody(state);
  tick(state);
  return state.stop;
}

function build(parent) {
  // `unanswered`: what the user changed and no answer shows yet, so that a second change made meanwhile does not undo the first.
  const state = { unanswered: {}, folds: new Map(), picked: new Set(), remembered: new Map(), rows: new Map(), all: false, watchLine: watchLine() };
  state.place = keptPlace(state);
  state.onpick = (id, event) => pick(state, id, event);
  state.onopen = (id) => (state.place.write(), openPage("run", { run: id }));
  state.oncompare = (ids) => (state.place.write(), openPage("compare", { compare: ids.join(",") }));
  state.choose = (ids, all) => choose(state, ids, all);
  state.onterm = (term) => !state.search.text().includes(term) && state.search.set(`${state.search.text()} ${term}`.trim());
  state.clear = () => choose(state, [], false);
  state.pickAll = () => choose(state, [...state.picked], true);
  const look = (changes) => {
    state.unanswered = { ...state.unanswered, ...changes };
    state.send("look", { ...lookOf(state.parts.head), q: state.search.text(), ...state.unanswered });
  };
  state.look = look;
  state.deed = deedSender((event, value) => state.send(event, value));
  state.count = el("span", { class: "count" });
  state.noticeBox = el("div", { class: "notices" });
  state.search = searchField({ placeholder: "Name, or trainer:dpo, lr>1e-5, margin<0, tag:baseline", onsearch: (q) => state.parts && look({ q }), onleave: () => state.tbody.querySelector("tr.run")?.focus() });
  suggestions(state.search, () => state.parts?.words);
  state.group = grouping(state, { ongroup: (by) => look({ by }) });
  state.compare = el("button", { class: "button", type: "button", disabled: true, onclick: () => state.bar.start("compare") });
  state.views = viewPills(state, { onlook: (to) => (state.search.show(to.q), look(to)) });
  state.troubles = el("div", { class: "troubles", role: "status" });
  state.nothing = el("p", { class: "none", hidden: true }, "No run answers this search.");
  state.whole = el("input", { type: "checkbox", class: "whole", "aria-label": "Choose all rows shown", onclick: () => choose(state, state.whole.checked ? [...state.rows.keys()] : [], false) });
  state.heads = COLUMNS.map((name, at) => el("th", { scope: "col", class: columnClass(name) }, name === "run" ? state.whole : null, el("button", { class: "sort", type: "button", onclick: () => look({ sort: nextSort(state.parts.head.sort, name) }) }, HEADS[at])));
  state.tbody = el("tbody");
  state.table = el(
    "table",
    { "aria-label": "Runs", onpointerenter: () => (state.over = true), onpointerleave: () => leave(state), onkeydown: (event) => state.keys.walk(event) },
    el("thead", {}, el("tr", {}, state.heads)),
    state.tbody,
  );
  state.more = el("button", { class: "button more", type: "button", hidden: true, onclick: () => ((state.moreAfter = null), more(state)) });
  state.bar = actionBar(state);
  state.updated = el("span", { class: "updated" });
  state.keys = rowKeys(state);
  state.root = el(
    "div",
    { class: "rv" },
    state.noticeBox,
    el("div", { class: "title" }, el("h1", {}, "Runs"), state.count, el("div", { class: "controls" }, state.watchLine.node)),
    el("div", { class: "search" }, state.search.node, state.group.node, saveView(state), state.compare),
    el("div", { class: "views" }, state.views.node, el("span", { class: "hint" }, "name · trainer: · tag: · health: · step> · margin< · lr>1e-5")),
    state.troubles,
    state.table,
    state.nothing,
    state.more,
    foot(state),
    state.bar.node,
  );
  parent.append(state.root);
  // The page scrolls inside an element of Streamlit's, where `rootMargin` reaches nothing: `scrollMargin` asks before the end is seen.
  state.near = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && more(state), { scrollMargin: "800px", rootMargin: "800px" });
  const beat = heartbeat(state, () => tick(state));
  const back = () => ((state.unanswered = {}), state.search.show(new URL(location.href).searchParams.get("q") ?? ""));
  addEventListener("popstate", back);
  state.stop = atEnd(state.root, () => {
    state.place.stop();
    removeEventListener("popstate", back);
    state.keys.stop();
    state.near.disconnect();
    beat();
  });
  return state;
}

function foot(state) {
  const words = { healthy: "healthy: no rule fires, which is not the same as correct", warning: "warning", critical: "critical", unknown: "unknown: not enough data" };
  return el("div", { class: "foot" }, Object.entries(words).map(([name, text]) => el("span", { class: "mark" }, severityMark(name), text)), state.keys.node, state.updated);
}

/** First the way that is mostly wanted: words from A on, numbers from the largest; then the other way; then the usual order. */
function nextSort(now, name) {
  const [first, second] = NUMBERS.has(name) ? [`-${name}`, name] : [name, `-${name}`];
  return now === first ? second : now === second ? "" : first;
}

function drawBody(state) {
  const { head } = state.parts;
  settle(state);
  const archived = head.archived ? `, ${count(head.archived)} archived` : "";
  const answered = head.q ? `, ${count(head.found)} found` : "";
  setText(state.count, `${count(head.total)} ${head.total === 1 ? "run" : "runs"}, ${count(head.live)} running${archived}${answered}`);
  // An answer to what was asked before must not take away what was typed since.
  state.search.update(state.unanswered.q?.trim() ?? head.q, head.troubles);
  state.views.update();
  state.group.update();
  keyed(state.troubles, head.troubles, {
    key: (trouble) => `${trouble.term} ${trouble.reason}`,
    make: (trouble) => el("span", { class: "mark" }, severityMark("warning"), `${trouble.term}: ${trouble.reason}; left out`),
    update: () => {},
  });
  state.heads.forEach((node, at) => drawSort(node, COLUMNS[at], head.sort));
  for (const id of state.picked) if (state.rows.has(id)) state.remembered.set(id, state.rows.get(id));
  // "All that answer the search" was said of that search; what answers another one nobody has chosen.
  if (state.allOf !== head.q) state.all = false;
  drawRows(state);
  if (state.limit !== head.limit) state.moreAfter = null;
  state.limit = head.limit;
  state.more.hidden = !head.rest;
  // Looked at anew, for rows that are few or folded may leave the end as near as it was, of which nobody is told.
  state.near.unobserve(state.more);
  state.near.observe(state.more);
  setText(state.more, `${count(head.rest)} more`);
  drawChoice(state);
  state.place.drawn();
}

/** Forgets what was asked once the answer to it is here. */
function settle(state) {
  const now = lookOf(state.parts.head);
  const asked = lookOf({ q: "", by: "", sort: "", ...state.unanswered });
  for (const name of Object.keys(state.unanswered)) if (asked[name].trim() === now[name]) delete state.unanswered[name];
  const folded = new Map(state.parts.groups.map((group) => [group.key, group.folded]));
  for (const [key, wanted] of state.folds) if (!folded.has(key) || folded.get(key) === wanted) state.folds.delete(key);
}

function drawSort(node, name, sort) {
  const way = sort === name ? "ascending" : sort === `-${name}` ? "descending" : null;
  setAttribute(node, "aria-sort", way);
}

/** While the pointer is over the table every row keeps its place; only new rows come in and gone rows leave. Another question moves them. */
function drawRows(state) {
  const { head, groups } = state.parts;
  state.colors = seriesColors(state.root);
  const asked = JSON.stringify([lookOf(head), groups.map((group) => [group.key, group.folded])]);
  const order = groups.flatMap((group) => group.ids.map((id) => ({ id, group: group.key })));
  const held = state.over && state.asked === asked && state.order ? holdOrder(state.order, order) : null;
  state.asked = asked;
  state.order = held ?? order;
  state.waiting = held !== null;
  const items = groups.flatMap((group) => [{ group }, ...state.order.filter((place) => place.group === group.key).map((place) => ({ row: state.rows.get(place.id) }))]);
  keyed(state.tbody, items, {
    key: (item) => (item.row ? `row ${item.row.id}` : `group ${item.group.key}`),
    make: (item) => (item.row ? makeRow(state, item.row) : makeHead(state)),
    update: (node, item) => (item.row ? updateRow(state, node, item.row) : updateHead(state, node, item.group)),
  });
  state.keys.update();
  state.nothing.hidden = head.found > 0;
  state.table.hidden = !head.found;
}

function holdOrder(old, order) {
  const places = new Set(old.map((place) => place.id));
  const present = new Set(order.map((place) => place.id));
  return [...old.filter((place) => present.has(place.id)), ...order.filter((place) => !places.has(place.id))];
}

function makeHead(state) {
  const label = el("span", { class: "cut" });
  const number = el("span", { class: "number" });
  const needing = el("span", { class: "needing" });
  const button = el("button", { class: "fold", type: "button", onclick: () => fold(state, node.runvitals.group) }, el("span", { class: "arrow", "aria-hidden": "true" }), label, number, needing);
  // A cell for each column, for one that spans them all would bring hidden columns back; what is written runs over the empty ones.
  const rest = COLUMNS.slice(1).map((name) => el("td", { class: columnClass(name) }));
  const node = el("tr", { class: "group" }, el("th", { scope: "rowgroup" }, button), rest);
  node.runvitals = { label, number, needing, button };
  return node;
}

/** Tells how every group is wanted of which no answer shows it yet: said twice, or overtaken by the next, it means the same. */
function fold(state, group) {
  state.folds.set(group.key, !(state.folds.get(group.key) ?? group.folded));
  state.send("fold", [...state.folds]);
}

function updateHead(state, node, group) {
  const parts = node.runvitals;
  parts.group = group;
  setText(parts.label, group.label);
  setText(parts.number, count(group.count));
  const tells = state.parts.head.by !== "attention" && group.needing > 0;
  setText(parts.needing, tells ? `${count(group.needing)} ${group.needing === 1 ? "needs" : "need"} attention` : "");
  setAttribute(parts.button, "aria-expanded", String(!group.folded));
}

function leave(state) {
  state.over = false;
  if (state.waiting) drawRows(state);
}

/** Rows come as they are scrolled to: once for each number of rows that there are. */
function more(state) {
  const limit = state.parts?.head.limit;
  if (!limit || !state.parts.head.rest || state.moreAfter === limit) return;
  state.moreAfter = limit;
  state.send("more", limit + MORE_ROWS);
}

/** With Shift all rows from the last chosen one to this. */
function pick(state, id, event) {
  const on = !state.picked.has(id);
  const ids = state.order.map((place) => place.id);
  const [from, to] = [ids.indexOf(state.anchor), ids.indexOf(id)].sort((one, other) => one - other);
  const some = event?.shiftKey && from >= 0 ? ids.slice(from, to + 1) : [id];
  state.anchor = id;
  const kept = new Set(state.picked);
  for (const one of some) on ? kept.add(one) : kept.delete(one);
  choose(state, [...kept], false);
}

function choose(state, ids, all) {
  state.picked = new Set(ids);
  state.all = all;
  state.allOf = state.parts.head.q;
  // Another search may hide a chosen run; what it was like is still known.
  state.remembered = new Map(ids.map((id) => [id, state.rows.get(id) ?? state.remembered.get(id)]));
  drawChoice(state);
  state.place.later();
}

function drawChoice(state) {
  for (const node of state.tbody.querySelectorAll("tr.run")) drawPicked(state, node);
  const many = state.picked.size;
  setText(state.compare, many ? `Compare ${count(many)}` : `Compare (select 2–${MOST_COMPARED})`);
  state.compare.disabled = many < 2 || many > MOST_COMPARED;
  state.compare.classList.toggle("primary", !state.compare.disabled);
  const here = [...state.rows.keys()].filter((id) => state.picked.has(id)).length;
  state.whole.checked = here > 0 && here === state.rows.size;
  state.whole.indeterminate = here > 0 && here < state.rows.size;
  if (state.parts) state.bar.update();
}

function tick(state) {
  const now_s = serverNow(state);
  state.watchLine.update(drawState(state.root, state.noticeBox, state), now_s);
  setText(state.updated, updatedText(state));
  for (const node of state.tbody.querySelectorAll("tr.run")) tickRow(node, now_s);
}
