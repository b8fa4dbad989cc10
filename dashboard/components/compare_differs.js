// What differs between the runs' settings: unequal ones only, shaded where a run differs from the baseline.

import { el } from "./base.js";
import { keySwatch } from "./chart_dom.js";

export function drawDiffers(node, { block }) {
  const text = JSON.stringify(block);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const heads = block.runs.map((run, i) => el("th", { scope: "col" }, el("span", { class: "row end" }, keySwatch("line", run.color, run.dash), el("span", { class: "cut" }, i ? run.short : "baseline"))));
  const rows = block.rows.map((row) => el("tr", {}, el("th", { scope: "row" }, el("code", { class: "cut", title: row.name }, row.name)), row.values.map((value, i) => cell(value, row, i))));
  node.replaceChildren(
    el("div", { class: "section-head" }, el("h2", {}, "What differs"), el("span", { class: "section-sentence" }, block.sentence)),
    rows.length ? el("div", { class: "scroll" }, el("table", { class: "differs-table" }, el("thead", {}, el("tr", {}, el("th"), heads)), el("tbody", {}, rows))) : null,
    el("p", { class: "small ink2" }, block.foot));
}

function cell(value, row, i) {
  const differs = i > 0 && value !== row.values[0];
  return el("td", { class: differs ? "differs-cell" : i ? "" : "ink2", title: value }, el("span", { class: "cut" }, value));
}
