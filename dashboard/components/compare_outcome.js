// Settings against outcome: parallel axes and a scatter, drawn as SVG from text nodes. Arrow keys or the pointer pick a run out of both.

import { el, setText, svg } from "./base.js";
import { value } from "./chart_words.js";
import { choose } from "./compare_state.js";
import { count } from "./format.js";
import { openPage } from "./pages.js";

const HEIGHT = 260;
const TOP = 34;
const BOTTOM = 24;
const [LEFT, RIGHT] = [70, 60];
const LEAST_GAP_PX = 13;
const LONGEST_TICK = 16;
// A bold 12 px letter of a setting's name, on average.
const NAME_CHARACTER_PX = 6.6;

export function drawOutcome(node, { block, state }) {
  const kept = (node.runvitals ??= { picked: null });
  const width = Math.max(320, node.clientWidth || 1000);
  const text = JSON.stringify([block, width]);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const shown = block.runs.map((run, at) => ({ ...run, at })).filter((run) => run.value !== null).sort((a, b) => a.value - b.value);
  const scale = scaleOf(shown);
  const readout = el("p", { class: "small ink2 outcome-read", role: "status" });
  const context = { block, state, kept, shown, scale, readout, marks: new Map() };
  const active = node.getRootNode().activeElement;
  const focused = node.contains(active) ? active.dataset.choice : null;
  const beside = width >= 900;
  const wide = beside ? Math.round(width * 0.63) : width;
  node.replaceChildren(controls(block, state), el("div", { class: `outcome-plots${beside ? " beside" : ""}` },
    frame(context, "Parallel axes", (box) => drawParallel(box, context, wide)),
    frame(context, "Scatter", (box) => drawScatter(box, context, beside ? width - wide - 24 : width))), readout, absent(block));
  pick(context, shown.find((run) => run.id === kept.picked) ?? null);
  if (focused) node.querySelector(`[data-choice="${focused}"]`)?.focus({ preventScroll: true });
}

// The axis of the outcome: from the lowest to the highest value, with a little air.
function scaleOf(shown) {
  if (!shown.length) return { low: 0, high: 1, place: () => 0.5 };
  const [low, high] = [shown[0].value, shown.at(-1).value];
  return { low, high, place: (of) => (high > low ? 0.04 + (0.92 * (of - low)) / (high - low) : 0.5) };
}

function controls(block, state) {
  const pickOne = (name, label, chosen, choices) => {
    const list = el("select", { "aria-label": label, "data-choice": name, onchange: () => choose(state, { [name]: list.value }, state.frame.body.head.query) }, choices.map(([id, text]) => el("option", { value: id, selected: id === chosen }, text)));
    return el("label", { class: "view-choice" }, label, list);
  };
  return el("div", { class: "compare-choices" }, pickOne("outcome", "Outcome", block.signal, block.signals.map((one) => [one.name, one.title])),
    pickOne("against", "Scatter against", block.against, block.axes.map((axis) => [axis.name, axis.name])));
}

function frame(context, label, draw) {
  const box = svg("svg", { class: "outcome", height: HEIGHT, tabindex: "0", "data-choice": label, role: "group", "aria-label": `${label} of settings against ${titleOf(context.block)}: arrow keys pick a run, Enter opens it`, onkeydown: (event) => walk(context, event) });
  draw(box);
  return box;
}

function titleOf(block) {
  return block.signals.find(({ name }) => name === block.signal)?.title ?? "";
}

const down = (share) => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);

function drawParallel(box, context, width) {
  const { block, shown, scale } = context;
  box.setAttribute("width", width);
  const axes = block.axes.slice(0, block.wide);
  const behind = [...shown].sort((a, b) => Boolean(a.color) - Boolean(b.color));
  const across = (i) => LEFT + (i * (width - LEFT - RIGHT)) / Math.max(1, axes.length);
  for (const run of behind) {
    const points = [...axes.map((axis, i) => [across(i), axis.places[run.at]]), [across(axes.length), scale.place(run.value)]];
    // A setting that this run has not breaks its line.
    const path = points.map(([x, share], i) => (share === null ? "" : `${i && points[i - 1][1] !== null ? "L" : "M"}${x.toFixed(1)},${down(share).toFixed(1)}`)).join("");
    mark(context, run, box, [svg("path", { d: path, class: "outcome-line", stroke: run.color ?? "var(--ink3)" }), svg("path", { d: path, class: "outcome-reach" })]);
  }
  const most = Math.max(6, Math.min(24, Math.floor((across(1) - across(0) - 8) / NAME_CHARACTER_PX)));
  axes.forEach((axis, i) => axisMarks(box, axis.name, across(i), { ticks: axis.ticks, first: i === 0, most, after: axis.log ? ", log" : "" }));
  axisMarks(box, titleOf(block), across(axes.length), { ticks: outcomeTicks(context), last: true, most });
}

function outcomeTicks({ block, scale, shown }) {
  if (!shown.length) return [];
  const middle = (scale.low + scale.high) / 2;
  const at = scale.high > scale.low ? [scale.low, middle, scale.high] : [scale.low];
  return at.map((of) => [scale.place(of), value(block.values, of)]);
}

