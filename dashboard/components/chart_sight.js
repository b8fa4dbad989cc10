// What of a page's runs is in view, and how: the x axis, the range, and what the reader chose for all charts or for one.

import { AXES, isSignal, signalAxes } from "./chart_axis.js";
import { Settings } from "./chart_settings.js";

const AXIS_KINDS = { share: "percent" };

export class ChartSight {
  constructor() {
    this.settings = Settings.of(location.search);
    const { range } = this.settings;
    this.view = { axis: "step", log: false, range, mode: range ? "zoom" : "whole", zoomId: "0" };
    this.viewVersion = 0;
    this.signals = [];
    this.clocks = {};
  }

  // The x range in view: the zoom, or all that there is.
  range() {
    if (this.view.range) return this.view.range;
    this.extent ??= this.whole();
    return this.extent;
  }

  whole() {
    const { axis, log } = this.view;
    if (isSignal(axis)) return this.wholeSignal();
    let [low, high] = [Infinity, -Infinity];
    for (const clock of Object.values(this.clocks)) {
      if (!clock.steps.length) continue;
      // The first step that has a place: step 0 has none on a logarithmic axis.
      const first = log ? Math.max(0, clock.steps.findIndex((step, i) => clock.place(this.view, step, clock.times[i]) !== null)) : 0;
      const ends = [first, clock.steps.length - 1].map((i) => clock.place(this.view, clock.steps[i], clock.times[i]));
      low = Math.min(low, ends[0] ?? low);
      high = Math.max(high, ends[1] ?? high);
    }
    if (!(high > -Infinity)) return [0, 1];
    // A single point stands in the middle, not on the axis.
    if (high === low) return log ? [low - 1, high + 1] : [Math.max(0, low - 1), high + 1];
    if (log) return [low, high + (high - low) * 0.02];
    if (axis !== "step" || low < 0.2 * high) low = 0;
    if (axis === "share") high = Math.max(1, high);
    return [low, high > low ? high + (high - low) * 0.02 : low + 1];
  }

