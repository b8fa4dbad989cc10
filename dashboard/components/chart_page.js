// All charts of a page: which there are, when they are drawn, what is hidden of them. What they are told is ChartTold's, what is in view ChartSight's.

import { Clock, isSignal } from "./chart_axis.js";
import { save } from "./chart_export.js";
import { Hover } from "./chart_hover.js";
import { Near } from "./chart_near.js";
import { ChartTold } from "./chart_told.js";
import { groupsCsv } from "./compare_lines.js";
import { ChartView } from "./chart_view.js";

const NEAR = "120px";

export class ChartPage extends ChartTold {
  constructor(root) {
    super();
    this.root = root;
    this.charts = [];
    this.hidden = new Set();
    this.files = new Set();
    this.marksVersion = 0;
    this.marks = {};
    this.counts = { mounts: 0, messages: 0, reacts: 0, resyncs: 0 };
    this.hover = new Hover(this);
    // Streamlit scrolls within an element of its own, to which only scrollMargin applies.
    this.near = new Near(() => this.axisNeeds());
    this.seen = new IntersectionObserver((entries) => this.watched(entries), { rootMargin: NEAR, scrollMargin: NEAR });
    this.sized = new ResizeObserver(() => this.later());
    this.sized.observe(root);
  }

  counted(what) {
    this.counts[what]++;
    this.root.dataset[what] = this.counts[what];
  }

  // Series that are needed wherever the page stands, beside its clocks: those of a signal that is its axis.
  axisNeeds() {
    if (!isSignal(this.view.axis)) return [];
    return Object.keys(this.clockSpecs ?? {}).map((clock) => this.axisSeries(clock)).filter((id) => id !== undefined);
  }

  // The charts' specs and marks. A chart that stays keeps its elements, and with them zoom, focus and pointer.
  specify(specs, { clocks, marks }) {
    const marksText = JSON.stringify([marks, clocks]);
    if (marksText !== this.marksText) this.marksVersion++;
    this.marksText = marksText;
    [this.clockSpecs, this.marks] = [clocks, marks];
    this.takeAxes(specs);
    const old = new Map(this.charts.map((chart) => [chart.spec.id, chart]));
    this.charts = specs.map((spec) => {
      const chart = old.get(spec.id) ?? this.added(spec);
      old.delete(spec.id);
      chart.describe(spec);
      return chart;
    });
    for (const gone of old.values()) this.removed(gone);
    this.later();
  }

  added(spec) {
    const chart = new ChartView(this, spec);
    this.counted("mounts");
    this.hover.attach(chart);
    this.seen.observe(chart.root);
    this.near.watch(chart.root, spec.id);
    return chart;
  }

  removed(chart) {
    this.seen.unobserve(chart.root);
    this.near.forget(chart.root);
    globalThis.Plotly?.purge(chart.plot);
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
      this.near.look();
      this.drawAll();
    });
  }

  drawAll() {
    if (!globalThis.Plotly || !this.clockSpecs) return;
    this.keepTime();
    if (this.view.mode === "last" || this.view.mode === "follow") this.follow();
    this.extent = null;
    const range = this.range().join();
    if (range !== this.rangeText) {
      this.rangeText = range;
      this.viewVersion++;
    }
    for (const chart of this.charts) {
      const begun = chart.drawn !== "";
      chart.draw();
      // A first picture takes longest, so each has a frame of its own: the first chart is seen while the others are drawn.
      if (!begun && chart.drawn !== "") {
        this.later();
        break;
      }
    }
    this.hover.again();
    this.after?.();
  }

  // Draws every chart that holds something, in sight or not, before this returns.
  drawEach() {
    if (!globalThis.Plotly || !this.clockSpecs) return;
    this.keepTime();
    this.extent = null;
    for (const chart of this.charts) chart.draw({ unseen: true });
  }

  keepTime() {
    this.clocks = Object.fromEntries(Object.entries(this.clockSpecs ?? {}).map(([name, spec]) => [name, this.clock(name, spec)]));
  }

  clock(name, { steps, tokens, total, start_s: start_s }) {
    const { axis } = this.view;
    const signals = new Map(isSignal(axis) ? [[axis, this.columns(this.axisSeries(name))]] : []);
    return new Clock(this.known(steps), { tokens: this.known(tokens), total: total || 1, late_s: start_s - this.startS, signals });
  }

  clockOf(spec) {
    return this.clocks[spec.clock] ?? Object.values(this.clocks)[0];
  }

  // When the first run of the page began.
  get startS() {
    return Math.min(...Object.values(this.clockSpecs ?? {}).map((spec) => spec.start_s));
  }

  placeOf(step, seriesSpec) {
    if (step === null || step === undefined) return null;
    const clock = this.clockOf(seriesSpec);
    return clock.place(this.view, step, clock.timeAt(step) ?? 0);
  }

  // Asks for a chart's exact points, of the range in view or all; the answer is a file to fetch.
  async askCsv(chart) {
    if (chart.spec.series.some((one) => one.group)) {
      await this.near.brought(chart.root);
      save({ name: `${this.title}-${chart.spec.id}.csv`, blob: new Blob([groupsCsv(chart, (id) => this.held.get(id))], { type: "text/csv" }) });
      return;
    }
    const spans = this.view.range ? Object.fromEntries(Object.entries(this.clocks).map(([name, clock]) => [name, this.span(clock)])) : null;
    const series = chart.spec.series.map(({ id, label }) => ({ id, label }));
    this.askFile?.({ id: `${Date.now()}`, name: `${this.title || "runvitals"}-${chart.spec.id}`, series, spans });
  }

  // A file that was asked for; messages repeat it.
  take(file) {
    if (!file || this.files.has(file.id)) return;
    this.files.add(file.id);
    save(file);
  }

  isHidden(chart, spec) {
    return this.hidden.has(`${chart}:${spec.group ?? spec.id}`);
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
    this.near.stop();
    this.sized.disconnect();
    for (const chart of this.charts) globalThis.Plotly?.purge(chart.plot);
  }
}
