// The table against the baseline: value, difference and, only where a signal has a direction, better or worse. A few runs or groups are
// columns; many are rows, which a click on a head sorts.

import { el } from "./base.js";
import { keySwatch } from "./chart_dom.js";
import { saveTable } from "./compare_copy.js";
import { choose, first } from "./compare_state.js";
import { pageLink } from "./pages.js";

const MOST_COLUMNS = 6;
// From so many columns on the difference stands below its value: three columns a run have no room.
const STACKED_FROM = 4;
// What the signals with the baseline, and each further run in three columns, need at least.
const [SIGNAL_PX, COLUMNS_PX] = [420, 330];

export function drawTable(node, { block, state }) {
  const kept = (node.runvitals ??= { by: null, down: true });
  const many = block.runs.length > MOST_COLUMNS;
  const stacked = block.runs.length >= STACKED_FROM || (node.clientWidth > 0 && node.clientWidth < SIGNAL_PX + COLUMNS_PX * (block.runs.length - 1));
  const text = JSON.stringify([block, kept.by, kept.down, stacked]);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const active = node.getRootNode().activeElement;
  const focused = node.contains(active) ? active.dataset.choice ?? "region" : null;
  const table = many ? tall(block, { state, kept, again: () => drawTable(node, { block, state }) }) : wide(block, stacked);
  const scrolled = node.querySelector(".scroll");
  const [left, top] = [scrolled?.scrollLeft ?? 0, scrolled?.scrollTop ?? 0];
  node.replaceChildren(el("div", { class: "scroll against", tabindex: "0", role: "region", "aria-label": "Against the baseline" }, table),
    el("button", { class: "button", type: "button", "data-choice": "csv", title: "The values of this table, with every digit they have", onclick: () => saveTable(block) }, "Values as CSV"));
  Object.assign(node.firstChild, { scrollLeft: left, scrollTop: top });
  if (focused) (node.querySelector(`[data-choice="${CSS.escape(focused)}"]`) ?? node.firstChild).focus({ preventScroll: true });
}

function wide({ runs, rows }, stacked) {
  const heads = runs.map((run, i) => el("th", { scope: "col", colspan: i && !stacked ? 3 : 1 }, el("span", { class: `row${i && !stacked ? "" : " end"}` }, keySwatch("line", run.color, run.dash), el("span", { class: "cut", title: run.name }, `${stacked ? run.short : run.label}${i ? "" : ", baseline"}`))));
  const body = rows.map((row) => el("tr", {}, el("th", { scope: "row" }, title(row)), row.cells.flatMap((cell, i) => cells(cell, { baseline: i === 0, stacked }))));
  return el("table", { class: `against-table${stacked ? " stacked" : ""}` }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Signal"), heads)), el("tbody", {}, body));
}

function title(row) {
  return [row.title, row.unit ? el("span", { class: "unit" }, ` ${row.unit}`) : null, row.good ? el("span", { class: "best" }, row.good) : null];
}

function valueOf(cell) {
  const text = cell.lead ? el("b", { title: "The best here, or not worse than it" }, cell.text, el("span", { class: "said-only" }, ", best")) : cell.text;
  return [text, cell.spread ? el("span", { class: "ink2" }, ` ${cell.spread}`) : null, cell.note ? el("span", { class: "best" }, cell.note) : null];
}

function cells(cell, { baseline, stacked }) {
  const value = el("td", { class: cell.missing ? "ink3 number" : "number" }, stacked ? [valueOf({ ...cell, note: null }), beside(cell), valueOf({ text: "", note: cell.note })] : valueOf(cell));
  if (baseline || stacked) return [value];
  return [value, el("td", { class: "number ink2" }, cell.delta ?? ""), el("td", { class: "ink2 verdict-cell" }, cell.verdict ?? "")];
}

function tall({ runs, rows }, { state, kept, again }) {
  const order = sorted(runs.map((_, i) => i), rows, kept);
  const sort = (name) => () => {
    Object.assign(kept, kept.by === name ? (kept.down ? { down: false } : { by: null, down: true }) : { by: name, down: true });
    again();
  };
  const heads = rows.map((row) => el("th", { scope: "col", "aria-sort": kept.by === row.name ? (kept.down ? "descending" : "ascending") : "none" },
    el("button", { class: "sort", type: "button", "data-choice": `sort:${row.name}`, title: row.good || null, onclick: sort(row.name) }, row.title, kept.by === row.name ? (kept.down ? " ↓" : " ↑") : "", row.unit ? el("span", { class: "unit" }, ` ${row.unit}`) : null)));
  const body = order.map((place) => el("tr", { class: place ? "" : "baseline" }, el("th", { scope: "row" }, who(runs[place], { place, state })),
    rows.map((row) => el("td", { class: row.cells[place].missing ? "ink3 number" : "number" }, valueOf(row.cells[place]), beside(row.cells[place])))));
  return el("table", { class: "against-table tall" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Run or group"), heads)), el("tbody", {}, body));
}

function beside(cell) {
  return cell.delta ? el("span", { class: "best" }, cell.delta, cell.verdict ? ` ${cell.verdict}` : "") : null;
}

// The baseline stays on top; what has no value stands last.
function sorted(places, rows, { by, down }) {
  const row = rows.find(({ name }) => name === by);
  if (!row) return places;
  const value = (place) => row.cells[place].value ?? (down ? -Infinity : Infinity);
  return [0, ...places.slice(1).sort((a, b) => (down ? value(b) - value(a) : value(a) - value(b)) || a - b)];
}

function who(run, { place, state }) {
  const coloured = place < MOST_COLUMNS;
  const runs = () => state.frame.body.head.runs;
  const ids = () => run.members.map((at) => runs()[at]);
  const to = (compare) => choose(state, { compare }, state.frame.body.head.query);
  const recolour = () => to(first(runs(), [...state.frame.body.head.entries[0].members.map((at) => runs()[at]), ...ids()]));
  const name = run.run ? pageLink("run", { run: run.run }, { class: "cut", title: run.name }, run.label) : el("span", { class: "cut", title: run.name }, run.label);
  const act = (id, title, words, onclick) => el("button", { class: "chip", type: "button", "data-choice": `${id}:${run.id}`, title, "aria-label": `${title}: ${run.name}`, onclick }, words);
  return el("span", { class: "row who" }, keySwatch("line", coloured ? run.color : "var(--ink3)", coloured ? run.dash : "solid"), name,
    place === 0 ? el("span", { class: "chip" }, "baseline") : act("base", "Make this the baseline", "as baseline", () => to(first(runs(), ids()))),
    coloured || !run.run ? null : act("colour", "Show in colour", "in colour", recolour));
}
