// One chart: title, key line (the legend), plot and its text for screen readers.

import { latest, prepared, traces, withAlpha, withInterval, yRange } from "./chart_build.js";
import { annotations, markTraces, shapes } from "./chart_marks.js";
import { linearTicks, logTicks, xTicks } from "./chart_ticks.js";
import { MISSING, percent } from "./format.js";
import { value } from "./chart_words.js";
import { el } from "./base.js";
import { keySwatch } from "./chart_dom.js";

const END_LABEL_PX = 14;
const SUPERSEDED = { id: "~superseded", label: "superseded" };

export const MARGIN = { l: 40, r: 8, t: 17, b: 22 };

export class ChartView {
  constructor(page, spec) {
    this.page = page;
    this.spec = spec;
    this.onScreen = false;
    this.drawn = "";
    this.shown = [];
    this.plot = el("div", { class: "plot" });
    this.plot.style.height = `${spec.height}px`;
    this.surface = el("div", { class: "surface" });
    this.line = el("div", { class: "crosshair" });
    this.box = el("div", { class: "hover" });
    this.select = el("div", { class: "selection" });
    this.frame = el("div", { class: "frame" }, this.plot, this.select, this.line, this.box, this.surface);
    this.key = el("div", { class: "key" });
    this.keyText = "";
    this.title = el("div", { class: "chart-title" });
    this.root = el("figure", { class: `chart span-${spec.span ?? 3}${spec.big ? " big" : ""}`, tabindex: "0", role: "img" }, this.title, this.key, this.frame);
    this.root.dataset.chart = spec.id;
    this.placed();
    this.describe(spec);
  }

  // The surface and the lines lie over the plot area; the margins are fixed, so this needs no measuring.
  placed() {
    for (const part of [this.surface, this.select, this.line]) {
      part.style.top = `${MARGIN.t}px`;
      part.style.bottom = `${MARGIN.b}px`;
    }
    this.surface.style.left = `${this.margin.l}px`;
    this.surface.style.right = `${this.margin.r}px`;
  }

  get margin() {
    return { ...MARGIN, r: this.spec.endLabels ? 56 : MARGIN.r };
  }

  get width() {
    return Math.max(10, this.frame.clientWidth - this.margin.l - this.margin.r);
  }

  describe(spec) {
    this.spec = spec;
    this.root.className = `chart span-${spec.span ?? 3}${spec.big ? " big" : ""}`;
    this.plot.style.height = `${spec.height}px`;
    this.root.setAttribute("aria-label", spec.verdict ? `${spec.title}: ${spec.verdict}` : spec.title);
    this.title.replaceChildren(el("b", {}, spec.title), el("span", { class: "unit" }, spec.unit ?? ""));
    if (spec.note) this.title.append(el("span", { class: "note" }, spec.note));
    if (spec.absent) this.title.append(el("span", { class: "absent", title: spec.absent }, spec.absent));
  }

  // A text that changes when and only when the picture would.
  fingerprint() {
    const { page, spec } = this;
    const versions = spec.series.flatMap((one) => [page.version(one.id), one.error ? page.version(one.error) : ""]);
    return [versions.join(), page.viewVersion, page.marksVersion, page.theme.version, this.frame.clientWidth, JSON.stringify(spec)].join("|");
  }

  async draw() {
    if (!this.onScreen || !this.frame.clientWidth) return;
    const fingerprint = this.fingerprint();
    if (fingerprint === this.drawn) return;
    this.drawn = fingerprint;
    this.prepare();
    this.drawKey();
    const { data, layout } = this.figure();
    await globalThis.Plotly.react(this.plot, data, layout, { staticPlot: true, displayModeBar: false, responsive: false });
    this.page.counted("reacts");
  }

  prepare() {
    const { page, spec } = this;
    this.shown = spec.series.map((one) => ({
      spec: one,
      hidden: page.isHidden(spec.id, one),
      part: prepared(this.columns(one), page.view, { clock: page.clockOf(one), pixels: this.width, range: page.range(), smooth: one.smooth, band: spec.band && one.smooth }),
      superseded: this.superseded(one),
    }));
  }

  // What a resume or a rollback took the place of, as it was; null where there is nothing of it or it is hidden.
  superseded(one) {
    const { page, spec } = this;
    const columns = spec.stack || page.isHidden(spec.id, SUPERSEDED) ? null : page.supersededColumns(one.id);
    return columns && prepared(columns, page.view, { clock: page.clockOf(one), pixels: this.width, range: page.range(), smooth: false, band: false });
  }

  // A series' columns; where its standard error is a series of its own, low and high are its 95 % interval.
  columns(one) {
    const columns = this.page.columns(one.id);
    return one.error ? withInterval(columns, this.page.columns(one.error)) : columns;
  }

  figure() {
    const { page, spec, shown } = this;
    const range = page.range();
    const at = (step) => page.placeOf(step, spec.series[0]);
    const context = { at, end: range[1], range, theme: page.theme, withAlpha, font: page.theme.font };
    const yTo = yRange(spec, shown);
    const data = [...traces(spec, shown, page.theme), ...markTraces(page.marks, context)];
    return { data, layout: this.layout({ range, yTo, context }) };
  }

