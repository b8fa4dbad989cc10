// Sections of a page: a head with its verdict in words, then a grid of twelve columns of charts and other blocks.

import { el, keyed, setClass, setText, severityMark } from "./base.js";
import { count, together } from "./format.js";
import { drawDiffers } from "./compare_differs.js";
import { drawOutcome } from "./compare_outcome.js";
import { drawTable } from "./compare_table.js";
import { drawCompletions } from "./run_completions.js";
import { drawAlso } from "./run_also.js";
import { drawMap } from "./run_map.js";
import { drawOnset } from "./run_onset.js";
import { drawSmall } from "./small_multiples.js";

const BLOCKS = { onset: drawOnset, small: drawSmall, differs: drawDiffers, table: drawTable, outcome: drawOutcome, note: drawNote, map: drawMap, completions: drawCompletions };

// Beside the charts: blocks for which the server reads only while they are in or near sight.
const WATCHED = new Set(["small", "map"]);

export function drawSections(parent, { state, frame, words }) {
  keyed(parent, frame.sections, {
    key: (section) => section.id,
    make: () => el("section", { class: "section" }, el("div", { class: "section-head" }), el("div", { class: "grid" })),
    update: (node, section) => {
      if (section.fold) drawAlso(node, { fold: section.fold, state });
      drawHead(node.firstChild, { ...section, ...words.sections?.[section.id] }, state);
      drawBlocks(node.lastChild, { section, state, words });
    },
  });
}

function drawHead(node, section, state) {
  const text = JSON.stringify([section.title, section.verdict, section.sentence, section.fold]);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const verdict = section.verdict
    ? el("span", { class: `mark strong ${section.verdict.severity}` }, section.verdict.severity === "neutral" ? null : severityMark(section.verdict.severity), together(section.verdict.word))
    : null;
  const focused = node.contains(node.getRootNode().activeElement);
  node.hidden = !section.title;
  node.replaceChildren(section.fold ? foldHead(section, state) : el("h2", {}, section.title ?? ""), ...(verdict ? [verdict] : []), el("span", { class: "section-sentence" }, together(section.sentence ?? "")));
  if (focused) node.querySelector("button")?.focus({ preventScroll: true });
}

// A section that folds: nothing is read, sent or drawn for it until it is opened.
function foldHead({ id, title, fold }, state) {
  const words = `${title} (${count(fold.count)})`;
  return el("h2", {}, el("button", { class: "fold", type: "button", "aria-expanded": String(fold.open), onclick: () => state.layout.toggleOpen(id) }, el("span", { "aria-hidden": "true" }, fold.open ? "▾" : "▸"), words));
}

function drawBlocks(grid, { section, state, words }) {
  keyed(grid, section.blocks, {
    key: (block) => block.id,
    make: (block) => block.kind === "chart" ? state.page.charts.find((chart) => chart.spec.id === block.id).root : el("div", { class: "block" }),
    update: (node, block) => {
      if (block.kind === "chart") return;
      setClass(node, `block ${block.kind} ${block.name ?? ""} span-${block.span ?? 12}`);
      if (WATCHED.has(block.kind) && !state.page.near.blocks.has(node)) state.page.near.watch(node, block.id);
      BLOCKS[block.kind](node, { block: { ...block, ...words.blocks?.[block.id] }, state });
    },
  });
}

function drawNote(node, { block }) {
  if (!node.firstChild) node.append(el("span", { class: "mark unknown" }, severityMark("unknown"), el("span", { class: "strong" })), el("span", { class: "ink2" }));
  setText(node.firstChild.lastChild, block.title);
  setText(node.lastChild, together(block.text));
}
