// The y range of a chart: all that is seen, or without outliers where they are clipped.

// Beyond the middle nine tenths of the values by more than this many times their width lies an outlier.
const FENCE = 1.5;
const LEAST_VALUES = 20;

// Every value that is drawn, ends of bands included; on a logarithmic scale those above zero.
function drawn(chart, shown) {
  const seen = shown.filter((one) => !one.hidden);
  const values = chart.stack ? [0, ...sums(seen)] : seen.flatMap(({ part }) => (part.scattered ? part.columns.mean : [...part.columns.low, ...part.columns.high]));
  return values.filter((value) => value !== null && value !== undefined && !(chart.log && value <= 0));
}

function sums(seen) {
  const out = [];
  for (const { part } of seen) part.columns.mean.forEach((value, i) => (out[i] = (out[i] ?? 0) + (value ?? 0)));
  return out;
}

// The values without outliers, by where most of them lie. Where nine tenths are one value, the others are what there is to see.
function withoutOutliers(chart, values) {
  if (values.length < LEAST_VALUES) return values;
  const of = (value) => (chart.log ? Math.log10(value) : value);
  const sorted = values.map(of).sort((a, b) => a - b);
  const [low, high] = [0.05, 0.95].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
  const room = FENCE * (high - low);
  return room > 0 ? values.filter((value) => of(value) >= low - room && of(value) <= high + room) : values;
}

function extremes(chart, shown) {
  const all = drawn(chart, shown);
  const values = chart.clip && !chart.stack ? withoutOutliers(chart, all) : all;
  return values.length ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : null;
}

// How far values lie beyond a range, for the chart's key: {above, below, below zero on a logarithmic scale}; null where none does.
export function beyond(chart, shown, [low, high]) {
  if (chart.stack) return { above: null, below: null, unlogged: 0 };
  const [bottom, top] = chart.log ? [10 ** low, 10 ** high] : [low, high];
  let [above, below, unlogged] = [null, null, 0];
  for (const { part, hidden } of shown) {
    if (hidden) continue;
    for (const value of part.columns.high) if (value !== null && value > top) above = Math.max(above ?? value, value);
    for (const value of part.columns.low) {
      if (value === null || value >= bottom) continue;
      if (chart.log && value <= 0) unlogged++;
      else below = Math.min(below ?? value, value);
    }
  }
  return { above, below, unlogged };
}

// Whether there are numbers to show, though none that has a place on the logarithmic scale of the chart.
export function unseenOnLog(chart, shown) {
  const all = shown.flatMap(({ part, hidden }) => (hidden ? [] : part.columns.mean)).filter((value) => value !== null);
  return chart.log && all.length > 0 && !drawn(chart, shown).length;
}

// The y range: what is seen, with a little air; percent from 0 to 100; near references are kept in view.
export function yRange(chart, shown) {
  if (chart.range) return chart.range;
  const found = extremes(chart, shown);
  if (!found) return chart.log ? [-1, 1] : [0, 1];
  let [low, high] = found;
  // A share ends at one, whatever rounding has added to it.
  const share = chart.values === "percent" && low >= 0 && high <= 1 + 1e-9;
  if (chart.log) return logRange(low, high, share ? 0 : Infinity);
  if (share && high > 0.25) return [0, 1];
  // One value alone has no span of its own: a tenth of it is room enough for ticks that are round, and of 0 a tenth of one.
  const alone = high === low && (Math.abs(high) * 0.1 || 0.1);
  const span = alone || Math.max(high - low, Math.abs(high) * 1e-3, 1e-9);
  for (const { value } of chart.references ?? []) {
    if (value > high && value - high < 0.8 * span) high = value;
    if (value < low && low - value < 0.8 * span) low = value;
  }
  const fromZero = low >= 0 && (chart.values === "rate" || chart.values === "percent" || low < 0.35 * high);
  if (low === high && !fromZero) [low, high] = [low - span / 2, high + span / 2];
  const air = Math.max(high - low, span) * 0.07;
  if (fromZero) return [0, (high || 1) * (chart.values === "rate" ? 1.2 : 1.08)];
  return [low - air, high + air];
}

// Never beyond `most`, a power of ten as the range itself.
function logRange(low, high, most) {
  const [a, b] = [Math.log10(low), Math.log10(high)];
  const air = Math.max(0.08 * (b - a), 0.12);
  return [a - air, Math.min(most, b + air)];
}
