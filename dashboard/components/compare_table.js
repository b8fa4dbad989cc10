// The table against the baseline: for each run value, difference and, only where a signal has a direction, better or worse.

import { el } from "./base.js";
import { keySwatch } from "./chart_dom.js";

export function drawTable(node, { block }) {
  const text = JSON.stringify(block);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const heads = block.runs.map((run, i) => el("th", { scope: "col", colspan: i ? 3 : 1 }, el("span", { class: `row${i ? "" : " end"}` }, keySwatch("line", run.color, run.dash), el("span", { class: "cut", title: run.name }, i ? run.label : `${run.label}, baseline`))));
  const rows = block.rows.map((row) => el("tr", {},
    el("th", { scope: "row" }, row.title, row.unit ? el("span", { class: "unit" }, ` ${row.unit}`) : null),
    row.cells.flatMap((cell, i) => cells(cell, i === 0))));
  node.replaceChildren(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Against the baseline" }, el("table", { class: "against-table" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Signal"), heads)), el("tbody", {}, rows))));
}

function cells(cell, first) {
  const best = cell.best ? el("span", { class: "best" }, `best ${cell.best}`) : null;
  const value = el("td", { class: cell.missing ? "ink3 number" : "number" }, cell.text, best);
  if (first) return [value];
  return [value, el("td", { class: "number ink2" }, cell.delta ?? ""), el("td", { class: "ink2 verdict-cell" }, cell.verdict ?? "")];
}
