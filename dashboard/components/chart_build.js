// From columns to what Plotly draws: traces of one chart. Plotly only draws; axes, ticks, hover and zoom are ours.

import { isSignal, places } from "./chart_axis.js";
import { atEnds, breaks, forgetting, gapped, smoothed, thinned, visible, windowFor } from "./chart_data.js";
import { HALF_LIFE } from "./chart_settings.js";
import { count } from "./format.js";

// A curve of seldom measured points shows each of them, until there are too many to tell apart.
const MOST_RINGS = 40;
const CROSS_PX = 11;
const DOT_PX = 7;
const RING_PX = 9;
const RINGS_APART_PX = 28;
const MOST_BANDS = 2;

export function withAlpha(hex, alpha) {
  const value = parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16},${(value >> 8) & 255},${value & 255},${alpha})`;
}

// Plotly knows `dash`, `dot` and lengths in px; ours are given as in CSS.
export function plotlyDash(dash) {
  return dash === "solid" ? "solid" : dash.split(" ").join(",");
}

// What is drawn of one series within the view: places, values, band, breaks, smoothing and the latest value.
// smooth: a name of SMOOTHINGS; auto: whether the series is smoothed where nobody chose how.
export function prepared(columns, view, { clock, pixels, range, smooth, auto, band }) {
  const scattered = isSignal(view.axis);
  const seen = visible(columns, places(columns, view, clock), view.range);
  const { columns: shown, xs, ends } = scattered ? { ...seen, ends: null } : thinned(seen.columns, seen.xs, mostBuckets(seen.xs.length, pixels, band));
  const broken = breaks(shown);
  const banded = !scattered && shown.count.filter((count) => count > 1).length * 2 > shown.count.length;
  const finite = shown.mean.reduce((n, value) => n + (value !== null), 0);
  const part = { columns: shown, xs, broken, banded, finite, scattered, stride: stride(shown.step), pixels, range, zoomed: view.mode === "zoom" };
  return { ...part, ...averaged(part, { smooth, auto, view, seen, ends }) };
}

// The main line: {line, raw, said}. raw: whether it is an average, so that the values themselves stand faintly behind it.
function averaged({ columns, broken, banded, finite, scattered, stride, range }, { smooth, auto, view, seen, ends }) {
  if (smooth in HALF_LIFE) {
    // Of what is held, not of the buckets that are drawn: an average of coarse buckets, which stand at their ends, would lag behind.
    const along = scattered ? columns.step : seen.xs;
    const width = scattered ? (columns.step.at(-1) ?? 0) - (columns.step[0] ?? 0) : range[1] - range[0];
    const half = Math.max(HALF_LIFE[smooth] * width, Number.MIN_VALUE);
    const fine = forgetting(seen.columns.mean, seen.columns.count, { xs: along, broken: ends ? breaks(seen.columns) : broken, half });
    const line = ends ? atEnds(fine, ends) : fine;
    return { line, raw: finite > 1, said: view.axis === "step" && !view.log ? `EMA, half-life ${count(Math.max(1, half))} steps` : "EMA" };
  }
  const window = smooth === "auto" && auto && !banded ? windowFor(finite) : 1;
  return { line: smoothed(columns.mean, broken, window), raw: window > 1, said: `mean of ${Math.round(window * stride)} steps` };
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
  return { ...quiet, type: "scatter", mode: "lines", x, y, fill: "toself", fillcolor: withAlpha(color, alpha), line: { width: 0.6, color: withAlpha(color, Math.min(0.34, 2.2 * alpha + 0.1)) } };
}

const quiet = { hoverinfo: "skip", showlegend: false };

function lineTrace(part, values, { color, width, dash = "solid", alpha = 1, dots = false }) {
  const { x, y } = gapped(part.xs, values, part.broken);
  const single = values.filter((value) => value !== null).length === 1;
  return {
    ...quiet,
    type: "scatter",
    mode: single ? "markers" : dots ? "lines+markers" : "lines",
    x,
    y,
    connectgaps: false,
    marker: { color, size: 4 },
    line: { color: alpha < 1 ? withAlpha(color, alpha) : color, width, dash: plotlyDash(dash), simplify: false },
  };
}

function ringTrace(part, color, paper, at = part.xs.map((_, i) => i)) {
  const line = { color, width: 1.8 };
  return { ...quiet, type: "scatter", mode: "markers", x: at.map((i) => part.xs[i]), y: at.map((i) => part.columns.mean[i]), marker: { symbol: "circle", size: 7, color: paper, line } };
}

// Evaluations closer to one another than rings are wide would be a tube: a thin line tells all of them, rings stand here and there on it.
function evaluationTraces(part, color, paper) {
  if (part.finite * RING_PX <= part.pixels) return [ringTrace(part, color, paper)];
  const width = (RINGS_APART_PX * Math.abs(part.range[1] - part.range[0])) / part.pixels;
  let last = -Infinity;
  const at = [...part.xs.keys()].filter((i) => part.columns.mean[i] !== null && Math.abs(part.xs[i] - last) >= width && ((last = part.xs[i]), true));
  return [lineTrace(part, part.columns.mean, { color, width: 1 }), ringTrace(part, color, paper, at)];
}

// A × at the top edge wherever a bucket holds NaN, Inf or None.
function crossTrace(part, color) {
  const x = apart(part, (i) => part.columns.kinds[i] > 0);
  return edgeTrace(x, 0.97, { symbol: "x-thin", size: 7, line: { color, width: 1.6 } });
}

// Small carets at the edges, where values lie beyond a clipped range or below a logarithmic one.
function beyondTraces(part, [low, high], { color, log }) {
  const { columns } = part;
  const [bottom, top] = log ? [10 ** low, 10 ** high] : [low, high];
  const above = apart(part, (i) => columns.high[i] !== null && columns.high[i] > top);
  const below = apart(part, (i) => columns.low[i] !== null && columns.low[i] < bottom);
  return [
    ...(above.length ? [edgeTrace(above, 0.975, { symbol: "triangle-up", size: 6, color })] : []),
    ...(below.length ? [edgeTrace(below, 0.025, { symbol: "triangle-down", size: 6, color })] : []),
  ];
}

// The places of the buckets that are meant; where they stand closer than a mark is wide, not every one.
function apart(part, meant) {
  const every = (CROSS_PX * Math.abs(part.range[1] - part.range[0])) / part.pixels;
  let last = -Infinity;
  return part.xs.filter((place, i) => {
    if (place === null || !meant(i) || Math.abs(place - last) < every) return false;
    last = place;
    return true;
  });
}

function edgeTrace(x, y, marker) {
  return { ...quiet, type: "scatter", mode: "markers", x, y: x.map(() => y), yaxis: "y2", marker };
}

// Filled areas one above the other.
function stackTraces(seen) {
  const below = [];
  return seen.map(({ part, spec }, i) => {
    const y = part.columns.mean.map((value, at) => (below[at] = (below[at] ?? 0) + Math.max(0, value ?? 0)));
    return {
      ...quiet, type: "scatter", mode: "lines", x: part.xs, y, fill: i ? "tonexty" : "tozeroy",
      fillcolor: withAlpha(spec.color, 0.85), line: { width: 0, shape: "hvh" },
    };
  });
}

// Against a signal there is no curve to follow: each point is a dot, and an average, if any, the path through them.
function dotTrace(part, color) {
  return { ...quiet, type: "scatter", mode: "markers", x: part.xs, y: part.columns.mean, marker: { color: withAlpha(color, 0.5), size: 4 } };
}

// Steps that a resume or a rollback took the place of: thin and grey, behind the curves; a NaN among them keeps its ×.
function supersededTraces(part, theme) {
  const line = lineTrace(part, part.columns.mean, { color: theme.ink3, width: 1, alpha: 0.6 });
  const crosses = part.columns.kinds.some((kind) => kind > 0) ? [crossTrace(part, theme.ink3)] : [];
  return [...(part.banded ? [bandTrace(part, theme.ink3, 0.12)] : []), line, ...crosses];
}

// The traces of a chart from its prepared series [{part, spec, hidden, superseded}] within [low, high] (powers of ten on a log scale).
export function traces(chart, shown, { theme, yTo }) {
  const seen = shown.filter((one) => !one.hidden);
  const out = chart.stack ? stackTraces(seen) : curveTraces(seen, theme);
  for (const { part, spec } of seen) {
    if (spec.style === "faint") continue;
    if (part.columns.kinds.some((kind) => kind > 0)) out.push(crossTrace(part, theme.critical));
    if (!chart.stack) out.push(...beyondTraces(part, yTo, { color: spec.color, log: chart.log }));
  }
  return out;
}

function curveTraces(all, theme) {
  const out = all.filter(({ spec }) => spec.style === "faint").map(({ part }) => lineTrace(part, part.line, { color: theme.ink3, width: 1, alpha: 0.38 }));
  const seen = all.filter(({ spec }) => spec.style !== "faint");
  for (const { superseded } of seen) if (superseded) out.push(...supersededTraces(superseded, theme));
  // Many bands over one another are one blob in which nobody is found: together they are no darker than two.
  const thinner = Math.min(1, MOST_BANDS / seen.filter(({ part, spec }) => part.banded || spec.error).length);
  for (const { part, spec } of seen) {
    if (spec.style === "rings") continue;
    if (part.banded || spec.error) out.push(bandTrace(part, spec.color, (theme.dark ? 0.24 : 0.16) * thinner));
    if (part.scattered) out.push(dotTrace(part, spec.color));
    else if (part.raw) out.push(lineTrace(part, part.columns.mean, { color: spec.color, width: 1, alpha: 0.34, dots: single(part) }));
  }
  for (const { part, spec } of seen) {
    if (spec.style === "rings") out.push(...evaluationTraces(part, spec.color, theme.bg));
    else if (part.raw || !part.scattered) out.push(lineTrace(part, part.line, { color: spec.color, width: spec.thin ? 1.2 : 2, dash: spec.dash, dots: !part.raw && single(part) }));
    if (spec.points && part.xs.length <= MOST_RINGS) out.push(ringTrace(part, spec.color, theme.bg));
  }
  return out;
}

// In a zoom in which points have room, each is a dot: there is nothing finer to come.
function single(part) {
  return part.zoomed && !part.banded && part.finite * DOT_PX <= part.pixels;
}
