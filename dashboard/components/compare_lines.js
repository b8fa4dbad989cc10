// Lines that only a comparison has: all other runs as one thin grey trace, and groups of runs, of which some may have ended.

import { places } from "./chart_axis.js";
import { breaks, visible } from "./chart_data.js";
import { MISSING, count, duration, number, percent } from "./format.js";

const NEAR_PX = 12;

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
    const { step, mean, low, high, count: runs } = held(one.id)?.columns ?? { step: [] };
    return step.map((place, i) => ((mean[i] === null && !runs[i]) || !fresh(one, place) ? null : [quoted(one.name), place, mean[i] ?? "", low[i] ?? "", high[i] ?? "", runs[i]].join(","))).filter(Boolean);
  });
  // Groups beyond those in colour are told by their means alone, as they are drawn.
  const thin = chart.spec.series.filter((one) => one.style === "faint").flatMap((one) => {
    const { runs = [], columns } = held(one.id) ?? {};
    return runs.flatMap(([name, start, stop]) => columns.step.slice(start, stop).map((place, i) => [quoted(name), place, columns.mean[start + i] ?? "", "", "", ""].join(",")));
  });
  return ["group,place,mean,low,high,runs", ...rows, ...thin].join("\r\n");
}

// The thin line that the pointer is on or near, by height (px from the plot's top): {name, value}, or null.
export function thinAt(chart, held, { place, height }) {
  const [low, high] = chart.yTo ?? [0, 1];
  const tall = chart.surface.clientHeight;
  const above = (value) => tall * (1 - ((chart.spec.log ? Math.log10(value) : value) - low) / (high - low));
  let found = null;
  for (const { spec, part, hidden } of chart.shown) {
    if (hidden || spec.style !== "faint") continue;
    for (const [name, start, stop] of held(spec.id)?.runs ?? []) {
      const value = between(part, { place, start, stop });
      const away = value === null ? Infinity : Math.abs(above(value) - height);
      if (away <= (found?.away ?? NEAR_PX)) found = { name, value, away };
    }
  }
  return found;
}

// A line's value at a place, null where it has none.
function between({ xs, line }, { place, start, stop }) {
  for (let i = start; i + 1 < stop; i++) {
    if (xs[i] === null || xs[i] > place || xs[i + 1] < place || line[i] === null || line[i + 1] === null) continue;
    const share = xs[i + 1] > xs[i] ? (place - xs[i]) / (xs[i + 1] - xs[i]) : 0;
    return line[i] + share * (line[i + 1] - line[i]);
  }
  return null;
}

// Where the pointer is, in words: runs of a comparison share an axis, not a time.
export function placeText(view, place) {
  const at = view.log ? 10 ** place : place;
  const words = { step: (x) => `step ${count(x)}`, tokens: (x) => `${number(x)} tokens`, share: (x) => `${percent(x)} of the run`, since: duration, time: duration };
  return words[view.axis]?.(at) ?? MISSING;
}
