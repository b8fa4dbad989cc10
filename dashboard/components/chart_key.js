// The key line of a chart: each series with its latest value (a click hides it), references, and what lies beyond the edges.

import { latest } from "./chart_build.js";
import { keySwatch } from "./chart_dom.js";
import { beyond } from "./chart_range.js";
import { value } from "./chart_words.js";
import { lastStretches } from "./compare_lines.js";
import { el } from "./base.js";
import { MISSING, count, percent } from "./format.js";

export const SUPERSEDED = { id: "~superseded", label: "superseded" };

export function drawKey(chart) {
  const entries = keyEntries(chart);
  const text = JSON.stringify(entries) + chart.page.stale;
  if (text === chart.keyText) return;
  chart.keyText = text;
  chart.named(entries.filter((entry) => entry.text).map((entry) => `${entry.label || entry.name || ""} ${entry.text}`.trim()).join(", "));
  const focused = chart.key.getRootNode().activeElement?.dataset?.series;
  chart.key.replaceChildren(...entries.map((entry) => keyNode(chart, entry)));
  if (!entries.length || entries.every((entry) => entry.loading)) chart.key.replaceChildren(el("span", { class: "loading" }));
  keepHeight(chart);
  if (focused !== undefined) [...chart.key.children].find((node) => node.dataset.series === focused)?.focus({ preventScroll: true });
}

// A key takes the lines that its entries need: none is cut. What it has needed it keeps at this width, or digits would move the plot.
function keepHeight({ key, frame }) {
  if (key.dataset.width !== `${frame.clientWidth}`) key.style.minHeight = "";
  key.dataset.width = frame.clientWidth;
  key.style.minHeight = `${key.offsetHeight}px`;
}

export function keyEntries(chart) {
  const { page, spec, shown } = chart;
  const entries = lastStretches(shown).map((one) => seriesEntry(chart, one));
  if (!spec.stack && spec.series.some((one) => page.supersededColumns(one.id))) {
    entries.push({ ...SUPERSEDED, kind: "line", color: "var(--ink3)", dash: "solid", text: "", hidden: page.isHidden(spec.id, SUPERSEDED) });
  }
  for (const reference of spec.references ?? []) {
    if (reference.label) entries.push({ id: `=${reference.label}`, kind: "reference", label: reference.label, text: reference.text ?? "" });
  }
  return [...entries, ...edgeEntries(chart)];
}

// What is not seen because it lies beyond an edge is told of here.
function edgeEntries({ spec, shown, yTo }) {
  const { above, below, unlogged } = beyond(spec, shown, yTo);
  const told = (label, text) => ({ id: `~${label}`, kind: "edge", label, text });
  return [
    ...(above === null ? [] : [told("▴ up to", value(spec.values, above))]),
    ...(below === null ? [] : [told("▾ down to", value(spec.values, below))]),
    ...(unlogged ? [told("▾ not above 0", count(unlogged))] : []),
  ];
}

function seriesEntry({ page, spec, shown }, { spec: one, part, hidden }) {
  let { label } = one;
  if (label && spec.sizes?.[one.group]) label = `${label}, ${spec.sizes[one.group]}`;
  if (part.raw && one.tell) label = `${label ? `${label}, ` : ""}${part.said}`;
  else if (part.banded && one.tell) label = `${label ? `${label}, ` : ""}mean and min–max`;
  let text = spec.stack ? share(shown, one) : value(spec.values, latest(part.line));
  if (part.columns.kinds.length && part.columns.kinds.at(-1) && one.style !== "rings") [label, text] = [one.label, "not a number"];
  return { id: one.group ?? one.id, kind: one.style ?? "line", color: one.color, dash: one.thin ? "solid" : one.dash, label, name: one.name ?? label, text: one.plain ? "" : text, hidden, loading: page.loading(one.id) };
}

// A stacked part's share of all that is shown, in percent.
function share(shown, spec) {
  const sum = ({ part }) => part.columns.mean.reduce((total, mean, i) => total + (mean ?? 0) * part.columns.count[i], 0);
  const all = shown.reduce((total, one) => total + sum(one), 0);
  return all > 0 ? percent(sum(shown.find((one) => one.spec === spec)) / all) : MISSING;
}

function keyNode(chart, entry) {
  const swatch = entry.kind === "edge" ? null : entry.kind === "reference" ? keySwatch("reference", "") : keySwatch(chart.spec.stack ? "area" : entry.kind, entry.color, entry.dash);
  const words = [swatch, el("span", { class: "cut" }, entry.label), el("b", {}, entry.text)];
  if (entry.kind === "reference" || entry.kind === "edge") return el("span", { class: `key-entry ${entry.kind}` }, ...words);
  const node = el("button", { class: `key-entry${entry.hidden ? " off" : ""}`, type: "button", "aria-pressed": String(!entry.hidden) }, ...words);
  node.dataset.series = entry.id;
  // Where the key has room for values alone, whose they are is said here.
  node.title = [entry.hidden ? "Show" : "Hide", entry.label ? "" : entry.name].filter(Boolean).join(" ");
  node.setAttribute("aria-label", [entry.label || entry.name, entry.text].filter(Boolean).join(" "));
  node.addEventListener("click", () => chart.page.toggle(chart.spec.id, entry.id));
  return node;
}
