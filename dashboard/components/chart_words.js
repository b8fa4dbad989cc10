// A signal's value in words, by its kind: what the one formatter has for it.

import { MISSING, count, duration, number, percent, rate, signed } from "./format.js";

const WRITERS = {
  plain: (value) => number(value),
  signed: (value) => signed(value),
  percent: (value) => percent(value),
  rate: (value) => rate(value),
  seconds: (value) => number(value),
  count: (value) => count(value),
};

export function value(kind, of) {
  if (of === null || of === undefined) return MISSING;
  return (WRITERS[kind] ?? WRITERS.plain)(of);
}

// Four digits, for the box under the pointer.
export function precise(kind, of) {
  if (of === null || of === undefined) return MISSING;
  if (kind === "percent") return percent(of, 1);
  if (kind === "signed") return signed(of, 4);
  if (kind === "rate") return rate(of);
  return kind === "count" ? count(of) : number(of, 4);
}

export { MISSING, duration };
