// Small multiples of devices and host: name and value, a curve on a fixed scale, a bar for memory, numbers below.

import { el, keyed, setAttribute, setText, svg } from "./base.js";
import { explain, spoken } from "./chart_about.js";
import { latest } from "./chart_build.js";
import { places } from "./chart_axis.js";
import { thinned, visible } from "./chart_data.js";
import { count, dataRate, number, quantity } from "./format.js";

// Watts, degrees and percents are whole numbers: a decimal of theirs is noise.
const WHOLE = new Set(["%", "W", "°C"]);

function written(value, unit) {
  if (unit === "MiB/s") return dataRate(value);
  return WHOLE.has(unit) && value !== null ? `${count(value)} ${unit}` : quantity(value, unit);
}

const [WIDTH, HEIGHT] = [140, 34];

export function drawSmall(node, { block, state }) {
  keyed(node, block.items, {
    key: (item) => item.id,
    make: (item) => {
      const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { class: "small-area" }), svg("path", { class: "small-line", "vector-effect": "non-scaling-stroke" }));
      const node = el("div", { class: "small-item", tabindex: "0", role: "img", "aria-description": spoken(item.about) }, el("div", { class: "small-title" }, el("b"), el("span", { class: "unit" }), el("b")), picture, el("div", { class: "bar" }, el("div")), el("div", { class: "small-feet" }));
      explain({ over: node.firstChild, focus: node, root: state.root, facts: () => item.about });
      return node;
    },
    update: (one, item) => updateItem(one, { item, page: state.page }),
  });
}

function updateItem(node, { item, page }) {
  const [title, picture, bar, feet] = node.children;
  const now = latest(page.columns(item.series).mean);
  setText(title.firstChild, item.title);
  setText(title.children[1], item.of ?? "");
  setText(title.lastChild, written(now, item.unit));
  setAttribute(node, "aria-label", `${item.title}${item.of ? ` of ${item.of}` : ""}: ${written(now, item.unit)}`);
  const version = `${page.version(item.series)}|${page.viewVersion}`;
  if (node.dataset.version !== version) drawCurve(picture, { item, page });
  node.dataset.version = version;
  bar.hidden = !item.bar;
  if (item.bar) {
    const [used, total] = item.bar.map((id) => latest(page.columns(id).mean));
    bar.firstChild.style.width = total ? `${Math.min(100, (100 * used) / total)}%` : "0";
  }
  const texts = (item.feet ?? []).map((foot) => written(latest(page.columns(foot.series).mean), foot.unit));
  keyed(feet, texts.map((text, i) => ({ text, i })), { key: ({ i }) => i, make: () => el("span"), update: (one, { text }) => setText(one, text) });
}

function drawCurve(picture, { item, page }) {
  const clock = Object.values(page.clocks)[0];
  const { view, range } = page.steady();
  if (!clock) return;
  const columns = page.columns(item.series);
  const seen = visible(columns, places(columns, view, clock), range);
  const { columns: shown, xs } = thinned(seen.columns, seen.xs, 2 * WIDTH);
  const top = item.top ?? Math.max(1e-9, ...shown.high.filter((high) => high !== null)) * 1.1;
  const points = shown.mean.map((mean, i) => [((xs[i] - range[0]) / (range[1] - range[0])) * WIDTH, mean]).filter(([, mean]) => mean !== null)
    .map(([x, mean]) => `${x.toFixed(1)} ${(HEIGHT - 1 - (Math.min(top, mean) / top) * (HEIGHT - 2)).toFixed(1)}`);
  const [area, line] = picture.children;
  line.setAttribute("d", points.length ? `M${points.join("L")}` : "");
  const [first, last] = [points[0]?.split(" ")[0], points.at(-1)?.split(" ")[0]];
  area.setAttribute("d", points.length ? `M${first} ${HEIGHT}L${points.join("L")}L${last} ${HEIGHT}Z` : "");
  setAttribute(picture, "data-top", number(top));
}
