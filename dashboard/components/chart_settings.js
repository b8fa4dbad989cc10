// How a page's charts are drawn: for all of them, and what one chart has of its own. Kept in the address, so that a link shows the same.

export const SMOOTHINGS = { auto: "Auto", off: "Off", light: "Light", medium: "Medium", strong: "Strong" };
// The half-life of each average, as a share of what is in view: a zoom smooths less, as it should.
export const HALF_LIFE = { light: 0.005, medium: 0.02, strong: 0.08 };
export const OUTLIERS = { false: "Shown", true: "Clipped" };
export const SCALES = { auto: "Auto", log: "Log", linear: "Linear" };

const AXIS_NAME = /^[^\s]{1,200}$/;

export class Settings {
  constructor() {
    this.all = { x: "step", xlog: false, smooth: "auto", y: "auto", clip: false };
    this.own = new Map();
    this.range = null;
  }

  // From the query of an address; what is not legible counts as not said.
  static of(search) {
    const settings = new Settings();
    const query = new URLSearchParams(search);
    const { all } = settings;
    if (AXIS_NAME.test(query.get("x") ?? "")) all.x = query.get("x");
    all.xlog = query.get("xlog") === "1";
    take(all, { smooth: query.get("smooth"), y: query.get("y") });
    all.clip = query.get("clip") === "1";
    for (const one of (query.get("charts") ?? "").split(";")) {
      const [chart, words] = one.split("~");
      if (words) settings.own.set(decoded(chart), ownOf(words.split(",")));
    }
    const range = (query.get("zoom") ?? "").split("~").map(Number);
    settings.range = range.length === 2 && range.every(Number.isFinite) && range[0] < range[1] ? range : null;
    return settings;
  }

  // What holds for one chart.
  for(chart) {
    return { ...this.all, ...this.own.get(chart) };
  }

  // Sets something for one chart; what is then as for all is no longer its own.
  setOwn(chart, name, value) {
    const own = { ...this.own.get(chart), [name]: value };
    if (value === this.all[name]) delete own[name];
    if (Object.keys(own).length) this.own.set(chart, own);
    else this.own.delete(chart);
  }

  // The address with these settings in it; every other part of it stays as it is.
  written(address) {
    const url = new URL(address);
    const say = (name, value) => (value ? url.searchParams.set(name, value) : url.searchParams.delete(name));
    const { x, xlog, smooth, y, clip } = this.all;
    say("x", x === "step" ? "" : x);
    say("xlog", xlog ? "1" : "");
    say("smooth", smooth === "auto" ? "" : smooth);
    say("y", y === "auto" ? "" : y);
    say("clip", clip ? "1" : "");
    say("zoom", this.range ? this.range.map((place) => Number(place.toPrecision(9))).join("~") : "");
    say("charts", [...this.own].map(([chart, own]) => `${encodeURIComponent(chart)}~${wordsOf(own)}`).join(";"));
    return url.href;
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function take(into, { smooth, y }) {
  if (Object.hasOwn(SMOOTHINGS, smooth ?? "")) into.smooth = smooth;
  if (Object.hasOwn(SCALES, y ?? "")) into.y = y;
}

function ownOf(words) {
  const own = {};
  for (const word of words) {
    if (word === "clip" || word === "unclip") own.clip = word === "clip";
    else if (word.startsWith("y:")) take(own, { y: word.slice(2) });
    else take(own, { smooth: word });
  }
  return own;
}

function wordsOf({ smooth, y, clip }) {
  return [smooth, y && `y:${y}`, clip === undefined ? null : clip ? "clip" : "unclip"].filter(Boolean).join(",");
}
