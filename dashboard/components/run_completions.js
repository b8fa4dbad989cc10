// What the policy said, side by side, at the step that the reader picks. Every text is a text node with its line breaks kept.

import { el } from "./base.js";
import { count } from "./format.js";

const COLUMNS = [["prompt", "Prompt"], ["chosen", "Chosen"], ["rejected", "Rejected"]];

export function drawCompletions(node, { block, state }) {
  const text = JSON.stringify([block.sets.length, block.shown, block.rows]);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const focused = node.getRootNode().activeElement;
  const held = node.contains(focused) ? (focused.dataset.part ?? "slider") : null;
  node.replaceChildren(controls(block, state), table(block));
  // The newest set has no later one: the button that led to it is gone or off, and the slider takes the focus.
  if (held) (node.querySelector(`[data-part="${held}"]:not(:disabled)`) ?? node.querySelector('[data-part="slider"]')).focus({ preventScroll: true });
}

function controls({ sets, shown, source }, state) {
  const place = Math.max(0, sets.findIndex((set) => set.id === shown));
  const pick = (next) => {
    const set = sets[Math.max(0, Math.min(sets.length - 1, next))];
    if (set.id !== shown) state.trigger("completion", { source, id: set.id });
  };
  const step = stepOf(sets[place]);
  const slider = el("input", {
    type: "range", min: 0, max: sets.length - 1, step: 1, value: place, "data-part": "slider", disabled: sets.length < 2,
    "aria-label": "Step of these completions", "aria-valuetext": step, onchange: (event) => pick(Number(event.target.value)),
  });
  const button = (part, words, label, to) => el("button", { class: "button", type: "button", "data-part": part, "aria-label": label, disabled: to < 0 || to >= sets.length, onclick: () => pick(to) }, words);
  const last = place === sets.length - 1;
  const at = el("span", { class: "completions-step" }, step, el("span", { class: "ink3" }, last ? " newest" : ` ${place + 1} of ${count(sets.length)}`));
  return el("div", { class: "completions-controls" }, button("back", "◂", "Earlier", place - 1), slider, button("on", "▸", "Later", place + 1), at,
    last ? null : el("button", { class: "button", type: "button", "data-part": "newest", onclick: () => pick(sets.length - 1) }, "Newest"));
}

function stepOf(set) {
  return set.step === null ? "no step" : `step ${count(set.step)}`;
}

function table({ rows, sets, shown, source }) {
  const columns = COLUMNS.filter(([name]) => rows.some((row) => row[name] !== undefined));
  const started = rows.some((row) => row.before !== undefined);
  const here = stepOf(sets.find((set) => set.id === shown) ?? sets[0]);
  const heads = [...columns.map(([, words]) => words), ...(started ? [`Policy, ${stepOf(sets[0])}`] : []), source === "rollout" ? `Completion, ${here}` : `Policy, ${here}`];
  const cells = (row) => [
    ...columns.map(([name]) => cell(row[name], row.cut[name])),
    ...(started ? [cell(row.before)] : []),
    cell(row.completion, row.cut.completion, row),
  ];
  return el("div", { class: "completions-scroll", "data-part": "table", tabindex: 0, role: "region", "aria-label": "Completions" },
    el("table", { class: "completions" }, el("thead", {}, el("tr", {}, heads.map((words) => el("th", { scope: "col" }, words)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, cells(row))))));
}

function cell(text, length, row) {
  if (text === undefined) return el("td", { class: "ink3" }, "—");
  const same = row && row.before === text ? el("div", { class: "ink3 small" }, "as at the start") : null;
  const scores = row?.scores.length ? el("div", { class: "ink2 small" }, row.scores.map(([name, number]) => el("span", { class: "completions-score" }, `${name} `, el("b", {}, number)))) : null;
  const words = text === "" ? el("div", { class: "ink3" }, "(nothing)") : el("div", { class: "completions-text" }, text);
  return el("td", {}, words, length ? el("div", { class: "ink3 small" }, `cut: ${count(length)} characters in all`) : null, same, scores);
}
