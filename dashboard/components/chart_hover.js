// The pointer and the keys over the charts: one line through all of them, one box for each; a drag zooms all or, with Shift, moves them.

import { el } from "./base.js";
import { keySwatch } from "./chart_dom.js";
import { precise } from "./chart_words.js";
import { isSignal } from "./chart_axis.js";
import { nearerOnly, placeText, thinAt } from "./compare_lines.js";
import { clock, count } from "./format.js";

const DRAG_PX = 4;
const GAP_PX = 8;

export class Hover {
  constructor(page) {
    this.page = page;
    this.from = null;
  }

  attach(chart) {
    const { surface } = chart;
    surface.addEventListener("pointermove", (event) => this.move(chart, event));
    surface.addEventListener("pointerleave", () => this.hide());
    surface.addEventListener("pointerdown", (event) => this.press(chart, event));
    surface.addEventListener("pointerup", (event) => this.release(chart, event));
    surface.addEventListener("pointercancel", () => this.drop(chart));
    surface.addEventListener("dblclick", () => this.page.zoom(null));
    chart.root.addEventListener("keydown", (event) => this.keys(chart, event));
    chart.root.addEventListener("blur", () => this.hide());
  }

  share(chart, event) {
    const box = chart.surface.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  }

  press(chart, event) {
    if (event.button !== 0) return;
    this.from = this.share(chart, event);
    this.pans = event.shiftKey;
    chart.surface.setPointerCapture(event.pointerId);
    chart.surface.classList.toggle("panned", this.pans);
    event.preventDefault();
  }

  move(chart, event) {
    const share = this.share(chart, event);
    this.over = { chart, height: event.clientY - chart.surface.getBoundingClientRect().top };
    this.show(share);
    if (this.from === null) return;
    if (this.pans) {
      this.page.shift(this.from - share);
      this.from = share;
      return;
    }
    const [low, high] = [Math.min(this.from, share), Math.max(this.from, share)];
    Object.assign(chart.select.style, { display: "block", left: `${chart.margin.l + low * chart.width}px`, width: `${(high - low) * chart.width}px` });
  }

  release(chart, event) {
    const from = this.from;
    this.drop(chart);
    if (from === null || this.pans) return;
    const to = this.share(chart, event);
    if (Math.abs(to - from) * chart.width < DRAG_PX) return;
    const [low, high] = this.page.range();
    const place = (share) => low + share * (high - low);
    this.page.zoom([place(Math.min(from, to)), place(Math.max(from, to))]);
  }

  drop(chart) {
    this.from = null;
    chart.surface.classList.remove("panned");
    chart.select.style.display = "none";
  }

  // On the chart itself, not on the buttons in it: arrows read it, + and − zoom around the line, Shift and arrows pan, 0 shows all.
  keys(chart, event) {
    if (event.target !== chart.root || event.ctrlKey || event.metaKey || event.altKey) return;
    const towards = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const factor = { "+": 0.5, "=": 0.5, "-": 2, "\u2212": 2 }[event.key];
    if (event.key === "Escape" || event.key === "0") this.page.zoom(null);
    else if (factor) this.page.shift(0, { factor, around: this.at ?? 0.5 });
    else if (towards && event.shiftKey && this.page.view.mode !== "whole") this.page.shift(0.2 * towards);
    else if (towards) this.show(Math.max(0, Math.min(1, (this.at ?? 1) + towards * (event.shiftKey ? 0.1 : 0.01))));
    else return;
    event.preventDefault();
  }

  // What the line tells after a refresh: it stays where it is, and what is beneath it may be new.
  again() {
    if (this.at !== null && this.at !== undefined) this.show(this.at);
  }

  show(share) {
    this.at = share;
    const [low, high] = this.page.range();
    const place = low + share * (high - low);
    for (const chart of this.page.charts) {
      if (!chart.onScreen || !chart.shown.length) continue;
      chart.line.style.display = "block";
      chart.line.style.left = `${chart.margin.l + share * chart.width}px`;
      this.fill(chart, place, share);
    }
  }

