// What differs between the runs' settings: unequal ones only, shaded where a run differs from the baseline.
// As high as the chart beside it; what is more scrolls inside. Settings that only some runs have are folded.

import { el, setAttribute, setText } from "./base.js";
import { keySwatch } from "./chart_dom.js";
import { count } from "./format.js";

// A list that fits needs no search.
const SEARCHED_FROM = 12;
const HEAD_PX = 40;

export function drawDiffers(node, { block }) {
  const text = JSON.stringify(block);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const kept = node.runvitals ?? { open: false, query: "" };
  const parts = { all: el("tbody"), some: el("tbody"), toggle: el("button", { class: "fold", type: "button" }), none: el("p", { class: "ink2 small none", hidden: true }, "No setting has this in its name or value.") };
  const find = el("input", { type: "search", class: "find", placeholder: "Find a setting", "aria-label": "Find a setting", value: kept.query });
  const state = (node.runvitals = { ...kept, block, parts });
  find.addEventListener("input", () => {
    state.query = find.value;
    drawRows(state);
  });
  parts.toggle.addEventListener("click", () => {
    state.open = !state.open;
    drawRows(state);
    // What was just opened lies below the edge: it comes up, and the page stays where it is.
    const scroller = parts.toggle.closest(".scroll");
    if (state.open) scroller.scrollTop += parts.toggle.getBoundingClientRect().top - scroller.getBoundingClientRect().top - HEAD_PX;
  });
  const heads = block.runs.map((run, i) => el("th", { scope: "col" }, el("span", { class: "row end" }, keySwatch("line", run.color, run.dash), el("span", { class: "cut", title: run.name }, i ? run.short : "baseline"))));
  const fold = el("tbody", {}, el("tr", {}, el("th", { colspan: block.runs.length + 1, class: "fold-cell" }, parts.toggle)));
  fold.hidden = !block.some.length;
  const many = block.rows.length + block.some.length;
  node.replaceChildren(
    el("div", { class: "section-head" }, el("h2", {}, "What differs"), el("span", { class: "section-sentence" }, block.sentence), many >= SEARCHED_FROM ? find : ""),
    many ? el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Settings that differ" }, el("table", { class: "differs-table" }, el("thead", {}, el("tr", {}, el("th"), heads)), parts.all, fold, parts.some), parts.none) : "",
    el("p", { class: "small ink2" }, block.foot));
  drawRows(state);
}

function drawRows({ block, parts, open, query }) {
  const wanted = query.trim().toLowerCase();
  const found = (rows) => rows.filter((row) => [row.name, ...row.values].some((text) => text.toLowerCase().includes(wanted)));
  const [all, some] = [found(block.rows), found(block.some)];
  // Who searches wants what is there, folded or not.
  const unfolded = open || wanted !== "";
  parts.all.replaceChildren(...all.map(row));
  parts.some.replaceChildren(...(unfolded ? some.map(row) : []));
  setText(parts.toggle, `${unfolded ? "▾" : "▸"} settings that only some runs have (${count(some.length)})`);
  setAttribute(parts.toggle, "aria-expanded", String(unfolded));
  parts.none.hidden = all.length + some.length > 0;
}

function row({ name, values }) {
  return el("tr", {}, el("th", { scope: "row" }, el("code", { class: "cut", title: name }, name)), values.map((value, i) => cell(value, { values, i })));
}

function cell(value, { values, i }) {
  const differs = i > 0 && value !== values[0];
  return el("td", { class: differs ? "differs-cell" : i ? "" : "ink2", title: value }, el("span", { class: "cut" }, value));
}
