// What differs between the runs' settings: unequal ones only. A few runs: each its column, shaded where it differs from the baseline.
// Many: each value once, with how many runs have it. As high as the chart beside it; settings that only some runs have are folded.

import { el, setAttribute, setText } from "./base.js";
import { keySwatch } from "./chart_dom.js";
import { settingsMarkdown } from "./compare_copy.js";
import { choose } from "./compare_state.js";
import { copyButton } from "./copy.js";
import { count, together } from "./format.js";

// A list that fits needs no search.
const SEARCHED_FROM = 8;
const HEAD_PX = 40;

export function drawDiffers(node, { block, state: page }) {
  const text = JSON.stringify(block);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const kept = node.runvitals ?? { open: false, query: "" };
  const parts = { all: el("tbody"), some: el("tbody"), toggle: el("button", { class: "fold", type: "button" }), none: el("p", { class: "ink2 small none", hidden: true }, "No setting has this in its name or value.") };
  const focused = node.contains(node.getRootNode().activeElement) ? node.getRootNode().activeElement.dataset.choice : null;
  const find = el("input", { type: "search", class: "find", placeholder: "Find a setting", "aria-label": "Find a setting", "data-choice": "find", value: kept.query });
  const state = (node.runvitals = { ...kept, block, parts, page });
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
  const fold = el("tbody", {}, el("tr", {}, el("th", { colspan: block.summed ? 2 : block.runs.length + 1, class: "fold-cell" }, parts.toggle)));
  fold.hidden = !block.some.length;
  const many = block.rows.length + block.some.length;
  node.replaceChildren(
    el("div", { class: "section-head" }, el("h2", {}, "What differs"), el("span", { class: "section-sentence" }, together(block.sentence)), many >= SEARCHED_FROM ? find : "", many ? copyButton("Copy", { text: () => settingsMarkdown(block), title: "Copy as a Markdown table", instead: "No clipboard here" }) : ""),
    many ? el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Settings that differ" }, el("table", { class: `differs-table${block.summed ? " summed" : ""}` }, el("thead", {}, heads(block)), parts.all, fold, parts.some), parts.none) : "",
    el("p", { class: "small ink2" }, block.foot));
  drawRows(state);
  if (focused) node.querySelector(`[data-choice="${focused}"]`)?.focus({ preventScroll: true });
}

function heads({ runs, summed }) {
  if (summed) return el("tr", {}, el("th", { scope: "col" }, "Setting"), el("th", { scope: "col" }, "Value × runs, the baseline's in bold"));
  const names = runs.map((run, i) => el("th", { scope: "col" }, el("span", { class: "row end" }, keySwatch("line", run.color, run.dash), el("span", { class: "cut", title: run.name }, i ? run.short : "baseline"))));
  return el("tr", {}, el("th", { scope: "col" }, "Setting"), names);
}

function drawRows({ block, parts, open, query, page }) {
  const wanted = query.trim().toLowerCase();
  const texts = (row) => [row.name, ...row.values.map((value) => (block.summed ? value[0] : value))];
  const found = (rows) => rows.filter((row) => texts(row).some((text) => text.toLowerCase().includes(wanted)));
  const [all, some] = [found(block.rows), found(block.some)];
  // Who searches wants what is there, folded or not.
  const unfolded = open || wanted !== "";
  const drawn = (one) => (block.summed ? summedRow(one, page) : row(one));
  parts.all.replaceChildren(...all.map(drawn));
  parts.some.replaceChildren(...(unfolded ? some.map(drawn) : []));
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

function summedRow({ name, values, more }, page) {
  const group = el("button", { class: "group-by", type: "button", title: `Group the runs by ${name}`, onclick: () => choose(page, { group: name }, page.frame.body.head.query) }, el("code", { class: "cut" }, name));
  const told = values.map(([text, runs, baseline]) => el("span", { class: `value-count${baseline ? " strong" : ""}`, title: text }, el("span", { class: "cut" }, text), el("span", { class: "ink3" }, ` × ${count(runs)}`)));
  return el("tr", {}, el("th", { scope: "row" }, group), el("td", {}, el("span", { class: "value-counts" }, told, more ? el("span", { class: "ink2" }, `and ${count(more)} more`) : null)));
}
