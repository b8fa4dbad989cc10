// What the browser holds of each series: buckets in order of arrival. An exact point is a bucket of one.

const COMPACT_ABOVE = 6000;

export const NAN_BIT = 1;
export const INF_BIT = 2;
export const MINUS_INF_BIT = 4;

export function emptyColumns() {
  return { step: [], time: [], mean: [], low: [], high: [], count: [], kinds: [] };
}

// Columns from the wire: `low`, `high`, `count`, `kinds` are left out where every bucket is one finite point, and what several series
// have in common stands in `grids`.
export function unpacked(wire, grids = []) {
  const { step, time, count } = grids[wire.grid] ?? wire;
  const mean = numbers(wire.mean);
  return {
    step,
    time,
    mean,
    low: numbers(wire.low) ?? mean,
    high: numbers(wire.high) ?? mean,
    count: count ?? new Array(step.length).fill(1),
    kinds: wire.kinds ?? new Array(step.length).fill(0),
  };
}

// A list as it is; base64 of little-endian float32 as a list, null for what is not finite.
function numbers(column) {
  if (typeof column !== "string") return column;
  const text = atob(column);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return Array.from(new Float32Array(bytes.buffer), (value) => (Number.isFinite(value) ? value : null));
}

// The columns of several series by id, as one part of a message has them.
export function unpackedAll(columns, grids) {
  return Object.fromEntries(Object.entries(columns ?? {}).map(([id, one]) => [id, unpacked(one, grids)]));
}

function push(columns, more, from) {
  for (const name of Object.keys(columns)) {
    const source = more[name];
    for (let i = from; i < source.length; i++) columns[name].push(source[i]);
  }
}

// The buckets from start up to stop as one: nothing is lost of extremes and non-finite values.
function merged(columns, start, stop) {
  let [low, high, sum, finite, count, kinds] = [null, null, 0, 0, 0, 0];
  for (let i = start; i < stop; i++) {
    count += columns.count[i];
    kinds |= columns.kinds[i];
    if (columns.mean[i] === null) continue;
    sum += columns.mean[i] * columns.count[i];
    finite += columns.count[i];
    low = low === null ? columns.low[i] : Math.min(low, columns.low[i]);
    high = high === null ? columns.high[i] : Math.max(high, columns.high[i]);
  }
  const mean = finite ? sum / finite : null;
  return { step: columns.step[stop - 1], time: columns.time[stop - 1], mean, low, high, count, kinds };
}

function pushBucket(columns, bucket) {
  for (const name of Object.keys(columns)) columns[name].push(bucket[name]);
}

export class Series {
  constructor() {
    this.columns = emptyColumns();
    this.appended = 0;
  }

  get size() {
    return this.columns.mean.length;
  }

  replace(columns) {
    this.columns = emptyColumns();
    push(this.columns, columns, 0);
    this.appended = 0;
  }

  // False where points are missing between what is held and what came; true otherwise. Points held already are skipped.
  append(from, columns) {
    const skip = this.appended - from;
    if (skip < 0) return false;
    if (skip >= columns.step.length) return true;
    push(this.columns, columns, skip);
    this.appended = from + columns.step.length;
    if (this.size > COMPACT_ABOVE) this.compact();
    return true;
  }

  // Merges pairs in the older half, so that a page left open for days stays small.
  compact() {
    const old = this.columns;
    const half = Math.floor(this.size / 4) * 2;
    const kept = emptyColumns();
    for (let i = 0; i < half; i += 2) {
      if (old.step[i + 1] < old.step[i]) push(kept, slice(old, i, i + 2), 0);
      else pushBucket(kept, merged(old, i, i + 2));
    }
    push(kept, slice(old, half, this.size), 0);
    this.columns = kept;
  }
}

export function slice(columns, start, stop) {
  const part = {};
  for (const name of Object.keys(columns)) part[name] = columns[name].slice(start, stop);
  return part;
}

