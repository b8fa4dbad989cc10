// Lines that only a comparison has: all other runs as one thin grey trace, and groups of runs, of which some may have ended.

import { places } from "./chart_axis.js";
import { breaks, visible } from "./chart_data.js";
import { MISSING, count, duration, number, percent } from "./format.js";

// Many thin lines in one series: where the next one begins its steps go back. They are as fine as they are shown; beyond the view is nothing.
export function faintPart(columns, view, { clock, range, pixels }) {
  const xs = places(columns, view, clock);
  const inside = (x) => x !== null && x !== undefined && x >= range[0] && x <= range[1];
  // One neighbour on each side, so that lines reach the edge.
  const near = xs.map((x, i) => inside(x) || inside(xs[i - 1]) || inside(xs[i + 1]));
  const mean = columns.mean.map((value, i) => (near[i] ? value : null));
  const shown = { ...columns, mean, low: mean, high: mean };
  return { columns: shown, xs, broken: breaks(shown), banded: false, finite: 0, scattered: false, stride: 1, pixels, range, zoomed: false, line: mean, raw: false, said: "" };
}

// A group's stretch of curve within the view: what is not finite breaks it, and its band is the spread over runs, not over rows.
export function groupPart(columns, view, { clock, range, pixels }) {
  const { columns: shown, xs } = visible(columns, places(columns, view, clock), view.range);
  const banded = shown.count.some((n) => n > 1);
  return { columns: shown, xs, broken: breaks(shown), banded, finite: 0, scattered: false, stride: 1, pixels, range, zoomed: false, line: shown.mean, raw: false, said: "" };
}

// Of a group's two stretches (all its runs; some of them) the one that is nearer to the pointer is told of.
export function nearerOnly(rows) {
  return rows.filter(({ spec, away }) => !spec.group || !rows.some((other) => other.spec !== spec && other.spec.group === spec.group && other.away < away));
}

// Of a group's two stretches the one that reaches further: its end is where the group stands now.
export function lastStretches(shown) {
  const end = ({ part }) => part.xs.findLast((x, i) => part.line[i] !== null && part.line[i] !== undefined) ?? -Infinity;
  return shown.filter((one) => {
    const twin = one.spec.group && shown.find((other) => other !== one && other.spec.group === one.spec.group);
    return !twin || end(one) > end(twin) || (end(one) === end(twin) && !one.spec.thin);
  });
}

// A group chart's curves as a CSV file: what is drawn, for there are no points behind a mean. A name that a spreadsheet would run is text.
export function groupsCsv(chart, held) {
  const quoted = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  // Both stretches of a group hold the places at which they meet.
  const told = new Set();
  const fresh = (one, place) => !told.has(`${one.group} ${place}`) && told.add(`${one.group} ${place}`);
  const rows = chart.spec.series.filter((one) => one.group).flatMap((one) => {
    const { step, mean, low, high, count: runs } = held(one.id) ?? { step: [] };
    return step.map((place, i) => ((mean[i] === null && !runs[i]) || !fresh(one, place) ? null : [quoted(one.name), place, mean[i] ?? "", low[i] ?? "", high[i] ?? "", runs[i]].join(","))).filter(Boolean);
  });
  return ["group,place,mean,low,high,runs", ...rows].join("\r\n");
}

// Where the pointer is, in words: runs of a comparison share an axis, not a time.
export function placeText(view, place) {
  const at = view.log ? 10 ** place : place;
  const words = { step: (x) => `step ${count(x)}`, tokens: (x) => `${number(x)} tokens`, share: (x) => `${percent(x)} of the run`, since: duration, time: duration };
  return words[view.axis]?.(at) ?? MISSING;
}