  hide() {
    this.at = this.over = null;
    for (const chart of this.page.charts) {
      chart.line.style.display = "none";
      chart.box.style.display = "none";
    }
  }

  fill(chart, place, share) {
    const found = chart.shown.filter(({ spec, hidden }) => !hidden && spec.style !== "faint").map(({ part, spec }) => ({ part, spec, i: nearest(part.xs, place) }))
      .filter(({ i }) => i >= 0).map((one) => ({ ...one, away: Math.abs(one.part.xs[one.i] - place) }));
    const [first] = found;
    const thin = this.over?.chart === chart && thinAt(chart, (id) => this.page.held.get(id), { place, height: this.over.height });
    const head = !first ? thin && { step: null, time: 0, late_s: 0, place } : { step: first.part.columns.step[first.i], time: first.part.columns.time[first.i], late_s: this.page.clockOf(first.spec).late_s, place };
    const rows = nearerOnly(found).map(({ part, spec, i }) => this.row(chart, part, { spec, i }));
    if (thin) rows.push(el("div", { class: "hover-row thin" }, keySwatch("line", "var(--ink3)"), el("span", { class: "hover-label" }, thin.name), el("b", {}, precise(chart.spec.values, thin.value))));
    chart.box.style.display = head ? "block" : "none";
    if (!head) return;
    chart.box.replaceChildren(el("div", { class: "hover-head" }, this.headText(head)), ...rows);
    this.place(chart, share);
  }

  // Beside the line where there is room, never beyond the page, and as little over the plot as can be: from its top edge upwards.
  place(chart, share) {
    const { box, frame } = chart;
    const x = chart.margin.l + share * chart.width;
    const [page, own] = [this.page.root.getBoundingClientRect(), frame.getBoundingClientRect()];
    const [lowest, highest] = [page.left - own.left, page.right - own.left - box.offsetWidth];
    const wanted = share < 0.5 ? x + GAP_PX : x - GAP_PX - box.offsetWidth;
    box.style.left = `${Math.max(lowest, Math.min(highest, wanted))}px`;
  }

  headText(head) {
    if (this.page.compares && !isSignal(this.page.view.axis)) return placeText(this.page.view, head.place);
    const step = head.step === null || head.step < 0 ? "" : `step ${count(head.step)} · `;
    return step + clock(this.page.startS + head.late_s + head.time);
  }

  row(chart, part, { spec, i }) {
    const kind = chart.spec.values;
    const { columns } = part;
    const texts = [el("span", { class: "hover-label" }, spec.label || "value"), el("b", {}, this.shownValue(kind, columns, i))];
    if (part.raw) texts.push(el("span", { class: "hover-more" }, `mean ${precise(kind, part.line[i])}`));
    if (columns.count[i] > 1) texts.push(el("span", { class: "hover-more" }, `${precise(kind, columns.low[i])} to ${precise(kind, columns.high[i])}`));
    if (spec.group) texts.push(el("span", { class: "hover-more" }, `n ${count(columns.count[i])}`));
    return el("div", { class: "hover-row" }, keySwatch(chart.spec.stack ? "area" : spec.style ?? "line", spec.color, spec.dash), ...texts);
  }

  shownValue(kind, columns, i) {
    const words = ["NaN", "+Inf", "−Inf", "None"].filter((_, bit) => columns.kinds[i] & (1 << bit));
    if (columns.mean[i] === null) return words.join(", ") || "—";
    return precise(kind, columns.mean[i]) + (words.length ? `, ${words.join(", ")}` : "");
  }
}

// The index of the x nearest to a place, -1 where there is none.
export function nearest(xs, place) {
  let [best, distance] = [-1, Infinity];
  for (let i = 0; i < xs.length; i++) {
    if (xs[i] === null) continue;
    const away = Math.abs(xs[i] - place);
    if (away <= distance) [best, distance] = [i, away];
  }
  return best;
}
