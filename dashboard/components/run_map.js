// The map of devices, ranks and hosts: a row for each, time along it, ink by value. A row that differs from the others is seen at once.

import { explain, spoken } from "./chart_about.js";
import { el, keyed, setAttribute, setClass, setText } from "./base.js";
import { linearTicks, xTicks } from "./chart_ticks.js";
import { value } from "./chart_words.js";
import { clock, count, dataRate, together } from "./format.js";

const MARGIN = { l: 4, r: 8 };
const [MISSING, NOT_A_NUMBER, LEVELS] = [-1, -2, 255];
// The palest and the darkest ink: the lowest value is still told from what is missing.
const [PALE, DARK] = [0.07, 0.85];
const SHARES = new Set(["%", "GiB", "W", "°C", "MHz", "s"]);

export function drawMap(node, { block, state }) {
  const map = state.map?.body ?? {};
  const view = (node.map ??= new MapView(node, state));
  view.draw(block, map);
}

class MapView {
  constructor(node, state) {
    this.state = state;
    this.choice = el("select", { class: "map-choice", "aria-label": "What the map shows", onchange: () => state.layout.choose(this.choice.value) });
    this.title = el("b", {});
    this.unit = el("span", { class: "unit" });
    this.said = el("span", { class: "map-said" });
    this.scale = el("span", { class: "map-scale" }, el("span"), el("span", { class: "map-ramp", "aria-hidden": "true" }), el("span"));
    this.head = el("div", { class: "map-head" }, el("label", { class: "view-choice" }, "Shows", this.choice), this.title, this.unit, this.said, this.scale);
    this.names = el("div", { class: "map-names" });
    this.canvas = el("canvas", { class: "map-canvas", tabindex: "0", role: "img" });
    this.values = el("div", { class: "map-values" });
    this.axis = el("div", { class: "map-axis" });
    this.box = el("div", { class: "hover map-hover" });
    this.plot = el("div", { class: "map-plot" }, this.canvas, this.axis, this.box);
    node.append(this.head, el("div", { class: "map-body" }, this.names, this.plot, this.values));
    explain({ over: this.title, focus: this.canvas, root: state.root, facts: () => (this.map.about ? [this.map.about] : []) });
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => (this.box.style.display = "none"));
    this.canvas.addEventListener("click", (event) => this.pin(this.rowAt(event)));
  }

  draw(block, map) {
    this.map = map;
    this.choices(block, map);
    const { page } = this.state;
    const width = this.plot.clientWidth;
    const drawn = [this.state.map?.digest, page.viewVersion, page.theme?.version, width, devicePixelRatio].join("|");
    if (!map.rows || !width || drawn === this.drawn) return;
    this.drawn = drawn;
    this.height = map.rows.length <= 16 ? 18 : map.rows.length <= 32 ? 13 : map.rows.length <= 64 ? 9 : 6;
    setText(this.title, map.title);
    setText(this.unit, map.unit);
    setText(this.said, together([map.sentence, map.left === 1 ? "1 row that differs less is left out" : map.left ? `${count(map.left)} rows that differ less are left out` : ""].filter(Boolean).join(" · ")));
    setText(this.scale.firstChild, this.written(map.low));
    setText(this.scale.lastChild, this.written(map.high));
    setAttribute(this.canvas, "aria-label", `${map.title} of ${map.rows.length} rows. ${map.sentence} ${spoken([map.about])}`);
    this.labels();
    this.paint(width);
  }

  choices(block, map) {
    const text = JSON.stringify(block.choices);
    if (this.choice.dataset.text !== text) {
      const kinds = [...new Set(block.choices.map((one) => one.of))];
      this.choice.replaceChildren(...kinds.map((kind) => el("optgroup", { label: kind }, block.choices.filter((one) => one.of === kind).map((one) => el("option", { value: one.id }, one.title)))));
      this.choice.dataset.text = text;
    }
    const chosen = this.state.layout.map || map.measure;
    if (chosen && this.choice.value !== chosen) this.choice.value = chosen;
    setClass(this.plot.parentNode, `map-body${map.measure && chosen !== map.measure ? " waiting" : ""}`);
  }

  written(of) {
    if (this.map.unit === "MiB/s") return dataRate(of);
    const text = value(this.map.values, of);
    return SHARES.has(this.map.unit) && of !== null ? `${text} ${this.map.unit}` : text;
  }

  // Names and newest values, a line each; where rows are lower than a line only those that fit. A host is named where its rows begin.
  labels() {
    const every = Math.max(1, Math.ceil(13 / this.height));
    let group = "";
    const rows = this.map.rows.map((row, i) => {
      const begins = row.group !== group;
      group = row.group;
      return { i, row, text: begins ? `${row.group} ${row.label}` : row.label, shown: begins || i % every === 0 };
    }).filter((one) => one.shown);
    const place = (node, { i }) => (node.style.top = `${i * this.height + this.height / 2}px`);
    const size = `${this.map.rows.length * this.height}px`;
    this.names.style.height = this.values.style.height = size;
    keyed(this.names, rows, {
      key: ({ row }) => row.key,
      make: ({ row }) => el("button", { type: "button", class: "map-name cut", title: `${row.key}: pin its curve`, onclick: () => this.pin(row) }),
      update: (node, one) => {
        setText(node, one.text);
        place(node, one);
      },
    });
    keyed(this.values, rows, {
      key: ({ row }) => row.key,
      make: () => el("span", { class: "map-value" }),
      update: (node, one) => {
        setText(node, this.written(one.row.now));
        place(node, one);
      },
    });
  }

  pin(row) {
    if (row) this.state.layout.togglePin(`key:${row.key}`);
  }

  // Where each cell begins on the x axis of all charts, in pixels.
  edges(width) {
    const { page } = this.state;
    const { view, range } = page.steady();
    const clockOf = Object.values(page.clocks)[0];
    const { from_s: from, to_s: to, rows } = this.map;
    const cells = rows[0].cells.length;
    const left = MARGIN.l;
    const inner = width - MARGIN.l - MARGIN.r;
    return Array.from({ length: cells + 1 }, (_, i) => {
      const place = clockOf?.place(view, null, from + ((to - from) * i) / cells);
      return place === null || place === undefined ? null : left + ((place - range[0]) / (range[1] - range[0])) * inner;
    });
  }

  paint(width) {
    const { rows } = this.map;
    const { theme } = this.state.page;
    const height = rows.length * this.height;
    const ratio = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    const ink = this.canvas.getContext("2d");
    ink.scale(ratio, ratio);
    ink.beginPath();
    ink.rect(MARGIN.l, 0, width - MARGIN.l - MARGIN.r, height);
    ink.clip();
    this.xs = this.edges(width);
    rows.forEach((row, i) => this.paintRow(ink, theme, row.cells, i));
    this.drawAxis(width);
  }

  paintRow(ink, theme, cells, i) {
    const gap = this.height > 8 ? 1 : 0;
    cells.forEach((level, at) => {
      const [left, right] = [this.xs[at], this.xs[at + 1]];
      if (level === MISSING || left === null || right === null || right <= left) return;
      const [x, y, high] = [left, i * this.height, this.height - gap];
      if (level === NOT_A_NUMBER) {
        cross(ink, theme.critical, { x: (left + right) / 2, y: y + high / 2, size: Math.min(7, high) });
        return;
      }
      ink.globalAlpha = PALE + (DARK - PALE) * (level / LEVELS);
      ink.fillStyle = theme.ink2;
      ink.fillRect(x, y, right - left + 0.4, high);
      ink.globalAlpha = 1;
    });
  }

  drawAxis(width) {
    const { page } = this.state;
    const { view, range } = page.steady();
    const wanted = Math.max(4, Math.min(12, Math.round(width / 90)));
    const ticks = view.axis === "step" ? linearTicks(range, wanted, "count") : xTicks(view, range, { wanted, startS: page.startS, kind: page.axisKind() });
    const inner = width - MARGIN.l - MARGIN.r;
    const marks = ticks.values.map((at, i) => ({ text: ticks.texts[i], x: MARGIN.l + ((at - range[0]) / (range[1] - range[0])) * inner }));
    keyed(this.axis, marks.map((mark, i) => ({ ...mark, i })), { key: ({ i }) => i, make: () => el("span"), update: (node, mark) => {
      setText(node, mark.text);
      node.style.left = `${mark.x}px`;
    } });
  }

  rowAt(event) {
    const y = event.clientY - this.canvas.getBoundingClientRect().top;
    return this.map.rows?.[Math.floor(y / this.height)];
  }

  hover(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const row = this.rowAt(event);
    const at = (this.xs ?? []).findIndex((left, i) => left !== null && this.xs[i + 1] !== null && left <= x && x < this.xs[i + 1]);
    if (!row || at < 0) {
      this.box.style.display = "none";
      return;
    }
    const level = row.cells[at];
    const { low, high, from_s: from, to_s: to } = this.map;
    const text = level === MISSING ? "not logged" : level === NOT_A_NUMBER ? "not a number" : this.written(low + (level / LEVELS) * (high - low));
    const { page } = this.state;
    const time = from + ((to - from) * (at + 0.5)) / row.cells.length;
    const step = Object.values(page.clocks)[0]?.stepAt(time);
    const when = [step === null || step === undefined ? "" : `step ${count(Math.round(step))}`, clock(page.startS + time)].filter(Boolean).join(" · ");
    this.box.replaceChildren(el("div", { class: "hover-head" }, [row.group, row.label].filter(Boolean).join(" ")), el("div", { class: "hover-row" }, el("b", {}, text), el("span", { class: "hover-more" }, when)));
    Object.assign(this.box.style, { display: "block", bottom: "auto", top: `${event.clientY - box.top + 14}px`, left: `${Math.max(0, Math.min(x + 8, box.width - this.box.offsetWidth))}px` });
  }
}

function cross(ink, color, { x, y, size }) {
  ink.strokeStyle = color;
  ink.lineWidth = 1.4;
  ink.beginPath();
  ink.moveTo(x - size / 2, y - size / 2);
  ink.lineTo(x + size / 2, y + size / 2);
  ink.moveTo(x + size / 2, y - size / 2);
  ink.lineTo(x - size / 2, y + size / 2);
  ink.stroke();
}