  // From the lowest to the highest value of the signal that is the axis.
  wholeSignal() {
    let [low, high] = [Infinity, -Infinity];
    for (const clock of Object.values(this.clocks)) {
      for (const value of clock.signals.get(this.view.axis)?.mean ?? []) {
        if (value === null || (this.view.log && value <= 0)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    if (!(high >= low)) return [0, 1];
    if (this.view.log) [low, high] = [Math.log10(low), Math.log10(high)];
    const air = 0.03 * (high - low) || Math.abs(high) * 0.1 || 1;
    return [low - air, high + air];
  }

  // The view for what is drawn along the run whatever the axis: samples of devices say nothing against a signal.
  steady() {
    if (!isSignal(this.view.axis)) return { view: this.view, range: this.range() };
    const ends = Object.values(this.clocks).flatMap((clock) => [clock.steps[0] ?? 0, clock.steps.at(-1) ?? 1]);
    return { view: { axis: "step", log: false, range: null }, range: [Math.min(...ends), Math.max(...ends) + 1] };
  }

  // Follow and "last 50 steps" are zooms whose right edge is the newest step.
  follow() {
    const clock = Object.values(this.clocks)[0];
    if (!clock?.steps.length) return;
    const last = clock.steps.at(-1);
    const place = (step) => clock.place(this.view, step, clock.timeAt(step));
    const width = this.view.mode === "last" ? 50 : this.view.width;
    const [low, high] = [place(Math.max(clock.steps[0], last - width)), place(last)];
    if (low === null || high === null || high <= low) return;
    this.view.range = [low, high + (high - low) * 0.01];
  }

  setMode(mode) {
    const clock = Object.values(this.clocks)[0];
    const steps = clock?.stepsIn(this.view, this.range());
    const width = steps ? steps[1] - steps[0] : 50;
    this.view.mode = mode;
    if (mode === "whole") this.view.range = null;
    // Follow keeps the width that is on screen; on the whole run it takes a quarter of it.
    if (mode === "follow") this.view.width = Math.max(5, this.view.range ? width : width / 4);
    this.moved();
  }

  // Shows the same steps on another axis, where it has a place for them.
  setAxis(axis) {
    this.settings.all.x = axis;
    this.turn(this.validAxis());
  }

  setLogX(on) {
    this.settings.all.xlog = on;
    this.turn(this.view.axis);
  }

  turn(axis) {
    const { view } = this;
    const clock = Object.values(this.clocks)[0];
    const steps = view.range && clock?.stepsIn(view, view.range);
    Object.assign(view, { axis, log: this.canLog(axis) && this.settings.all.xlog, range: null });
    const range = steps && !isSignal(axis) ? steps.map((step) => clock.place(view, step, clock.timeAt(step))) : null;
    if (range?.every((place) => place !== null) && range[1] > range[0]) view.range = range;
    else view.mode = "whole";
    this.moved();
  }

  canLog(axis = this.view.axis) {
    return axis !== "time" && axis !== "share";
  }

  // What the page has as an axis: tokens only where they were counted, a signal only while it is charted; else steps.
  validAxis() {
    const { x } = this.settings.all;
    if (isSignal(x)) return this.signals.some(({ id }) => id === x) ? x : "step";
    return x === "tokens" && !Object.values(this.clockSpecs ?? {}).some(({ tokens }) => tokens) ? "step" : x;
  }

  takeAxes(specs) {
    this.signals = signalAxes(specs);
    const axis = this.validAxis();
    const log = this.canLog(axis) && this.settings.all.xlog;
    if (axis !== this.view.axis || log !== this.view.log) {
      Object.assign(this.view, { axis, log });
      // A zoom on an axis that this page does not have means nothing here.
      if (axis !== this.settings.all.x && this.view.mode === "zoom") Object.assign(this.view, { mode: "whole", range: null });
      this.viewVersion++;
    }
  }

  axisName() {
    return `${this.view.axis} ${this.view.log}`;
  }

  axisLabel() {
    return AXES[this.view.axis] ?? this.signals.find(({ id }) => id === this.view.axis)?.label ?? "";
  }

  axisKind() {
    return AXIS_KINDS[this.view.axis] ?? this.signals.find(({ id }) => id === this.view.axis)?.kind ?? "count";
  }

  axisSeries(clock) {
    return this.signals.find(({ id }) => id === this.view.axis)?.series[clock];
  }

  // How all charts are drawn, or one of them.
  setLook(name, value, chart = null) {
    if (chart === null) this.settings.all[name] = value;
    else this.settings.setOwn(chart, name, value);
    this.looked();
  }

  resetOwn() {
    this.settings.own.clear();
    this.looked();
  }

  looked() {
    this.viewVersion++;
    this.remember();
    this.onMoved?.();
    this.later();
  }

  // Puts the settings into the address, in place of the entry, so that Back leads back.
  remember() {
    this.settings.range = this.view.mode === "zoom" ? this.view.range : null;
    const address = this.settings.written(location.href);
    if (address !== location.href) history.replaceState(history.state, "", address);
  }

  zoom(range) {
    this.view.range = range;
    this.view.mode = range ? "zoom" : "whole";
    this.moved();
  }

  // Moves the range by a share of its width, and widens it by a factor around a share of it; never beyond the run.
  shift(by, { factor = 1, around = 0.5 } = {}) {
    const [low, high] = this.range();
    const [first, last] = (this.extent = this.whole());
    const width = Math.min((high - low) * factor, last - first);
    const wanted = low + (high - low) * by + (high - low) * (1 - factor) * around;
    const start = Math.max(first, Math.min(last - width, wanted));
    if (start === low && width === high - low) return;
    this.zoom(width >= last - first ? null : [start, start + width]);
  }

  moved() {
    this.viewVersion++;
    this.view.zoomId = `${Date.now()}.${this.viewVersion}`;
    this.asked = null;
    this.extent = null;
    this.remember();
    this.onMoved?.();
    if (this.view.mode === "whole") {
      this.fine = null;
      clearTimeout(this.settling);
      this.askFor?.(null);
    } else this.askFiner();
    this.later();
  }
}