// The buckets whose x lies in the range, with one neighbour on each side so that lines reach the edge.
export function visible(columns, xs, range) {
  if (!range) return { columns, xs };
  let first = xs.findIndex((x) => x !== null && x >= range[0]);
  if (first < 0) first = xs.length;
  let last = xs.length - 1;
  while (last >= 0 && (xs[last] === null || xs[last] > range[1])) last--;
  const start = Math.max(0, first - 1);
  const stop = Math.min(xs.length, last + 2);
  return { columns: slice(columns, start, stop), xs: xs.slice(start, stop) };
}

// At most `most` buckets: what is denser than the pixels is drawn as min, max and mean, and no spike is lost. ends: where each one stops
// among the buckets that were given.
export function thinned(columns, xs, most) {
  const size = xs.length;
  if (size <= most) return { columns, xs, ends: null };
  const each = Math.ceil(size / most);
  const out = emptyColumns();
  const outXs = [];
  const ends = [];
  for (let start = 0; start < size; ) {
    let stop = start + 1;
    while (stop < size && stop - start < each && columns.step[stop] >= columns.step[stop - 1]) stop++;
    pushBucket(out, merged(columns, start, stop));
    outXs.push(xs[stop - 1]);
    ends.push(stop);
    start = stop;
  }
  return { columns: out, xs: outXs, ends };
}

// Where a curve must be broken: after a non-finite value, and where training went back.
export function breaks(columns) {
  const at = new Set();
  for (let i = 0; i < columns.mean.length; i++) {
    if (columns.kinds[i] || columns.mean[i] === null) at.add(i);
    else if (i > 0 && columns.step[i] >= 0 && columns.step[i] < columns.step[i - 1]) at.add(i - 1);
  }
  return at;
}

// A centred mean over `window` points that never crosses a break.
export function smoothed(values, broken, window) {
  if (window < 2) return values;
  const half = Math.floor(window / 2);
  const out = new Array(values.length).fill(null);
  let start = 0;
  while (start < values.length) {
    let stop = start;
    while (stop < values.length - 1 && !broken.has(stop)) stop++;
    rolling(values, out, { start, stop, half });
    start = stop + 1;
  }
  return out;
}

// Each mean is summed anew: a running sum would leave a trace of large values long after they are gone.
function rolling(values, out, { start, stop, half }) {
  for (let i = start; i <= stop; i++) {
    if (values[i] === null) continue;
    let [sum, count] = [0, 0];
    for (let j = Math.max(start, i - half); j <= Math.min(stop, i + half); j++) {
      if (values[j] === null) continue;
      sum += values[j];
      count++;
    }
    out[i] = sum / count;
  }
}

// An average that forgets by half over `half` on the x axis, so that it means the same however densely was logged. It begins anew
// after a break, and is weighted from its first point on, so that it does not lean towards zero there.
export function forgetting(values, counts, { xs, broken, half }) {
  const out = new Array(values.length).fill(null);
  let [sum, weight, before] = [0, 0, null];
  for (let i = 0; i < values.length; i++) {
    if (values[i] !== null && xs[i] !== null) {
      const kept = before === null ? 0 : 0.5 ** (Math.max(0, xs[i] - before) / half);
      sum = sum * kept + values[i] * counts[i];
      weight = weight * kept + counts[i];
      before = xs[i];
      out[i] = sum / weight;
    }
    if (broken.has(i)) [sum, weight, before] = [0, 0, null];
  }
  return out;
}

// The last value of each bucket that has one.
export function atEnds(values, ends) {
  return ends.map((stop, i) => {
    const start = i ? ends[i - 1] : 0;
    let at = stop - 1;
    while (at > start && values[at] === null) at--;
    return values[at];
  });
}

// The odd window that smooths `count` points: about a twelfth of what is shown, none below twenty.
export function windowFor(count) {
  if (count < 20) return 1;
  return Math.max(3, Math.round(count / 12) | 1);
}

// xs and ys with a gap after every break, so that no line bridges it.
export function gapped(xs, ys, broken) {
  if (!broken.size) return { x: xs, y: ys };
  const x = [];
  const y = [];
  for (let i = 0; i < xs.length; i++) {
    x.push(xs[i]);
    y.push(ys[i]);
    if (broken.has(i)) {
      x.push(xs[i]);
      y.push(null);
    }
  }
  return { x, y };
}
