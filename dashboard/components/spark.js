// A small curve without axes. Points come as one flat list of whole numbers from 0 to 100: x, y, x, y …, null for a break.

import { svg } from "./base.js";

const WIDTH = 92;
const HEIGHT = 26;
const EDGE = 3;

/** The curve with a dot at its end; the dot is left out where the curve ends in a break. */
export function spark(points) {
  const lines = [[]];
  let last = null;
  for (let at = 0; at < points.length; ) {
    if (points[at] === null) {
      lines.push([]);
      last = null;
      at += 1;
      continue;
    }
    last = [EDGE + (points[at] / 100) * (WIDTH - 2 * EDGE), HEIGHT - EDGE - (points[at + 1] / 100) * (HEIGHT - 2 * EDGE)];
    lines.at(-1).push(last);
    at += 2;
  }
  const shapes = lines.filter((line) => line.length > 1).map((line) => svg("polyline", { points: line.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ") }));
  const dot = last && svg("circle", { cx: last[0].toFixed(1), cy: last[1].toFixed(1), r: 2, fill: "currentColor", stroke: "none" });
  return svg(
    "svg",
    { class: "spark", width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-linejoin": "round", "aria-hidden": "true" },
    shapes,
    dot,
  );
}