function axisMarks(box, name, x, { ticks, most, after = "", first = false, last = false }) {
  const anchor = last ? "end" : first ? "start" : "middle";
  const nameX = last ? x + RIGHT - 4 : first ? 2 : x;
  box.append(svg("line", { x1: x, x2: x, y1: TOP - 8, y2: HEIGHT - BOTTOM + 6, class: "outcome-axis" }), svg("text", { x: nameX, y: 14, "text-anchor": anchor, class: "outcome-name" }, cut(name, most - after.length) + after, svg("title", {}, name + after)));
  for (const [share, text] of roomy(ticks)) box.append(svg("text", { x: last ? x + 6 : x - 6, y: down(share) + 4, "text-anchor": last ? "start" : "end", class: "outcome-tick" }, cut(text, LONGEST_TICK)));
}

// Ticks that have room for their words; the ends always.
function roomy(ticks) {
  const room = LEAST_GAP_PX / (HEIGHT - TOP - BOTTOM);
  const out = [];
  ticks.forEach((tick, i) => {
    const end = i === ticks.length - 1;
    if (!out.length || tick[0] - out.at(-1)[0] >= room) out.push(tick);
    else if (end) out[out.length - 1] = tick;
  });
  return out;
}

function cut(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function drawScatter(box, context, width) {
  const { block, shown, scale } = context;
  box.setAttribute("width", width);
  const axis = block.axes.find(({ name }) => name === block.against);
  if (!axis) return;
  const across = (share) => LEFT + share * (width - LEFT - 16);
  box.append(svg("line", { x1: LEFT, x2: width - 8, y1: HEIGHT - BOTTOM + 2, y2: HEIGHT - BOTTOM + 2, class: "outcome-axis" }));
  for (const [share, text] of outcomeTicks(context)) {
    box.append(svg("line", { x1: LEFT, x2: width - 8, y1: down(share), y2: down(share), class: "outcome-grid" }), svg("text", { x: LEFT - 8, y: down(share) + 4, "text-anchor": "end", class: "outcome-tick" }, text));
  }
  let until = -Infinity;
  for (const [share, text] of axis.ticks) {
    const words = cut(text, LONGEST_TICK);
    const half = words.length * 3.2;
    if (across(share) - half < until) continue;
    until = across(share) + half + 6;
    box.append(svg("text", { x: across(share), y: HEIGHT - 6, "text-anchor": "middle", class: "outcome-tick" }, words));
  }
  box.append(svg("text", { x: 2, y: 14, class: "outcome-name" }, `${cut(titleOf(block), 22)} against ${cut(axis.name, 22)}${axis.log ? ", log" : ""}`));
  for (const run of shown) {
    if (axis.places[run.at] === null) continue;
    mark(context, run, box, [svg("circle", { cx: across(axis.places[run.at]), cy: down(scale.place(run.value)), r: 4.5, class: "outcome-dot", fill: run.color ?? "var(--ink3)", stroke: "var(--bg)" })]);
  }
}

function mark(context, run, box, parts) {
  const group = svg("g", { class: `outcome-run${run.color ? "" : " faint"}`, onpointerenter: () => pick(context, run), onclick: () => openPage("run", { run: run.id }) }, parts);
  context.marks.set(run.id, [...(context.marks.get(run.id) ?? []), group]);
  box.append(group);
}

function pick(context, run) {
  const { block, kept, marks, readout, shown } = context;
  for (const group of marks.get(kept.picked) ?? []) group.classList.remove("picked");
  kept.picked = run?.id ?? null;
  if (!run) {
    setText(readout, shown.length ? `${count(shown.length)} ${shown.length === 1 ? "run" : "runs"}. Point at a line, or use the arrow keys, to pick one.` : "No run has a value here.");
    return;
  }
  for (const group of marks.get(run.id) ?? []) {
    group.classList.add("picked");
    group.parentNode.append(group);
  }
  const settings = block.axes.slice(0, block.wide).map((axis) => `${axis.name} ${axis.texts[run.at]}`).join(", ");
  setText(readout, `${run.name}${run.group ? ` (${run.group})` : ""}: ${titleOf(block)} ${value(block.values, run.value)}; ${settings}`);
}

function walk(context, event) {
  const { shown, kept } = context;
  const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  const at = shown.findIndex((run) => run.id === kept.picked);
  if (event.key === "Enter" && at >= 0) openPage("run", { run: shown[at].id });
  if (!by || !shown.length) return;
  event.preventDefault();
  pick(context, shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.max(0, Math.min(shown.length - 1, at + by))]);
}

// Runs that have no place here, with the reason: they are not at zero.
function absent({ runs }) {
  const reasons = new Map();
  for (const run of runs) if (run.value === null) reasons.set(run.why, [...(reasons.get(run.why) ?? []), run.name]);
  const words = [...reasons].map(([why, names]) => `${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${count(names.length - 3)} more` : ""}: ${why}`);
  return el("p", { class: "small ink2" }, words.join("; "));
}
