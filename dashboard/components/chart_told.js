// What the server has told of a page's series, live or worked out whole, and what of it is shown: finer data where a zoom has it,
// which is asked for here.

import { Series, emptyColumns, unpacked, unpackedAll } from "./chart_data.js";
import { ChartSight } from "./chart_sight.js";
import { themeOf } from "./chart_theme.js";

const ZOOM_SETTLES_MS = 180;
const NOTHING = emptyColumns();

export class ChartTold extends ChartSight {
  constructor() {
    super();
    this.series = new Map();
    this.superseded = new Map();
    this.versions = new Map();
    this.held = new Map();
    this.merged = new Map();
    this.fine = null;
    this.seq = -1;
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

  version(id) {
    return this.held.get(id)?.version ?? this.versions.get(id) ?? "";
  }

  loading(id) {
    return !this.series.has(id) && !this.held.has(id);
  }

  // What is held of a series over the whole run.
  known(id) {
    return this.heldOf(id) ?? this.series.get(id)?.columns ?? NOTHING;
  }

  // A series as it is shown: finer data where the zoom has it, and what arrived since.
  columns(id) {
    const held = this.known(id);
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
}
