// The browser's half of the one formatter; `runvitals.dashboard.formatter` is the other. A test proves that they agree.

export const MISSING = "—";
const MINUS = "−";
const THIN_SPACE = "\u2009";
const LARGEST_PLAIN = 1e7;
const SMALLEST_PLAIN = 1e-3;
const LARGEST_EXACT = 1e15;

/** The number with `digits` significant digits: 0.689, 16.0, 7 580, 4.32e-5. */
export function number(value, digits = 3) {
  const plain = special(value);
  if (plain !== null) return plain;
  if (value === 0) return "0";
  const rounded = significant(Math.abs(value), digits);
  if (!(rounded.value >= SMALLEST_PLAIN && rounded.value < LARGEST_PLAIN)) return sign(value) + exponent(rounded);
  return sign(value) + grouped(rounded.value.toFixed(Math.max(0, digits - 1 - rounded.power)));
}

/** A margin or a difference, always with its sign and at most four decimals: +0.447, −3.08, +0.0091. */
export function signed(value, digits = 3) {
  const plain = special(value);
  if (plain !== null) return plain;
  // What rounds to zero has one look.
  if (Math.abs(value) < 0.5 * 10 ** -(digits + 1)) return `+${(0).toFixed(digits)}`;
  const mark = value < 0 ? MINUS : "+";
  const rounded = significant(Math.abs(value), digits);
  if (rounded.value >= LARGEST_PLAIN) return mark + exponent(rounded);
  const decimals = Math.min(digits + 1, Math.max(0, digits - 1 - rounded.power));
  return mark + grouped((rounded.value < 1 ? Math.abs(value) : rounded.value).toFixed(decimals));
}

/** A learning rate: 5.0e-5; from 0.01 on like any number. */
export function rate(value) {
  const plain = special(value);
  if (plain !== null) return plain;
  if (value === 0 || Math.abs(value) >= 0.01) return number(value);
  return sign(value) + exponent(significant(Math.abs(value), 2));
}

/** A whole number in full: 7 583. */
export function count(value) {
  const plain = special(value);
  if (plain !== null) return plain;
  if (Math.abs(value) >= LARGEST_EXACT) return number(value);
  return signedUnlessZero(value, Math.abs(value).toFixed(0));
}

/** A share of one as percent: 0.516 is "52 %", with one decimal "51.6 %". */
export function percent(fraction, decimals = 0) {
  const plain = special(fraction);
  if (plain !== null) return plain;
  const scaled = times100(Math.abs(fraction));
  if (scaled >= LARGEST_EXACT) return sign(fraction) + number(scaled) + " %";
  return `${signedUnlessZero(fraction, scaled.toFixed(decimals))} %`;
}

/** A number and its unit with a space between. */
export function quantity(value, unit, digits = 3) {
  const text = number(value, digits);
  return unit && text !== MISSING ? `${text} ${unit}` : text;
}

/** An amount of data: 0 B, 12.3 KiB, 1.50 GiB. */
export function dataSize(value) {
  const plain = special(value);
  if (plain !== null) return plain;
  let amount = value;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (Math.abs(amount) < 1000) return `${unit === "B" ? count(amount) : number(amount)} ${unit}`;
    amount /= 1024;
  }
  return `${number(amount)} GiB`;
}

/** How fast data flows, from MiB a second: 819 B/s, 12.3 KiB/s, 1.50 GiB/s. */
export function dataRate(mib_s) {
  return special(mib_s) ?? `${dataSize(mib_s * 1024 * 1024)}/s`;
}

/** How long something takes: 0.42 s, 4.2 s, 38 s, 3 min 38 s, 49 min, 5 h 02 min, 1 d 3 h. */
export function duration(seconds) {
  const plain = special(seconds);
  if (plain !== null) return plain;
  const length = Math.max(0, seconds);
  if (length >= LARGEST_EXACT) return `${number(length)} s`;
  if (length < 1) return `${length.toFixed(2)} s`;
  if (length < 9.95) return `${length.toFixed(1)} s`;
  const whole = Number(length.toFixed(0));
  if (whole >= 60 && whole < 600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return coarse(whole);
}

/** How long ago, in whole units: 2 s, 14 min, 2 h 10 min, 1 d 3 h. Nothing is younger than 0 s. */
export function age(seconds) {
  const plain = special(seconds);
  if (plain !== null) return plain;
  if (seconds >= LARGEST_EXACT) return `${number(seconds)} s`;
  return coarse(Math.floor(Math.max(0, seconds)));
}

/** The time of day as 20:41:07, in the reader's zone unless an offset east of UTC is given. */
export function clock(time_s, utcOffset_s) {
  const plain = special(time_s);
  if (plain !== null) return plain;
  const offset = utcOffset_s ?? -60 * new Date(time_s * 1000).getTimezoneOffset();
  const moment = new Date((Math.floor(time_s) + offset) * 1000);
  return [moment.getUTCHours(), moment.getUTCMinutes(), moment.getUTCSeconds()].map(two).join(":");
}

/** JSON has no NaN: the words that stand for it, and null, as numbers again. */
export function revive(value) {
  if (value === null || value === undefined || typeof value === "number") return value ?? null;
  return { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity }[value] ?? null;
}

function special(value) {
  if (value === null || value === undefined) return MISSING;
  if (Number.isNaN(value)) return "NaN";
  if (value === Infinity) return "Inf";
  if (value === -Infinity) return MINUS + "Inf";
  return null;
}

// A number, then what belongs to it; the thin space within one; and the sign of an error before one.
const BEFORE_UNIT = / (?=(?:%|±|×|°C|GPU h|(?:tokens|samples|steps|it)\/s|[KMGT]i?B(?:\/s)?|B(?:\/s)?|W|nats?|ms|min|[smhd])(?![\p{L}\p{N}/]))/u;
const WITHIN = new RegExp(`(?<=[\\d%])${BEFORE_UNIT.source}|(?<=[±×]) (?=\\d)`, "gu");
const THIN_WITHIN = /(?<=\d)\u2009(?=\d)/g;

/** The text with no place for a line to end between a number and its sign, its unit or its thousands. For our own sentences; names and other data stay as they are. */
export function together(text) {
  return text?.replace(WITHIN, "\u00A0").replace(THIN_WITHIN, "\u202F");
}

function sign(value) {
  return value < 0 ? MINUS : "";
}

/** What rounds to zero has no sign: there is no −0 on any screen. */
function signedUnlessZero(value, text) {
  return (Number(text) === 0 ? "" : sign(value)) + grouped(text);
}

function significant(value, digits) {
  const text = value.toExponential(digits - 1);
  const [mantissa, power] = text.split("e");
  return { value: Number(text), mantissa, power: Number(power) };
}

function exponent(rounded) {
  return `${rounded.mantissa}e${rounded.power}`;
}

/** Multiplies the shortest decimal text by 100, so that 0.285 is 28.5 % and not 28.499999999999996 %. */
function times100(value) {
  const [mantissa, power] = value.toExponential().split("e");
  return Number(`${mantissa}e${Number(power) + 2}`);
}

function grouped(text) {
  const [whole, fraction] = text.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN_SPACE);
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}

function two(value) {
  return String(value).padStart(2, "0");
}

function coarse(whole) {
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 60 * 24) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  return `${Math.floor(minutes / (60 * 24))} d ${Math.floor(minutes / 60) % 24} h`;
}
