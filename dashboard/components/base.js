// Parts that every component shares. All text goes in through text nodes: nothing that comes from a run is ever markup.

import { age, clock, together } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; strings become text nodes. `on…` attributes are listeners, `null` ones are left out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map(shown));
  return node;
}

// Characters that turn the direction of all that follows them, names of others included; they are written out.
const TURNS = /[\u202A-\u202E\u2066-\u2069]/g;

function shown(child) {
  return typeof child === "string" ? child.replace(TURNS, (turn) => `⟨U+${turn.codePointAt(0).toString(16).toUpperCase()}⟩`) : child;
}

/** Sets the text only where it differs, so that a refresh touches nothing that stayed the same. */
export function setText(node, text) {
  const wanted = shown(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Sets or removes an attribute only where it differs. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

/** Sets the class only where it differs. */
export function setClass(node, value) {
  setAttribute(node, "class", value);
}

/**
 * Keeps one child for each item: makes what is new, removes what is gone, updates the rest in place, and moves a node only where
 * the order really changed. A node that holds the focus keeps it.
 */
export function keyed(parent, items, { key, make, update }) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  const named = new Set();
  for (const item of items) {
    // Two items of one key (the same term twice in a search) are two nodes; else one more would be left behind at each refresh.
    let name = String(key(item));
    while (named.has(name)) name += "\u0000";
    named.add(name);
    let node = old.get(name);
    if (!node) {
      node = make(item);
      node.dataset.key = name;
    }
    old.delete(name);
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else {
      const focused = node.getRootNode().activeElement;
      parent.insertBefore(node, place);
      if (focused && node.contains(focused)) focused.focus({ preventScroll: true });
    }
  }
  for (const node of old.values()) node.remove();
}

const SHAPES = {
  critical: () => svg("path", { d: "M5.5 .4 10.6 5.5 5.5 10.6 .4 5.5Z" }),
  warning: () => svg("path", { d: "M5.5 .9 10.8 10.3H.2Z" }),
  healthy: () => svg("circle", { cx: 5.5, cy: 5.5, r: 4 }),
  unknown: () => svg("circle", { cx: 5.5, cy: 5.5, r: 4, fill: "none", stroke: "currentColor", "stroke-width": 1.3, "stroke-dasharray": "1.9 1.24" }),
};
const WORDS = { critical: "Critical", warning: "Warning", healthy: "Healthy", unknown: "Unknown" };

/** How bad, as one of the four shapes. `info` is drawn as unknown. */
export function severityOf(name) {
  return Object.hasOwn(SHAPES, name) ? name : "unknown";
}

/** The shape of a severity. Hollow: acknowledged; hollow and struck through: muted. */
export function severityMark(name, { hollow = false, muted = false, size = 11 } = {}) {
  const severity = severityOf(name);
  const paint = hollow || muted ? { fill: "none", stroke: "currentColor", "stroke-width": 1.4 } : { fill: "currentColor" };
  return svg("svg", { class: severity, width: size, height: size, viewBox: "0 0 11 11", "aria-hidden": "true", ...paint }, SHAPES[severity](), muted ? svg("path", { d: "M.5 10.5 10.5 .5" }) : null);
}

/** Shape and word together; `word` replaces the severity's own. */
export function severityLabel(name, { word, hollow = false, muted = false } = {}) {
  const severity = severityOf(name);
  return el("span", { class: `mark ${severity}` }, severityMark(severity, { hollow, muted }), el("span", { class: "cut" }, word ?? WORDS[severity]));
}

const GLYPHS = {
  starting: () => [2, 5.5, 9].map((x) => svg("circle", { cx: x, cy: 5.5, r: 1.1 })),
  running: () => [svg("path", { d: "M2.4 1.2 9.4 5.5 2.4 9.8Z" })],
  stalled: () => [svg("path", { d: "M2 1.5h2.6v8H2zM6.4 1.5H9v8H6.4z" })],
  hung: () => [svg("path", { d: "M2 1.5h2.6v8H2zM6.4 1.5H9v8H6.4z" })],
  crashed: () => [svg("path", { d: "M2 2 9 9M9 2 2 9", fill: "none", stroke: "currentColor", "stroke-width": 2 })],
  stopped: () => [svg("path", { d: "M2 2h7v7H2z" })],
  finished: () => [svg("path", { d: "M1.2 6 4.2 9 9.8 2.2", fill: "none", stroke: "currentColor", "stroke-width": 1.5 })],
};
const STATUS_WORDS = {
  starting: "Starting", running: "Running", stalled: "Stalled", hung: "Hung", crashed: "Crashed", stopped: "Stopped", finished: "Finished",
};
const BOLD = new Set(["stalled", "hung", "crashed"]);

/** Until when a mute lasts, in the reader's words: the time, with the day where it is not today. */
export function mutedText(until_s) {
  return `muted until ${moment(until_s).replace(/:\d\d$/, "")}`;
}

/** The time of day, with the day where it is not today. */
export function moment(time_s) {
  const date = new Date(time_s * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock(time_s) : `${date.toLocaleDateString(undefined, { day: "numeric", month: "short" })} ${clock(time_s)}`;
}

/** What a run does, as glyph and word, without colour. */
export function statusLabel(status) {
  const glyph = svg("svg", { width: 11, height: 11, viewBox: "0 0 11 11", fill: "currentColor", "aria-hidden": "true" }, (GLYPHS[status] ?? GLYPHS.starting)());
  return el("span", { class: `mark status${BOLD.has(status) ? " bold" : ""}` }, glyph, el("span", {}, STATUS_WORDS[status] ?? status));
}

/** The ten colours of runs, as the theme has them. */
export function seriesColors(node) {
  return getComputedStyle(node).getPropertyValue("--st-chart-categorical-colors").split(",").map((color) => color.trim());
}

/** The colour of the run with this index. */
export function seriesColor(node, index) {
  const colors = seriesColors(node);
  return colors[index % colors.length];
}

/** The little square in a run's colour. */
export function swatch(color) {
  return el("span", { class: "swatch", style: { background: color }, "aria-hidden": "true" });
}

/** The state that a component keeps between calls on one mount: made at the first call, then the same object. */
export function kept(parentElement, make) {
  if (!parentElement.runvitals) parentElement.runvitals = make();
  return parentElement.runvitals;
}

/**
 * The newest body of a page fed by `runvitals.dashboard.live`: from this message, or the one kept. Asks for all where the kept one is
 * another. Returns null before the first.
 */
export function received(state, data, setTriggerValue) {
  if (data.body !== undefined && data.body !== null) {
    state.digest = data.digest;
    state.body = data.body;
  } else if (data.digest !== undefined && state.digest !== data.digest) setTriggerValue("resync", data.digest);
  return state.body ?? null;
}

/** What Streamlit is to call at a component's end. It also does where a message came while the one before was being handed over; the page stays then. */
export function atEnd(root, stop) {
  return () => {
    if (!root.isConnected) stop();
  };
}

/** Watches for messages that stay away: `update(silent_s)` each second, with the seconds since the last message. Returns its stop. */
export function heartbeat(state, update) {
  const timer = setInterval(() => update((performance.now() - state.received_ms) / 1000), 1000);
  return () => clearInterval(timer);
}

/**
 * The lines at the top of a page: what the server said, and "stale" where it has said nothing for three intervals.
 * notices: [{key, severity, title, text}].
 */
export function drawNotices(parent, notices) {
  keyed(parent, notices, {
    key: (notice) => notice.key,
    make: () => el("div", { class: "notice", role: "status" }),
    update: (node, notice) => {
      const text = `${notice.severity}|${notice.title}|${notice.text}`;
      if (node.dataset.text === text) return;
      announce(node, text);
      node.dataset.text = text;
      node.replaceChildren(severityMark(notice.severity, { size: 12 }), el("span", { class: "strong" }, notice.title), el("span", { class: "text" }, together(notice.text)));
    },
  });
}

/** Lets a notice be read out where its words change, not where a number in them counts on. */
function announce(node, text) {
  const words = text.replace(/\d[\d:.,\s]*/g, "#");
  if (node.dataset.words === words) return;
  node.dataset.words = words;
  setAttribute(node, "aria-live", "polite");
  clearTimeout(node.hush);
  node.hush = setTimeout(() => setAttribute(node, "aria-live", "off"), 1000);
}

/** The stale line, or none: after three intervals without a word from the server. */
export function staleNotice(silent_s, { every_s, updated_s }) {
  if (silent_s < 3 * every_s) return [];
  const why = navigator.onLine ? "The dashboard does not answer" : "This browser is offline";
  return [{ key: "stale", severity: "unknown", title: "Stale", text: `Last update ${clock(updated_s)}, ${age(silent_s)} ago. ${why}; values below are grey until the next update.` }];
}
