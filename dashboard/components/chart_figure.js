// A chart as Plotly takes it: its traces, and a layout whose axes, ticks and marks are ours.

import { isSignal } from "./chart_axis.js";
import { latest, traces, withAlpha } from "./chart_build.js";
import { annotations, markTraces, shapes } from "./chart_marks.js";
import { lastStretches } from "./compare_lines.js";
import { linearTicks, logTicks, xTicks } from "./chart_ticks.js";
import { MISSING, value } from "./chart_words.js";

const END_LABEL_PX = 14;
const NO_MARKS = {};

export const MARGIN = { l: 40, r: 8, t: 17, b: 22 };

// {data, layout} of a chart that has been prepared.
export function figure(chart) {
  const { page, spec, shown, yTo } = chart;
  const range = page.range();
  const at = (step) => page.placeOf(step, spec.series[0]);
  const placed = (place) => (page.heldAxis !== page.view.axis ? null : !page.view.log ? place : place > 0 ? Math.log10(place) : null);
  const context = { at, placed, end: range[1], range, theme: page.theme, withAlpha, font: page.theme.font, width: chart.width };
  // Marks stand at a step; against a signal a step has no one place.
  const marked = isSignal(page.view.axis) ? { ...spec, alerts: [], parted: [] } : spec;
  const marks = isSignal(page.view.axis) ? NO_MARKS : page.marks;
  const data = [...traces(spec, shown, { theme: page.theme, yTo }), ...markTraces(marks, context)];
  return { data, layout: layout(chart, { marked, marks, context }) };
}

function layout(chart, { marked, marks, context }) {
  const { page, spec, yTo } = chart;
  const { theme } = page;
  const wanted = Math.max(3, Math.min(8, Math.round(chart.width / 62)));
  const x = xTicks(page.view, context.range, { wanted, startS: page.startS, kind: page.axisKind() });
  const y = spec.log ? logTicks(yTo, spec.values) : linearTicks(yTo, spec.height > 240 ? 5 : 4, spec.values);
  const font = { family: theme.font.family, size: 11, color: theme.ink3 };
  const axis = { fixedrange: true, tickfont: font, automargin: false, showspikes: false };
  return {
    width: chart.frame.clientWidth, height: spec.height, margin: chart.margin, autosize: false, showlegend: false, hovermode: false, dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font,
    xaxis: {
      ...axis, range: context.range, tickvals: x.values, ticktext: x.texts, showgrid: false, zeroline: false, showline: true, linecolor: theme.line, linewidth: 1,
      ticks: "outside", ticklen: 3, tickcolor: theme.line,
    },
    yaxis: {
      ...axis, type: spec.log ? "log" : "linear", range: yTo, tickvals: y.values, ticktext: y.texts, gridcolor: theme.grid, gridwidth: 1,
      zeroline: false, ticks: "",
    },
    yaxis2: { fixedrange: true, overlaying: "y", range: [0, 1], visible: false },
    shapes: shapes(marked, marks, context),
    annotations: [...annotations(marked, marks, context), ...endLabels(chart, font)],
  };
}

// The latest value at the right end of each line, in the line's colour (Compare). Those that would overlap are pushed apart.
function endLabels({ spec, shown, yTo: [low, high] }, font) {
  if (!spec.endLabels) return [];
  const pixels = spec.height - MARGIN.t - MARGIN.b;
  const labels = lastStretches(shown).filter((one) => !one.hidden && one.spec.style !== "faint" && one.part.xs.length).map((one) => ({
    x: latest(one.part.xs), y: latest(one.part.line), xref: "x", yref: "y", xanchor: "left", xshift: 6, showarrow: false,
    text: value(spec.values, latest(one.part.line)), font: { ...font, size: 11.5, color: one.spec.color },
  })).filter((label) => label.x !== null && label.y !== null && label.text !== MISSING && !(spec.log && label.y <= 0));
  // Plotly takes the place of a label on a logarithmic axis as its power of ten.
  for (const label of labels) if (spec.log) label.y = Math.log10(label.y);
  labels.sort((a, b) => a.y - b.y);
  let below = -Infinity;
  for (const label of labels) {
    const at = ((label.y - low) / (high - low)) * pixels;
    label.yshift = Math.max(0, below + END_LABEL_PX - at);
    below = at + label.yshift;
  }
  return labels;
}
