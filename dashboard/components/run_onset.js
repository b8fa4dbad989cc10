// An incident's alerts as bars by onset: dotted while the condition holds, solid while it fires, up to now or its end.

import { el, severityMark, severityOf } from "./base.js";
import { linearTicks } from "./chart_ticks.js";
import { together } from "./format.js";

export function drawOnset(node, { block }) {
  const text = JSON.stringify([block.alerts, block.last_step]);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const end = Math.max(1, block.last_step);
  const percent = (step) => `${(100 * Math.max(0, Math.min(end, step))) / end}%`;
  const ticks = linearTicks([0, end], 5, "count");
  const axis = el("div", { class: "onset-axis" }, ticks.values.map((value, i) => el("span", { style: { left: percent(value) } }, ticks.texts[i])));
  node.replaceChildren(
    el("div", { class: "section-head" }, el("h2", {}, block.title), el("span", { class: "section-sentence" }, together(block.sentence))),
    el("p", { class: "small ink2" }, "Dotted: condition holds, not yet firing. Solid: firing. Line: now."),
    el("ol", { class: "onset-rows" }, block.alerts.map((alert) => row(alert, { percent, end }))),
    el("div", { class: "onset-row" }, el("span"), el("span"), axis));
}

function row(alert, { percent, end }) {
  const fired = alert.fired_step;
  const stop = alert.resolved_step ?? end;
  const onset = alert.onset_step ?? fired ?? 0;
  const between = (from, to, name) => el("span", { class: `${name} ${severityOf(alert.severity)}`, style: { left: percent(from), right: `calc(100% - ${percent(to)})` } });
  const track = el("div", { class: "onset-track" },
    between(onset, fired ?? stop, "holding"),
    fired === null ? null : between(fired, stop, "firing"),
    fired === null ? null : el("span", { class: "onset-mark", style: { left: percent(fired) } }, severityMark(alert.severity, { hollow: alert.acknowledged })));
  return el("li", { class: "onset-row", "aria-label": `${alert.title} from step ${onset}` }, el("span", { class: "cut", title: alert.title }, alert.title), el("span", { class: "ink3 small" }, `step ${onset}`), track);
}
