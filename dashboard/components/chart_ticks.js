// Where the ticks of an axis stand and what they say. A tick's decimals follow the distance between ticks, not the value.

const MINUS = "\u2212";
const THIN = "\u2009";
const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800];

// The distance that gives closest to `wanted` ticks over a span: 1, 2, 2.5 or 5 times a power of ten.
function niceStep(span, wanted) {
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const away = (factor) => Math.abs(Math.log((factor * power) / rough));
  return power * [1, 2, 2.5, 5, 10].reduce((best, factor) => (away(factor) < away(best) ? factor : best));
}

function grouped(digits) {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

// 25k, 1.5M: with as many decimals as tell one tick from the next.
function compact(size, distance) {
  const [divisor, suffix] = size >= 1e9 ? [1e9, "G"] : size >= 1e6 ? [1e6, "M"] : [1e3, "k"];
  const decimals = Math.max(0, Math.ceil(-Math.log10(distance / divisor) - 1e-9));
  return `${Number((size / divisor).toFixed(decimals + 1))}${suffix}`;
}

// A tick's text. kind: plain, signed, percent (a share shown as percent), rate, seconds, count.
export function tickText(value, step, kind) {
  const shown = kind === "percent" ? value * 100 : value;
  const distance = kind === "percent" ? step * 100 : step;
  const size = Math.abs(shown);
  const sign = shown < 0 && size > distance / 1e6 ? MINUS : kind === "signed" && size > distance / 1e6 ? "+" : "";
  if (kind === "rate" || (size > 0 && Math.max(size, distance) < 1e-3)) {
    return value === 0 ? "0" : sign + Number(size.toPrecision(3)).toExponential().replace("e-", "e-").replace("e+", "e");
  }
  if (size >= 1e12) return sign + Number(size.toPrecision(3)).toExponential().replace("e+", "e");
  if (size >= 1e3 && distance >= 5e3) return sign + compact(size, distance);
  const decimals = Math.max(0, Math.min(8, Math.ceil(-Math.log10(distance) - 1e-9)));
  const extra = Math.abs(distance * 10 ** decimals - Math.round(distance * 10 ** decimals)) > 1e-6 ? 1 : 0;
  const [whole, rest] = size.toFixed(decimals + extra).split(".");
  return sign + grouped(whole) + (rest ? `.${rest}` : "");
}

// Ticks of a linear axis: {values, texts}.
export function linearTicks([low, high], wanted, kind) {
  const step = niceStep(Math.max(high - low, 1e-12), wanted);
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) values.push(i * step);
  const texts = values.map((value) => tickText(value, step, kind));
  if (kind === "percent" && texts.length) {
    texts[texts.length - 1] += " %";
    if (texts.length > 1) texts[0] += " %";
  }
  return { values, texts };
}

// Ticks of a logarithmic axis; the range is in powers of ten, the values are not.
export function logTicks([low, high], kind) {
  if (high - low < 0.5) {
    const { values } = linearTicks([10 ** low, 10 ** high], 4, kind);
    return { values, texts: values.map((value) => logText(value, kind)) };
  }
  const factors = high - low > 2.4 ? [1] : high - low > 0.9 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  const every = Math.max(1, Math.ceil((high - low) / 6));
  const values = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    if (((power % every) + every) % every) continue;
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9) values.push(value);
    }
  }
  return { values, texts: values.map((value) => logText(value, kind)) };
}

function logText(value, kind) {
  if (kind === "percent") return `${grouped(String(Number((100 * value).toPrecision(2))))} %`;
  if (kind === "rate" || value < 1e-3 || value >= 1e5) return value.toExponential(0).replace("e+", "e");
  return grouped(String(Number(value.toPrecision(2))));
}

// Ticks of a time axis, in seconds since the start: the time of day where the start is known, else how long it has been.
export function timeTicks([low, high], wanted, startS) {
  const span = Math.max(high - low, 1);
  const step = TIME_STEPS_S.find((s) => span / s <= wanted + 0.5) ?? 86400 * Math.ceil(span / 86400 / wanted);
  const zero = startS === null ? 0 : midnightBefore(startS) - startS;
  const values = [];
  for (let i = Math.ceil((low - zero) / step); zero + i * step <= high + 1e-6; i++) values.push(zero + i * step);
  const texts = values.map((value) => (startS === null ? elapsedText(value) : clockText(startS + value, step)));
  return { values, texts };
}

function midnightBefore(timeS) {
  const date = new Date(timeS * 1000);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime() / 1000;
}

function elapsedText(value) {
  if (value === 0) return "0";
  if (value < 60) return `${value} s`;
  const whole = (divisor, unit) => `${Number((value / divisor).toFixed(1))}\u2009${unit}`;
  return value < 3600 ? whole(60, "min") : value < 172800 ? whole(3600, "h") : whole(86400, "d");
}

function clockText(timeS, step) {
  const date = new Date(timeS * 1000);
  const two = (n) => String(n).padStart(2, "0");
  if (step >= 86400) return `${date.getDate()}.${date.getMonth() + 1}.`;
  const text = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return step < 60 ? `${text}:${two(date.getSeconds())}` : text;
}

// Ticks of the x axis in its own words. On a logarithmic axis the range is in powers of ten, and so are the values.
export function xTicks({ axis, log }, range, { wanted, startS, kind }) {
  if (log) {
    const { values, texts } = logTicks(range, kind);
    const told = axis === "since" ? values.map((value) => elapsedText(Number(value.toPrecision(3)))) : texts;
    return { values: values.map(Math.log10), texts: told };
  }
  if (axis === "time") return timeTicks(range, wanted, startS);
  if (axis === "since") return timeTicks(range, wanted, null);
  const ticks = linearTicks(range, wanted, kind);
  if (axis !== "step") return ticks;
  // There is no half step, and no tick says 1.00.
  if (ticks.values.every((value) => Number.isInteger(value))) return ticks;
  const values = ticks.values.filter((value) => Math.abs(value - Math.round(value)) < 1e-9).map(Math.round);
  return { values, texts: values.map((value) => tickText(value, 1, "count")) };
}
