// Where a point stands on the x axis: step, time, tokens, share of the run, or the value of a signal at that step.

// Axes that every page knows; any other name is the id of a signal (see `signalAxes`).
export const AXES = { step: "Step", time: "Time", since: "Since start", tokens: "Tokens", share: "Share of run" };

export function isSignal(axis) {
  return !Object.hasOwn(AXES, axis);
}

// Where a value lies between two growing columns: linear, clamped at the ends; null where there is nothing to go by.
export function interpolated(xs, ys, x) {
  if (!xs.length) return null;
  if (x <= xs[0]) return ys[0];
  const last = xs.length - 1;
  if (x >= xs[last]) return ys[last];
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  const width = xs[high] - xs[low];
  return width > 0 ? ys[low] + ((x - xs[low]) / width) * (ys[high] - ys[low]) : ys[low];
}

// How a run's rows map between step, time (seconds since its start) and tokens. Samples of GPU and host have a time only.
// late_s: how long after the first run of the page this one began. signals: axis → columns of the signal that stands for it.
export class Clock {
  constructor(clockColumns, { tokens, total = 1, late_s = 0, signals = new Map() }) {
    this.steps = [];
    this.times = [];
    for (let i = 0; i < clockColumns.step.length; i++) {
      const last = this.steps.length - 1;
      if (last >= 0 && (clockColumns.step[i] <= this.steps[last] || clockColumns.time[i] < this.times[last])) continue;
      this.steps.push(clockColumns.step[i]);
      this.times.push(clockColumns.time[i]);
    }
    Object.assign(this, { tokens, total, late_s, signals });
  }

  stepAt(time) {
    return interpolated(this.times, this.steps, time);
  }

  timeAt(step) {
    return interpolated(this.steps, this.times, step);
  }

  // The place of a point: on a logarithmic axis its power of ten, null where it has none. For a signal see `places`.
  place({ axis, log }, step, time) {
    const at = this.plainPlace(axis, step, time);
    if (!log) return at;
    return at === null || at <= 0 ? null : Math.log10(at);
  }

  plainPlace(axis, step, time) {
    if (axis === "since") return time;
    if (axis === "time") return time + this.late_s;
    const known = step === null || step < 0 ? this.stepAt(time) : step;
    if (axis === "step") return known;
    if (axis === "tokens") return interpolated(this.tokens.step, this.tokens.mean, known);
    if (axis === "share") return known === null ? null : known / this.total;
    return null;
  }

  // The step at a place: the way back, for marks and for asking the store. A signal has no way back.
  stepOf({ axis, log }, place) {
    const at = log ? 10 ** place : place;
    if (axis === "since") return this.stepAt(at);
    if (axis === "time") return this.stepAt(at - this.late_s);
    if (axis === "tokens") return interpolated(this.tokens.mean, this.tokens.step, at);
    return axis === "share" ? at * this.total : at;
  }

  // Lowest and highest step within a range of places: all that is needed to show it finer. Null where nothing of the run lies in it.
  stepsIn(view, range) {
    if (!this.steps.length) return null;
    if (!isSignal(view.axis)) return range.map((place) => this.stepOf(view, place));
    const columns = this.signals.get(view.axis);
    const inside = (columns?.step ?? []).filter((_, i) => {
      const place = scaled(columns.mean[i], view.log);
      return place !== null && place >= range[0] && place <= range[1];
    });
    return inside.length ? [inside[0], inside.at(-1)] : null;
  }
}

// The x of every bucket of the columns.
export function places(columns, view, clock) {
  const xs = new Array(columns.step.length);
  if (isSignal(view.axis)) return signalPlaces(columns, view, clock);
  for (let i = 0; i < xs.length; i++) xs[i] = clock.place(view, columns.step[i], columns.time[i]);
  return xs;
}

// The same for a signal, in one pass over both columns: rows of one step are a pair, and between two rows the signal is a line.
function signalPlaces(columns, view, clock) {
  const signal = clock.signals.get(view.axis);
  let at = 0;
  return columns.step.map((step) => {
    if (!signal?.step.length || step < signal.step[0]) return null;
    while (at < signal.step.length - 1 && signal.step[at + 1] <= step) at++;
    while (at > 0 && signal.step[at] > step) at--;
    const [low, high] = [signal.mean[at], signal.mean[at + 1]];
    if (signal.step[at] === step) return scaled(low, view.log);
    if (high === undefined || high === null || low === null) return null;
    const share = (step - signal.step[at]) / (signal.step[at + 1] - signal.step[at]);
    return scaled(low + share * (high - low), view.log);
  });
}

function scaled(value, log) {
  if (!log) return value;
  return value === null || value <= 0 ? null : Math.log10(value);
}

// The signals of a page that can be an x axis: [{id, label, kind, series: clock → series id}]. Several runs share one by their chart.
export function signalAxes(specs) {
  const found = new Map();
  for (const spec of specs) {
    if (spec.stack) continue;
    const lines = spec.series.filter((one) => one.style !== "rings" && !one.held);
    const alone = new Set(lines.map((one) => one.clock)).size === lines.length;
    for (const one of lines) {
      const id = alone ? spec.id : one.id;
      const label = alone ? spec.title : `${spec.title}: ${one.label}`;
      const axis = found.get(id) ?? { id, label, kind: spec.values, series: {} };
      axis.series[one.clock] ??= one.id;
      found.set(id, axis);
    }
  }
  return [...found.values()];
}
