// What all charts of a page share: series, clocks, view (axis, zoom, hidden series), theme, and the messages from the server.

import { Clock, Series, emptyColumns, unpacked } from "./chart_data.js";
import { Hover } from "./chart_hover.js";
import { readTheme } from "./chart_theme.js";
import { ChartView } from "./chart_view.js";

const ZOOM_SETTLES_MS = 180;
const NOTHING = emptyColumns();

export class ChartPage {
  constructor(root) {
    this.root = root;
    this.charts = [];
    this.series = new Map();
    this.superseded = new Map();
    this.versions = new Map();
    this.hidden = new Set();
    this.fine = null;
    this.view = { axis: "step", range: null, mode: "whole" };
    this.viewVersion = 0;
    this.marksVersion = 0;
    this.marks = {};
    this.clocks = {};
    this.seq = -1;
    this.counts = { mounts: 0, messages: 0, reacts: 0, resyncs: 0 };
    this.hover = new Hover(this);
    this.seen = new IntersectionObserver((entries) => this.watched(entries), { rootMargin: "120px" });
    this.sized = new ResizeObserver(() => this.later());
    this.sized.observe(root);
  }

  counted(what) {
    this.counts[what]++;
    this.root.dataset[what] = this.counts[what];
  }

  // True where the message could be taken in; false where something before it is missing and all must be asked for anew.
  receive(data) {
    this.counted("messages");
    this.theme = readTheme(this.root);
    if (!data.whole && data.seq <= this.seq) return true;
    if (!data.whole && (this.seq < data.base || this.epoch !== data.epoch)) return false;
    if (data.whole) this.restart(data);
    this.seq = data.seq;
    for (const [id, { from, columns }] of Object.entries(data.points ?? {})) {
      if (!this.series.has(id)) this.series.set(id, new Series());
      if (!this.series.get(id).append(from, columns)) return false;
      this.versions.set(id, `${this.epoch}.${this.series.get(id).appended}`);
    }
    if (data.zoom && data.zoom.id === this.view.zoomId) {
      this.fine = data.zoom;
      this.asked = null;
      this.viewVersion++;
    } else if (this.asked && --this.asked.patience < 0) this.ask({ ...this.asked.zoom, again: this.asked.zoom.again + 1 });
    this.later();
    return true;
  }

  restart(data) {
    this.epoch = data.epoch;
    this.series.clear();
    this.superseded = new Map(Object.entries(data.superseded ?? {}).map(([id, columns]) => [id, unpacked(columns)]));
    this.versions.clear();
    for (const [id, columns] of Object.entries(data.series)) {
      const series = new Series();
      series.replace(columns);
      this.series.set(id, series);
      this.versions.set(id, `${data.epoch}.0`);
    }
    if (this.view.range) this.askFiner();
  }

  // The charts' specs and marks. A chart that stays keeps its elements, and with them zoom, focus and pointer.
  specify(specs, { clocks, marks }) {
    const marksText = JSON.stringify([marks, clocks]);
    if (marksText !== this.marksText) this.marksVersion++;
    this.marksText = marksText;
    [this.clockSpecs, this.marks] = [clocks, marks];
    const old = new Map(this.charts.map((chart) => [chart.spec.id, chart]));
    this.charts = specs.map((spec) => {
      const chart = old.get(spec.id) ?? this.added(spec);
      old.delete(spec.id);
      chart.describe(spec);
      return chart;
    });
    for (const gone of old.values()) this.seen.unobserve(gone.root);
    this.later();
  }

  added(spec) {
    const chart = new ChartView(this, spec);
    this.counted("mounts");
    this.hover.attach(chart);
    this.seen.observe(chart.root);
    return chart;
  }

  watched(entries) {
    for (const entry of entries) {
      const chart = this.charts.find((one) => one.root === entry.target);
      if (chart) chart.onScreen = entry.isIntersecting;
    }
    this.later();
  }

