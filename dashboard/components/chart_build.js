// From columns to what Plotly draws: traces of one chart. Plotly only draws; axes, ticks, hover and zoom are ours.

import { breaks, gapped, places, smoothed, thinned, visible, windowFor } from "./chart_data.js";

// A curve of seldom measured points shows each of them, until there are too many to tell apart.
const MOST_RINGS = 40;
const CROSS_PX = 11;

export function withAlpha(hex, alpha) {
  const value = parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16},${(value >> 8) & 255},${value & 255},${alpha})`;
}

// Plotly knows `dash`, `dot` and lengths in px; ours are given as in CSS.
export function plotlyDash(dash) {
  return dash === "solid" ? "solid" : dash.split(" ").join(",");
}

// What is drawn of one series within the view: places, values, band, breaks, smoothing and the latest value.
export function prepared(columns, view, { clock, pixels, range, smooth, band }) {
  const all = places(columns, view.axis, clock);
  const seen = visible(columns, all, view.range);
  const { columns: shown, xs } = thinned(seen.columns, seen.xs, mostBuckets(seen.xs.length, pixels, band));
  const broken = breaks(shown);
  const banded = shown.count.filter((count) => count > 1).length * 2 > shown.count.length;
  const finite = shown.mean.reduce((n, value) => n + (value !== null), 0);
  const window = smooth && !banded ? windowFor(finite) : 1;
  const line = smoothed(shown.mean, broken, window);
  return { columns: shown, xs, broken, banded, window, line, raw: window > 1, stride: stride(shown.step), pixels, range };
}

// Beyond two points a pixel a curve becomes a band. Several runs on one chart are bands from the start: raw lines would hide one another.
function mostBuckets(points, pixels, band) {
  if (band) return Math.max(12, Math.ceil(pixels / 12));
  return points > 2 * pixels ? Math.ceil(pixels / 3) : Infinity;
}

// The columns with low and high at 1.96 standard errors around the mean, where an error was logged at the same step.
export function withInterval(columns, errors) {
  const error = new Map(errors.step.map((step, i) => [step, errors.mean[i]]));
  const at = (sign) => columns.mean.map((mean, i) => (mean === null ? null : mean + sign * 1.96 * (error.get(columns.step[i]) ?? 0)));
  return { ...columns, low: at(-1), high: at(1) };
}

// Steps between two rows, as most rows have it.
function stride(steps) {
  const gaps = [];
  for (let i = Math.max(1, steps.length - 50); i < steps.length; i++) {
    if (steps[i] > steps[i - 1]) gaps.push(steps[i] - steps[i - 1]);
  }
  gaps.sort((a, b) => a - b);
  return gaps.length ? gaps[gaps.length >> 1] : 1;
}

export function latest(values) {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null && values[i] !== undefined) return values[i];
  return null;
}

// Closed polygons of min and max, one a stretch without a break; the hairline keeps a spike of one bucket in sight.
function bandTrace(part, color, alpha) {
  const x = [];
  const y = [];
  const { low, high, mean } = part.columns;
  let start = 0;
  const size = part.xs.length;
  while (start < size) {
    let stop = start;
    while (stop < size - 1 && !part.broken.has(stop)) stop++;
    const index = [];
    for (let i = start; i <= stop; i++) if (mean[i] !== null) index.push(i);
    if (index.length > 1) {
      for (const i of index) x.push(part.xs[i]), y.push(high[i]);
      for (const i of index.reverse()) x.push(part.xs[i]), y.push(low[i]);
      x.push(null);
      y.push(null);
    }
    start = stop + 1;
  }
  return { ...quiet, type: "scatter", mode: "lines", x, y, fill: "toself", fillcolor: withAlpha(color, alpha), line: { width: 0.6, color: withAlpha(color, 0.34) } };
}

const quiet = { hoverinfo: "skip", showlegend: false };

function lineTrace(part, values, { color, width, dash = "solid", alpha = 1 }) {
  const { x, y } = gapped(part.xs, values, part.broken);
  const single = values.filter((value) => value !== null).length === 1;
  return {
    ...quiet,
    type: "scatter",
    mode: single ? "markers" : "lines",
    x,
    y,
    connectgaps: false,
    marker: { color, size: 4 },
    line: { color: alpha < 1 ? withAlpha(color, alpha) : color, width, dash: plotlyDash(dash), simplify: false },
  };
}

function ringTrace(part, color, paper) {
  const line = { color, width: 1.8 };
  return { ...quiet, type: "scatter", mode: "markers", x: part.xs, y: part.columns.mean, marker: { symbol: "circle", size: 7, color: paper, line } };
}

// A × at the top edge wherever a bucket holds NaN, Inf or None; where they stand closer than a × is wide, not every one is drawn.
function crossTrace(part, color) {
  const every = (CROSS_PX * Math.abs(part.range[1] - part.range[0])) / part.pixels;
  let last = -Infinity;
  const x = part.xs.filter((place, i) => {
    if (!(part.columns.kinds[i] > 0) || place === null || Math.abs(place - last) < every) return false;
    last = place;
    return true;
  });
  const marker = { symbol: "x-thin", size: 7, line: { color, width: 1.6 } };
  return { ...quiet, type: "scatter", mode: "markers", x, y: x.map(() => 0.97), yaxis: "y2", marker };
}

// Filled areas one above the other. A series that is the total reaches up to its own value: what no other part explains.
function stackTraces(seen) {
  const below = [];
  return seen.map(({ part, spec }, i) => {
    const y = part.columns.mean.map((value, at) => (below[at] = spec.total ? Math.max(below[at] ?? 0, value ?? 0) : (below[at] ?? 0) + Math.max(0, value ?? 0)));
    return {
      ...quiet, type: "scatter", mode: "lines", x: part.xs, y, fill: i ? "tonexty" : "tozeroy",
      fillcolor: withAlpha(spec.color, 0.85), line: { width: 0 },
    };
  });
}

// Steps that a resume or a rollback took the place of: thin and grey, behind the curves; a NaN among them keeps its ×.
function supersededTraces(part, theme) {
  const line = lineTrace(part, part.columns.mean, { color: theme.ink3, width: 1, alpha: 0.6 });
  const crosses = part.columns.kinds.some((kind) => kind > 0) ? [crossTrace(part, theme.ink3)] : [];
  return [...(part.banded ? [bandTrace(part, theme.ink3, 0.12)] : []), line, ...crosses];
}

// The traces of a chart from its prepared series [{part, spec, hidden, superseded}].
export function traces(chart, shown, theme) {
  const out = [];
  const seen = shown.filter((one) => !one.hidden);
  if (chart.stack) out.push(...stackTraces(seen));
  else {
    for (const { superseded } of seen) if (superseded) out.push(...supersededTraces(superseded, theme));
    for (const { part, spec } of seen) {
      if (spec.style === "rings") continue;
      if (part.banded || spec.error) out.push(bandTrace(part, spec.color, theme.dark ? 0.24 : 0.16));
      if (part.raw) out.push(lineTrace(part, part.columns.mean, { color: spec.color, width: 1, alpha: 0.34 }));
    }
    for (const { part, spec } of seen) {
      if (spec.style === "rings") out.push(ringTrace(part, spec.color, theme.bg));
      else out.push(lineTrace(part, part.line, { color: spec.color, width: 2, dash: spec.dash }));
      if (spec.points && part.xs.length <= MOST_RINGS) out.push(ringTrace(part, spec.color, theme.bg));
    }
  }
  for (const { part } of seen) if (part.columns.kinds.some((kind) => kind > 0)) out.push(crossTrace(part, theme.critical));
  return out;
}

function extremes(chart, shown) {
  let [low, high] = [Infinity, -Infinity];
  const take = (value) => {
    if (value === null || value === undefined || (chart.log && value <= 0)) return;
    low = Math.min(low, value);
    high = Math.max(high, value);
  };
  if (chart.stack) {
    const sums = [];
    for (const { part, spec, hidden } of shown) {
      if (!hidden) part.columns.mean.forEach((value, i) => (sums[i] = spec.total ? Math.max(sums[i] ?? 0, value ?? 0) : (sums[i] ?? 0) + (value ?? 0)));
    }
    sums.forEach(take);
    take(0);
  } else {
    for (const { part, hidden } of shown) {
      if (hidden) continue;
      part.columns.low.forEach(take);
      part.columns.high.forEach(take);
    }
  }
  return low <= high ? [low, high] : null;
}

// The y range: what is seen, with a little air; percent from 0 to 100; near references are kept in view.
export function yRange(chart, shown) {
  if (chart.range) return chart.range;
  const found = extremes(chart, shown);
  if (!found) return chart.log ? [-1, 1] : [0, 1];
  let [low, high] = found;
  if (chart.values === "percent" && low >= 0 && high <= 1 && high > 0.25) return [0, 1];
  if (chart.log) return logRange(low, high);
  // One value alone has no span of its own: a tenth of it is room enough for ticks that are round.
  const span = Math.max(high - low, Math.abs(high) * (high === low ? 0.1 : 1e-3), 1e-9);
  for (const { value } of chart.references ?? []) {
    if (value > high && value - high < 0.8 * span) high = value;
    if (value < low && low - value < 0.8 * span) low = value;
  }
  const fromZero = low >= 0 && (chart.values === "rate" || chart.values === "percent" || low < 0.35 * high);
  if (low === high && !fromZero) [low, high] = [low - span / 2, high + span / 2];
  const air = Math.max(high - low, span) * 0.07;
  if (fromZero) return [0, (high || 1) * (chart.values === "rate" ? 1.2 : 1.08)];
  return [low - air, high + air];
}

function logRange(low, high) {
  const [a, b] = [Math.log10(low), Math.log10(high)];
  const air = Math.max(0.08 * (b - a), 0.12);
  return [a - air, b + air];
}
