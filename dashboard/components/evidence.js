// The evidence as it was when the alert fired: a frozen curve with onset and firing, drawn by us, never refreshed.

import { el, severityMark, severityOf, svg } from "./base.js";
import { count, number, percent, rate, revive, signed } from "./format.js";

const LEFT = 46;
const RIGHT = 10;
const TOP = 20;
const BOTTOM = 22;
const NOT_A_NUMBER = 4;

/** How numbers of a signal are written. */
export function written(value, kind) {
  return { signed, rate, count, percent: (share) => percent(share, 1) }[kind]?.(value) ?? number(value);
}

/** How many points a smoothed line averages; 1 where the curve is short enough to show as it is. */
export function smoothing(points) {
  return points < 40 ? 1 : 2 * Math.round(points / 24) + 1;
}

/** One chart of `curve` at this width. `alert` gives onset, firing and severity; `color` is the run's. */
export function evidenceChart(curve, alert, { color, width, height }) {
  const points = curve.steps.map((step, at) => [step, revive(curve.values[at])]);
  const finite = points.filter(([, value]) => Number.isFinite(value));
  const [first, last] = [points[0][0], Math.max(points.at(-1)[0], points[0][0] + 1)];
  const [low, high] = spanOf(finite.map(([, value]) => value));
  const ticks = niceTicks(low, high, Math.max(2, Math.round(height / 55)));
  const [bottom, top] = [Math.min(low, ticks[0]), Math.max(high, ticks.at(-1))];
  const x = (step) => LEFT + ((step - first) / (last - first)) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - ((value - bottom) / (top - bottom)) * (height - TOP - BOTTOM);
  const plot = { x, y, width, height, first, last };
  const said = `${curve.title ?? curve.signal}, steps ${first} to ${last}, last value ${written(finite.at(-1)?.[1] ?? null, curve.kind)}`;
  return svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": said },
    tints(plot, alert),
    grid(plot, ticks, curve.kind),
    drawn(points, plot, color),
    missing(points, plot),
    marks(plot, alert),
  );
}

function spanOf(values) {
  if (!values.length) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = high > low ? (high - low) * 0.06 : Math.max(Math.abs(high) * 0.1, 0.05);
  return [low - room, high + room];
}

function niceTicks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks.length ? ticks : [low, high];
}

/** Ticks of one axis share their number of decimals, no more than their distance needs. */
function tickText(tick, ticks, kind) {
  const step = Math.abs(ticks[1] - ticks[0]) || 1;
  if (tick === 0) return kind === "percent" ? "0 %" : "0";
  if (step < 1e-4 || Math.abs(tick) >= 1e4) return number(tick);
  const scale = kind === "percent" ? 100 : 1;
  const size = step * scale;
  const decimals = Math.max(0, -Math.floor(Math.log10(size) + 1e-9) + (/[25]5/.test(size.toPrecision(2)) ? 1 : 0));
  const text = Math.abs(tick * scale).toFixed(decimals);
  return (tick < 0 ? "−" : kind === "signed" ? "+" : "") + text + (kind === "percent" ? " %" : "");
}

function grid({ x, y, width, height, first, last }, ticks, kind) {
  const rows = ticks.map((tick) => [
    svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick), stroke: "var(--grid)" }),
    svg("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick, ticks, kind)),
  ]);
  const steps = niceTicks(first, last, 5).filter((step) => Number.isInteger(step) && step >= first && step <= last);
  const columns = steps.map((step) => svg("text", { x: x(step), y: height - 6, "text-anchor": "middle" }, count(step)));
  return [rows, columns, svg("line", { x1: LEFT, x2: width - RIGHT, y1: height - BOTTOM, y2: height - BOTTOM, stroke: "var(--line)" })];
}

/** The raw line, faint under its mean where there are many points. */
function drawn(points, plot, color) {
  const window = smoothing(points.length);
  if (window === 1) return lines(points, plot, { color, width: 2, opacity: 1 });
  return [lines(points, plot, { color, width: 1, opacity: 0.34 }), lines(means(points, window), plot, { color, width: 2, opacity: 1 })];
}

/** The mean over `window` points around each, never over a break; a value that is no number stays one. */
function means(points, window) {
  const half = (window - 1) / 2;
  const broken = points.map(([, value]) => !Number.isFinite(value));
  return points.map(([step, value], at) => {
    if (broken[at]) return [step, value];
    let [from, to] = [at, at];
    while (from > 0 && at - from < half && !broken[from - 1]) from--;
    while (to < points.length - 1 && to - at < half && !broken[to + 1]) to++;
    const around = points.slice(from, to + 1);
    return [step, around.reduce((sum, [, one]) => sum + one, 0) / around.length];
  });
}