  // Draws once, with the next frame, whatever happened until then.
  later() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.drawAll();
    });
  }

  drawAll() {
    if (!globalThis.Plotly || !this.clockSpecs) return;
    this.clocks = {};
    for (const [name, spec] of Object.entries(this.clockSpecs)) {
      const columns = (id) => this.series.get(id)?.columns ?? NOTHING;
      this.clocks[name] = new Clock(columns(spec.steps), columns(spec.tokens));
      this.clocks[name].total = spec.total || 1;
    }
    if (this.view.mode === "last" || this.view.mode === "follow") this.follow();
    this.extent = null;
    const range = this.range().join();
    if (range !== this.rangeText) {
      this.rangeText = range;
      this.viewVersion++;
    }
    for (const chart of this.charts) chart.draw();
    this.after?.();
  }

  version(id) {
    return this.versions.get(id) ?? "";
  }

  loading(id) {
    return !this.series.has(id);
  }

  clockOf(spec) {
    return this.clocks[spec.clock] ?? Object.values(this.clocks)[0];
  }

  // When the run began, for the time of day; null where several runs share an axis of time since their starts.
  get startS() {
    const starts = Object.values(this.clockSpecs ?? {}).map((spec) => spec.start_s);
    return starts.length === 1 ? starts[0] : null;
  }

  placeOf(step, seriesSpec) {
    if (step === null || step === undefined) return null;
    const clock = this.clockOf(seriesSpec);
    return clock.place(this.view.axis, step, clock.timeAt(step) ?? 0);
  }

  // A series as it is shown: finer data where the zoom has it, and what arrived since.
  columns(id) {
    const held = this.series.get(id)?.columns ?? NOTHING;
    const finer = this.view.range && this.fine?.id === this.view.zoomId ? this.fine.series[id] : null;
    if (!finer || !finer.step.length) return held;
    const fine = new Series();
    fine.replace(finer);
    const until = finer.time.at(-1);
    const tail = held.time.findIndex((time) => time > until);
    if (tail >= 0) {
      const rest = {};
      for (const name of Object.keys(held)) rest[name] = held[name].slice(tail);
      fine.append(0, rest);
    }
    return fine.columns;
  }

  // What a later generation of steps took the place of; null where training never went back.
  supersededColumns(id) {
    const finer = this.view.range && this.fine?.id === this.view.zoomId ? this.fine.superseded?.[id] : null;
    return finer ? unpacked(finer) : this.superseded.get(id) ?? null;
  }

  // The x range in view: the zoom, or all that there is.
  range() {
    if (this.view.range) return this.view.range;
    this.extent ??= this.whole();
    return this.extent;
  }

  whole() {
    const { axis } = this.view;
    let [low, high] = [Infinity, -Infinity];
    for (const clock of Object.values(this.clocks)) {
      if (!clock.steps.length) continue;
      const ends = [0, clock.steps.length - 1].map((i) => clock.place(axis, clock.steps[i], clock.times[i]));
      low = Math.min(low, ends[0] ?? low);
      high = Math.max(high, ends[1] ?? high);
    }
    if (!(high > -Infinity)) return [0, 1];
    // A single point stands in the middle, not on the axis.
    if (high === low) return [Math.max(0, low - 1), high + 1];
    if (axis !== "step" || low < 0.2 * high) low = 0;
    if (axis === "share") high = Math.max(1, high);
    return [low, high > low ? high + (high - low) * 0.02 : low + 1];
  }

  // Follow and "last 50 steps" are zooms whose right edge is the newest step.
  follow() {
    const clock = Object.values(this.clocks)[0];
    if (!clock?.steps.length) return;
    const last = clock.steps.at(-1);
    const place = (step) => clock.place(this.view.axis, step, clock.timeAt(step));
    const width = this.view.mode === "last" ? 50 : this.view.width;
    const [low, high] = [place(Math.max(clock.steps[0], last - width)), place(last)];
    if (low === null || high === null || high <= low) return;
    this.view.range = [low, high + (high - low) * 0.01];
  }

  setMode(mode) {
    const clock = Object.values(this.clocks)[0];
    const [low, high] = this.range();
    const steps = clock ? clock.stepOf(this.view.axis, high) - clock.stepOf(this.view.axis, low) : 50;
    this.view.mode = mode;
    if (mode === "whole") this.view.range = null;
    // Follow keeps the width that is on screen; on the whole run it takes a quarter of it.
    if (mode === "follow") this.view.width = Math.max(5, this.view.range ? steps : steps / 4);
    this.moved();
  }

  setAxis(axis) {
    const clock = Object.values(this.clocks)[0];
    if (this.view.range && clock) {
      const steps = this.view.range.map((place) => clock.stepOf(this.view.axis, place));
      const moved = steps.map((step) => clock.place(axis, step, clock.timeAt(step)));
      this.view.range = moved.every((place) => place !== null) && moved[1] > moved[0] ? moved : null;
    }
    this.view.axis = axis;
    this.moved();
  }

  zoom(range) {
    this.view.range = range;
    this.view.mode = range ? "zoom" : "whole";
    this.moved();
  }

  moved() {
    this.viewVersion++;
    this.view.zoomId = `${Date.now()}.${this.viewVersion}`;
    this.fine = null;
    this.asked = null;
    this.extent = null;
    this.onMoved?.();
    if (this.view.mode === "whole") this.askFor?.(null);
    else this.askFiner();
    this.later();
  }

  // Asks the store for the range in view once it has settled, if what is held is coarser than single points.
  askFiner() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      const clock = Object.values(this.clocks)[0];
      if (!clock || !this.view.range || !this.coarse()) return;
      const steps = this.view.range.map((place) => clock.stepOf(this.view.axis, place));
      const times = steps.map((step) => clock.timeAt(step));
      const pixels = Math.max(...this.charts.map((chart) => chart.width));
      this.ask({ id: this.view.zoomId, again: 0, start: Math.floor(steps[0]), stop: Math.ceil(steps[1]), start_s: times[0], stop_s: times[1], n: Math.round(2 * pixels) });
    }, ZOOM_SETTLES_MS);
  }

  // The answer may be overtaken by a later message and never be seen: after three messages without it we ask again.
  ask(zoom) {
    this.asked = { zoom, patience: 3 };
    this.askFor?.(zoom);
  }

  coarse() {
    return [...this.series.values()].some((series) => series.columns.count.some((count) => count > 1));
  }

  isHidden(chart, spec) {
    return this.hidden.has(`${chart}:${spec.id}`);
  }

  toggle(chart, id) {
    const name = `${chart}:${id}`;
    if (!this.hidden.delete(name)) this.hidden.add(name);
    this.viewVersion++;
    this.later();
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.settling);
    this.seen.disconnect();
    this.sized.disconnect();
    for (const chart of this.charts) globalThis.Plotly?.purge(chart.plot);
  }
}
