// What all charts of a page share: series, hidden series, theme, and the messages from the server; what is in view is ChartSight's.

import { Clock, isSignal } from "./chart_axis.js";
import { Series, emptyColumns, unpacked, unpackedAll } from "./chart_data.js";
import { save } from "./chart_export.js";
import { Hover } from "./chart_hover.js";
import { Near } from "./chart_near.js";
import { ChartSight } from "./chart_sight.js";
import { groupsCsv } from "./compare_lines.js";
import { themeOf } from "./chart_theme.js";
import { ChartView } from "./chart_view.js";

const ZOOM_SETTLES_MS = 180;
const NEAR = "120px";
const NOTHING = emptyColumns();

export class ChartPage extends ChartSight {
  constructor(root) {
    super();
    this.root = root;
    this.charts = [];
    this.series = new Map();
    this.superseded = new Map();
    this.versions = new Map();
    this.held = new Map();
    this.merged = new Map();
    this.hidden = new Set();
    this.fine = null;
    this.files = new Set();
    this.marksVersion = 0;
    this.marks = {};
    this.seq = -1;
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

  // True where the message could be taken in; false where something before it is missing and all must be asked for anew.
  receive(data) {
    this.counted("messages");
    this.theme = themeOf(this.root);
    this.take(data.file);
    if (!data.whole && data.seq <= this.seq) return true;
    if (!data.whole && (this.seq < data.base || this.epoch !== data.epoch)) return false;
    if (data.whole) this.restart(data);
    const before = this.seq;
    this.seq = data.seq;
    // Each beginning is told twice.
    for (const part of data.fresh ?? []) if (part.seq > before) this.begin(part, `${data.epoch}.${part.seq}`);
    for (const [id, { from, columns }] of Object.entries(data.points ?? {})) {
      if (!this.series.get(id)?.append(from, unpacked(columns, data.grids))) return false;
      this.versions.set(id, `${this.epoch}.${this.series.get(id).appended}`);
    }
    this.near.answered(data);
    if (data.zoom && data.zoom.id === this.view.zoomId) {
      this.refine(data.zoom);
      this.asked = null;
    } else if (this.asked && (--this.asked.patience < 0 || this.overtaken(data.answered))) this.ask({ ...this.asked.zoom, again: this.asked.zoom.again + 1 });
    this.later();
    return true;
  }

  // What is out of sight is not in a whole message: its chart keeps what it has until it is told anew, when it comes into sight.
  restart(data) {
    this.epoch = data.epoch;
    this.merged.clear();
    this.begin(data, `${data.epoch}.0`);
  }

  // Series that are told from their beginning.
  begin({ series, superseded, grids }, version) {
    const older = unpackedAll(superseded);
    for (const [id, columns] of Object.entries(unpackedAll(series, grids))) {
      const whole = new Series();
      whole.replace(columns);
      this.series.set(id, whole);
      this.versions.set(id, version);
      if (older[id]) this.superseded.set(id, older[id]);
      else this.superseded.delete(id);
    }
    if (this.view.range && this.fine?.id !== this.view.zoomId && !this.asked) this.askFiner();
  }

  // The answer to a zoom, or to the part of the page that came into sight since (`more`).
  refine({ id, more, series, superseded, grids }) {
    const known = more && this.fine?.id === id ? this.fine : null;
    this.fine = {
      id, axis: this.axisName(), range: this.view.range,
      series: { ...known?.series, ...unpackedAll(series, grids) },
      superseded: { ...known?.superseded, ...unpackedAll(superseded) },
    };
    this.merged.clear();
    this.viewVersion++;
  }

  // What the ids of series stand for: live ones for the runs in colour, held ones for what was chosen. Others' are nobody's here.
  regard(runs, choice) {
    if (runs !== this.runs) for (const told of [this.series, this.superseded, this.versions, this.merged]) told.clear();
    if (choice !== this.choice) this.held.clear();
    Object.assign(this, { runs, choice });
  }

  // Series that the server has worked out whole and placed on an axis (groups, thin lines of a comparison), apart from the live ones.
  hold(wire, version) {
    if (version === this.heldVersion) return;
    this.heldVersion = version;
    for (const [id, columns] of Object.entries(wire)) {
      this.held.set(id, { axis: this.heldAxis, version, runs: wire[id].runs ?? [], columns: unpacked({ ...columns, time: columns.step }) });
    }
    this.later();
  }

  // A held series; nothing of it while the page is on another axis than the one it was made for.
  heldOf(id) {
    const held = this.held.get(id);
    return held && held.axis !== this.view.axis ? NOTHING : held?.columns;
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
    const columns = (id) => this.heldOf(id) ?? this.series.get(id)?.columns ?? NOTHING;
    const { axis } = this.view;
    const signals = new Map(isSignal(axis) ? [[axis, this.columns(this.axisSeries(name))]] : []);
    return new Clock(columns(steps), { tokens: columns(tokens), total: total || 1, late_s: start_s - this.startS, signals });
  }

  version(id) {
    return this.held.get(id)?.version ?? this.versions.get(id) ?? "";
  }

  loading(id) {
    return !this.series.has(id) && !this.held.has(id);
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

  // A series as it is shown: finer data where the zoom has it, and what arrived since.
  columns(id) {
    const held = this.heldOf(id) ?? this.series.get(id)?.columns ?? NOTHING;
    const finer = this.finer()?.series[id];
    if (!finer || !finer.step.length) return held;
    const [version, columns] = this.merged.get(id) ?? [];
    if (version === this.version(id)) return columns;
    const fine = new Series();
    fine.replace(finer);
    const until = finer.time.at(-1);
    const tail = held.time.findIndex((time) => time > until);
    if (tail >= 0) fine.append(0, Object.fromEntries(Object.entries(held).map(([name, values]) => [name, values.slice(tail)])));
    this.merged.set(id, [this.version(id), fine.columns]);
    return fine.columns;
  }

  // The answer to this zoom, or, until it comes, to one that this one lies in.
  finer() {
    const { fine, view } = this;
    if (!fine || !view.range) return null;
    if (fine.id === view.zoomId) return fine;
    const inside = fine.axis === this.axisName() && fine.range[0] <= view.range[0] && view.range[1] <= fine.range[1];
    return inside && view.mode === "zoom" ? fine : null;
  }

  // What a later generation of steps took the place of; null where training never went back.
  supersededColumns(id) {
    return this.finer()?.superseded[id] ?? this.superseded.get(id) ?? null;
  }

  // Asks the store for the range in view once it has settled, if what is held is coarser than single points.
  askFiner() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      if (!this.view.range || !this.coarse()) return;
      // A zoom of the address is asked for before Plotly is there to draw anything.
      this.keepTime();
      const spans = Object.fromEntries(Object.entries(this.clocks).map(([name, clock]) => [name, this.span(clock)]).filter(([, span]) => span));
      const pixels = Math.max(...this.charts.map((chart) => chart.width));
      if (Object.keys(spans).length) this.ask({ id: this.view.zoomId, again: 0, spans, n: Math.round(2 * pixels) });
    }, ZOOM_SETTLES_MS);
  }

  // Where the range in view lies in one run: steps, and seconds since its start.
  span(clock) {
    const steps = clock.stepsIn(this.view, this.view.range);
    if (!steps || steps.some((step) => !Number.isFinite(step))) return null;
    const [start_s, stop_s] = steps.map((step) => clock.timeAt(step));
    return { start: Math.floor(steps[0]), stop: Math.ceil(steps[1]), start_s, stop_s };
  }

  // Whether the zoom that waits for its answer has been answered, in a message that was never seen.
  overtaken(answered) {
    return answered?.id === this.asked.zoom.id && answered.again === this.asked.zoom.again;
  }

  // The answer may be overtaken by a later message and never be seen: once a message says so, or after three without it, we ask again.
  ask(zoom) {
    this.asked = { zoom, patience: 3 };
    this.askFor?.(zoom);
  }

  coarse() {
    return [...this.series.values()].some((series) => series.columns.count.some((count) => count > 1));
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
