// Marks of a chart: alerts with their tints, checkpoints and evaluations on the x axis, resumes, references, parting points.

const AXIS_Y = 0.03;
const TINT = { holding: [0.03, 0.055], firing: [0.06, 0.085] };

// Shapes (lines, tints) of a chart; `at(step)` gives the place on the current axis, `end` the right edge.
export function shapes(chart, marks, { at, placed, end, theme, withAlpha }) {
  const out = [];
  for (const reference of chart.references ?? []) out.push(across(reference.value, theme.ink3, "4px,3px"));
  if (chart.zero) out.push({ ...across(0, theme.line, "solid"), layer: "below" });
  for (const alert of chart.alerts ?? []) out.push(...alertShapes(alert, { at, end, theme, withAlpha }));
  for (const resume of marks.resumes ?? []) out.push(upright(at(resume.step), theme.ink3, { dash: "4px,3px", width: 1 }));
  for (const parted of chart.parted ?? []) out.push(upright(placed(parted.place), theme.ink3, { dash: "4px,3px", width: 1.5 }));
  return out;
}

function across(y, color, dash) {
  return { type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: y, y1: y, line: { color, width: 1, dash } };
}

function upright(x, color, { dash = "solid", width = 1.3, from = 0 }) {
  return { type: "line", xref: "x", x0: x, x1: x, yref: "paper", y0: from, y1: 1, line: { color, width, dash } };
}

function tint(x0, x1, color) {
  return { type: "rect", xref: "x", x0, x1, yref: "paper", y0: 0, y1: 1, fillcolor: color, line: { width: 0 }, layer: "below" };
}

function alertShapes(alert, { at, end, theme, withAlpha }) {
  const color = theme.mark(alert.severity);
  const shade = (name) => withAlpha(color, TINT[name][theme.dark ? 1 : 0]);
  const out = [];
  const fired = alert.fired_step === null ? null : at(alert.fired_step);
  const onset = alert.onset_step === null ? fired : at(alert.onset_step);
  const stop = alert.resolved_step === null ? end : at(alert.resolved_step);
  if (onset === null) return out;
  if (alert.own) {
    if (fired === null || fired > onset) out.push(tint(onset, fired ?? stop, shade("holding")));
    if (fired !== null && stop > fired) out.push(tint(fired, stop, shade("firing")));
  }
  if (fired === null || onset < fired) out.push(upright(onset, color, { dash: "3px,3px", width: 1 }));
  if (fired !== null) out.push(upright(fired, color, {}), firedShape(alert, fired, { color, hollow: alert.acknowledged }));
  if (alert.resolved_step !== null && alert.own) out.push(upright(stop, color, { from: 0.84 }));
  return out;
}

// ◆ or ▲ above the plot where the alert fired, hollow once acknowledged. Drawn in pixels above the top edge, where no marker may stand.
function firedShape(alert, x, { color, hollow }) {
  const path = alert.severity === "critical" ? "M-5,8L0,13L5,8L0,3Z" : "M-5.2,3.5L0,12.5L5.2,3.5Z";
  return {
    type: "path", path, xref: "x", xsizemode: "pixel", xanchor: x, yref: "paper", ysizemode: "pixel", yanchor: 1,
    fillcolor: hollow ? "rgba(0,0,0,0)" : color, line: { color, width: hollow ? 1.3 : 0 },
  };
}

// Marker traces on the second y axis, which runs from 0 (the x axis) to 1 (the top edge).
export function markTraces(marks, { at, range, theme }) {
  const inside = (x) => x !== null && x >= range[0] && x <= range[1];
  const out = [];
  const steps = (list) => (list ?? []).map(at).filter(inside);
  const checkpoints = steps(marks.checkpoints);
  const evals = steps(marks.evals);
  if (checkpoints.length) out.push(axisTrace(checkpoints, { symbol: "square", size: 5, color: theme.ink3, line: { width: 0 } }));
  const rates = steps(marks.rates);
  if (rates.length) out.push(axisTrace(rates, { symbol: "bowtie-open", size: 7, color: theme.ink2, line: { width: 1.2 } }));
  if (evals.length) out.push(axisTrace(evals, { symbol: "triangle-up-open", size: 5, color: theme.ink3, line: { width: 1 } }));
  return out;
}

function axisTrace(x, marker) {
  return { type: "scatter", mode: "markers", x, y: x.map(() => AXIS_Y), yaxis: "y2", marker, hoverinfo: "skip", showlegend: false };
}

const CHARACTER_PX = 5.6;
const ROW_PX = 14;

// Words above the plot: where training resumed, where runs parted. Those that would overlap stand one below the other.
// Plotly reads markup in text, so it is escaped.
export function annotations(chart, marks, { at, placed, range, theme, font, width }) {
  const said = [
    ...(marks.resumes ?? []).map((resume) => ({ x: at(resume.step), text: resume.from === null ? "↻ resumed" : `↻ resumed from ${resume.from}` })),
    ...(chart.parted ?? []).map((parted) => ({ x: placed(parted.place), text: parted.label })),
  ].filter(({ x, text }) => text && x !== null && x >= range[0] && x <= range[1]).sort((a, b) => a.x - b.x);
  const ends = [];
  return said.map(({ x, text }) => {
    const place = ((x - range[0]) / (range[1] - range[0])) * width;
    const long = text.length * CHARACTER_PX;
    const right = place + long > width && place > width / 2;
    const [from, to] = right ? [place - long, place] : [place, place + long];
    const free = ends.findIndex((end) => end <= from);
    const row = free < 0 ? ends.length : free;
    ends[row] = to + ROW_PX;
    return {
      x, y: 1, xref: "x", yref: "paper", yanchor: "bottom", xanchor: right ? "right" : "left", yshift: -ROW_PX * row, showarrow: false,
      bgcolor: row ? theme.bg : "rgba(0,0,0,0)", text: escaped(text), font: { ...font, size: 10.5, color: theme.ink2 },
    };
  });
}

export function escaped(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
