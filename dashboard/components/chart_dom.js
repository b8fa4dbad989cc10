// The sign of a series in a key or a hover box: a stroke, a ring, an area, a dashed reference.

import { svg } from "./base.js";

export function keySwatch(kind, color, dash = "solid") {
  const picture = svg("svg", { width: 14, height: 10, viewBox: "0 0 14 10", class: "key-swatch", "aria-hidden": "true" });
  if (kind === "rings") picture.append(svg("circle", { cx: 7, cy: 5, r: 3.2, fill: "none", stroke: color, "stroke-width": 1.6 }));
  else if (kind === "area") picture.append(svg("rect", { x: 2, y: 0, width: 10, height: 10, rx: 2, fill: color }));
  else picture.append(svg("line", { x1: 0, x2: 14, y1: 5, y2: 5, "stroke-width": 2, ...stroke(kind, color, dash) }));
  return picture;
}

function stroke(kind, color, dash) {
  if (kind === "reference") return { stroke: "var(--ink3)", "stroke-dasharray": "4 2" };
  if (dash === "solid") return { stroke: color };
  return { stroke: color, "stroke-dasharray": dash === "2px 3px" ? "2 2" : "5 2.5" };
}