/** The curve is broken where a value is no number, never bridged. */
function lines(points, { x, y }, { color, width, opacity }) {
  const pieces = [[]];
  for (const [step, value] of points) {
    if (Number.isFinite(value)) pieces.at(-1).push(`${x(step).toFixed(1)},${y(value).toFixed(1)}`);
    else if (pieces.at(-1).length) pieces.push([]);
  }
  return pieces.map((piece) =>
    piece.length === 1
      ? svg("circle", { cx: piece[0].split(",")[0], cy: piece[0].split(",")[1], r: width + 0.5, fill: color, "fill-opacity": opacity })
      : svg("polyline", { points: piece.join(" "), fill: "none", stroke: color, "stroke-width": width, "stroke-opacity": opacity, "stroke-linejoin": "round" }),
  );
}

function missing(points, { x }) {
  const steps = points.filter(([, value]) => !Number.isFinite(value)).map(([step]) => step);
  const every = Math.max(1, Math.ceil(steps.length / 12));
  return steps.filter((_, at) => at % every === 0).map((step) => {
    const at = x(step);
    return svg("path", { d: `M${at - NOT_A_NUMBER} ${TOP + 4}l8 8m0-8l-8 8`, stroke: "var(--critical-mark)", "stroke-width": 1.4 });
  });
}

function inside({ first, last }, step) {
  return step !== null && step !== undefined && step >= first && step <= last;
}

function tints(plot, alert) {
  const severity = severityOf(alert.severity);
  const until = alert.resolved_step ?? plot.last;
  const tint = (from, to, opacity) => {
    const [a, b] = [Math.max(plot.first, from), Math.min(plot.last, to)];
    if (!(b > a)) return null;
    return svg("rect", { x: plot.x(a), y: TOP, width: plot.x(b) - plot.x(a), height: plot.height - TOP - BOTTOM, fill: `var(--${severity}-mark)`, "fill-opacity": opacity });
  };
  if (alert.onset_step === null) return null;
  const fired = alert.fired_step ?? until;
  return [tint(alert.onset_step, fired, 0.035), alert.fired_step === null ? null : tint(alert.fired_step, until, 0.065)];
}

function marks(plot, alert) {
  const stroke = `var(--${severityOf(alert.severity)}-mark)`;
  const line = (step, dash) => svg("line", { x1: plot.x(step), x2: plot.x(step), y1: TOP, y2: plot.height - BOTTOM, stroke, "stroke-width": 1.2, "stroke-dasharray": dash });
  const shapes = [];
  if (inside(plot, alert.onset_step) && alert.onset_step !== alert.fired_step) shapes.push(line(alert.onset_step, "2 3"));
  if (inside(plot, alert.fired_step)) {
    const mark = severityMark(alert.severity, { hollow: Boolean(alert.acknowledged_s), size: 10 });
    mark.setAttribute("x", plot.x(alert.fired_step) - 5);
    mark.setAttribute("y", 6);
    const left = plot.x(alert.fired_step) > plot.width * 0.7;
    const words = svg("text", { class: "said", x: plot.x(alert.fired_step) + (left ? -9 : 9), y: 15, "text-anchor": left ? "end" : "start" }, `fired at step ${count(alert.fired_step)}`);
    shapes.push(line(alert.fired_step, null), mark, words);
  }
  if (inside(plot, alert.resolved_step)) {
    const at = plot.x(alert.resolved_step);
    shapes.push(svg("line", { x1: at, x2: at, y1: TOP, y2: TOP + 18, stroke, "stroke-width": 1.6 }));
  }
  return shapes;
}

/** All curves of the evidence, the alert's own first and largest; drawn again when the width changes. */
export function evidencePanel() {
  const node = el("div", { class: "evidence" });
  let drawn = null;
  const draw = () => {
    const width = Math.floor(node.clientWidth);
    if (!drawn || width < 80) return;
    const { curves, alert, color } = drawn;
    const own = curves.filter((curve) => curve.signal === alert.signal);
    const ordered = [...own, ...curves.filter((curve) => curve.signal !== alert.signal)].filter((curve) => curve.steps?.length);
    node.replaceChildren(
      ...ordered.map((curve, at) =>
        el("div", {}, at ? el("h3", { style: { marginTop: "8px" } }, curve.title ?? curve.signal, " ", el("span", { class: "ink2 small", style: { fontWeight: 400 } }, curve.unit ?? "")) : null,
          evidenceChart(curve, alert, { color, width, height: at ? 120 : 236 })),
      ),
    );
    if (!ordered.length) node.replaceChildren(el("p", { class: "ink2" }, "This rule keeps no curve: its evidence is the numbers."));
  };
  const sized = new ResizeObserver(draw);
  sized.observe(node);
  return {
    node,
    update(curves, alert, color) {
      drawn = { curves, alert, color };
      draw();
    },
    stop: () => sized.disconnect(),
  };
}