  layout({ range, yTo, context }) {
    const { page, spec } = this;
    const { theme } = page;
    const wanted = Math.max(3, Math.min(8, Math.round(this.width / 62)));
    const x = xTicks(page.view.axis, range, wanted, page.startS);
    const y = spec.log ? logTicks(yTo, spec.values) : linearTicks(yTo, spec.height > 240 ? 5 : 4, spec.values);
    const font = { family: theme.font.family, size: 11, color: theme.ink3 };
    const axis = { fixedrange: true, tickfont: font, automargin: false, showspikes: false };
    return {
      width: this.frame.clientWidth, height: spec.height, margin: this.margin, autosize: false, showlegend: false, hovermode: false, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font,
      xaxis: {
        ...axis, range, tickvals: x.values, ticktext: x.texts, showgrid: false, zeroline: false, showline: true, linecolor: theme.line, linewidth: 1,
        ticks: "outside", ticklen: 3, tickcolor: theme.line,
      },
      yaxis: {
        ...axis, type: spec.log ? "log" : "linear", range: yTo, tickvals: y.values, ticktext: y.texts, gridcolor: theme.grid, gridwidth: 1,
        zeroline: false, ticks: "",
      },
      yaxis2: { fixedrange: true, overlaying: "y", range: [0, 1], visible: false },
      shapes: shapes(spec, page.marks, context),
      annotations: [...annotations(spec, page.marks, { ...context, width: this.width }), ...this.endLabels(font, yTo)],
    };
  }

  // The latest value at the right end of each line, in the line's colour (Compare). Those that would overlap are pushed apart.
  endLabels(font, [low, high]) {
    if (!this.spec.endLabels) return [];
    const pixels = this.spec.height - MARGIN.t - MARGIN.b;
    const labels = this.shown.filter((one) => !one.hidden && one.part.xs.length).map(({ spec, part }) => ({
      x: latest(part.xs), y: latest(part.line), xref: "x", yref: "y", xanchor: "left", xshift: 6, showarrow: false,
      text: value(this.spec.values, latest(part.line)), font: { ...font, size: 11.5, color: spec.color },
    })).filter((label) => label.x !== null && label.y !== null && label.text !== MISSING).sort((a, b) => a.y - b.y);
    let below = -Infinity;
    for (const label of labels) {
      const at = ((label.y - low) / (high - low)) * pixels;
      label.yshift = Math.max(0, below + END_LABEL_PX - at);
      below = at + label.yshift;
    }
    return labels;
  }

  drawKey() {
    const entries = this.shown.map((one) => this.keyEntry(one));
    if (!this.spec.stack && this.spec.series.some((one) => this.page.supersededColumns(one.id))) {
      entries.push({ ...SUPERSEDED, kind: "line", color: "var(--ink3)", dash: "solid", text: "", hidden: this.page.isHidden(this.spec.id, SUPERSEDED) });
    }
    for (const reference of this.spec.references ?? []) {
      if (reference.label) entries.push({ id: `=${reference.label}`, kind: "reference", label: reference.label, text: reference.text ?? "" });
    }
    const text = JSON.stringify(entries) + this.page.stale;
    if (text === this.keyText) return;
    this.keyText = text;
    this.key.replaceChildren(...entries.map((entry) => this.keyNode(entry)));
    if (!entries.length || entries.every((entry) => entry.loading)) this.key.replaceChildren(el("span", { class: "loading" }));
  }

  keyEntry({ spec, part, hidden }) {
    const loading = this.page.loading(spec.id);
    let label = spec.label;
    if (part.raw && spec.tell) label = `${label ? `${label}, ` : ""}mean of ${Math.round(part.window * part.stride)} steps`;
    else if (part.banded && spec.tell) label = `${label ? `${label}, ` : ""}mean and min–max`;
    let text = this.spec.stack ? this.share(spec) : value(this.spec.values, latest(part.line));
    if (part.columns.kinds.length && part.columns.kinds.at(-1) && spec.style !== "rings") [label, text] = [spec.label, "not a number"];
    return { id: spec.id, kind: spec.style ?? "line", color: spec.color, dash: spec.dash, label, text: spec.plain ? "" : text, hidden, loading };
  }

  // A stacked part's share of the whole that is shown, in percent; the total's own share is what no other part explains.
  share(spec) {
    const sum = ({ part }) => part.columns.mean.reduce((total, mean, i) => total + Math.max(0, mean ?? 0) * part.columns.count[i], 0);
    const sums = this.shown.map((one) => [one.spec, sum(one)]);
    const parts = sums.filter(([one]) => !one.total).reduce((total, [, own]) => total + own, 0);
    const all = sums.find(([one]) => one.total)?.[1] ?? parts;
    const own = spec.total ? Math.max(0, all - parts) : sums.find(([one]) => one === spec)[1];
    return all > 0 ? percent(own / all) : MISSING;
  }

  keyNode(entry) {
    const mark = entry.kind === "reference" ? keySwatch("reference", "") : keySwatch(this.spec.stack ? "area" : entry.kind, entry.color, entry.dash);
    const words = [mark, el("span", { class: "cut" }, entry.label), el("b", {}, entry.text)];
    if (entry.kind === "reference") return el("span", { class: "key-entry" }, ...words);
    const node = el("button", { class: `key-entry${entry.hidden ? " off" : ""}`, type: "button", "aria-pressed": String(!entry.hidden) }, ...words);
    node.title = entry.hidden ? "Show" : "Hide";
    node.addEventListener("click", () => this.page.toggle(this.spec.id, entry.id));
    return node;
  }
}
