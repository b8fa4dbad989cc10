// A chart as a file: an SVG with title, key and marks as on the screen, and the same as PNG. Text goes in as text.

import { svg } from "./base.js";
import { keyEntries } from "./chart_key.js";

const TOP_PX = 46;
const SIDE_PX = 12;
const FOOT_PX = 20;
const SCALE = 2;
const KEY_GAP_PX = 14;

export async function svgFile(chart) {
  const picture = await drawing(chart);
  return { name: `${fileName(chart)}.svg`, blob: new Blob([new XMLSerializer().serializeToString(picture)], { type: "image/svg+xml" }) };
}

export async function pictureFile(chart) {
  const picture = await drawing(chart);
  const [width, height] = ["width", "height"].map((name) => Number(picture.getAttribute(name)));
  const image = new Image(width, height);
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(picture))}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: width * SCALE, height: height * SCALE });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return { name: `${fileName(chart)}.png`, blob: await new Promise((done) => canvas.toBlob(done, "image/png")) };
}

// Hands a file to the browser to save: {name, blob} of our own or {name, url} of the server's.
export function save({ name, blob, url }) {
  const link = document.createElement("a");
  link.href = url ?? URL.createObjectURL(blob);
  link.download = name;
  link.click();
  if (blob) setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fileName(chart) {
  return `${chart.page.title || "runvitals"}-${chart.spec.id}`.replaceAll(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 120);
}

async function drawing(chart) {
  const { theme, near } = chart.page;
  await near.brought(chart.root);
  chart.prepare();
  const { data, layout } = chart.figure();
  const markup = await globalThis.Plotly.toImage({ data, layout, config: { staticPlot: true } }, { format: "svg", width: layout.width, height: layout.height, imageDataOnly: true });
  const plot = new DOMParser().parseFromString(markup, "image/svg+xml").documentElement;
  plot.setAttribute("x", SIDE_PX);
  plot.setAttribute("y", TOP_PX);
  const [width, height] = [layout.width + 2 * SIDE_PX, layout.height + TOP_PX + FOOT_PX];
  const picture = svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}`, "font-family": theme.font.family });
  const words = (x, y, text, attributes) => svg("text", { x, y, fill: theme.ink, "font-size": 12, ...attributes }, text);
  picture.append(svg("rect", { width, height, fill: theme.bg }),
    svg("text", { x: SIDE_PX, y: 20, fill: theme.ink, "font-size": 13, "font-weight": 600 }, chart.spec.title, svg("tspan", { dx: 8, fill: theme.ink2, "font-size": 11.5, "font-weight": 400 }, chart.spec.unit ?? "")),
    ...keyRow(chart, theme), plot,
    words(SIDE_PX, height - 8, [chart.page.title, chart.page.axisLabel()].filter(Boolean).join(" · "), { fill: theme.ink2, "font-size": 11 }));
  return picture;
}

// The key in one line; a reading of the text's width, since nothing is laid out yet.
function keyRow(chart, theme) {
  const measure = document.createElement("canvas").getContext("2d");
  measure.font = `12px ${theme.font.family}`;
  let x = SIDE_PX;
  return keyEntries(chart).filter((entry) => !entry.hidden && !entry.loading).map((entry) => {
    const color = entry.kind === "reference" ? theme.ink3 : entry.color?.startsWith("#") ? entry.color : theme.ink3;
    const dash = { reference: "4 2", line: entry.dash === "solid" ? null : entry.dash?.replaceAll("px", "") }[entry.kind] ?? null;
    const swatch = entry.kind === "edge" ? null
      : entry.kind === "rings" ? svg("circle", { cx: x + 7, cy: 34, r: 3.2, fill: "none", stroke: color, "stroke-width": 1.6 })
        : chart.spec.stack ? svg("rect", { x: x + 2, y: 29, width: 10, height: 10, rx: 2, fill: color })
          : svg("line", { x1: x, x2: x + 14, y1: 34, y2: 34, stroke: color, "stroke-width": 2, "stroke-dasharray": dash });
    const start = x + (swatch ? 19 : 0);
    const text = svg("text", { x: start, y: 38, fill: theme.ink2, "font-size": 12 }, entry.label, svg("tspan", { dx: entry.label ? 5 : 0, fill: theme.ink, "font-weight": 600 }, entry.text));
    x = start + measure.measureText(`${entry.label} ${entry.text}`).width * 1.04 + KEY_GAP_PX;
    return svg("g", {}, swatch, text);
  });
}
