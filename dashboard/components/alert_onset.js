// An incident by onset: alerts as bars, other signals that left their course as small curves, in order, with lags to the first.

import { el, severityMark, severityOf, svg } from "./base.js";
import { count, duration, number, percent, rate, revive, signed, together } from "./format.js";

const HEIGHT = 22;
const FAR_APART = 20;
const WRITE = { signed, rate, count, percent: (share) => percent(share, 1) };

/** The section's rows. `onsets`: what `first_moves.by_onset` gives; `shown`: id of the alert in view; `color`: the run's; `now_s`: by the server's clock. */
export function onsetRows(onsets, { shown, color, select, now_s }) {
  const from = revive(onsets.from);
  const to = revive(onsets.to);
  const place = Number.isFinite(from) && Number.isFinite(to) && to > from ? (step) => Math.max(0, Math.min(1, (step - from) / (to - from))) : null;
  const rows = onsets.rows.map((row, at) => oneRow(row, { at, place, shown, color, select, now_s }));
  const axis = place ? el("div", { class: "moved-row moved-axis", "aria-hidden": "true" }, el("span"), el("span"), el("span"), el("div", { class: "moved-track" }, ticks(from, to).map((step) => el("span", { style: { left: `${100 * place(step)}%` } }, count(step))))) : null;
  const rest = [
    onsets.still.length ? `Kept its course: ${names(onsets.still)}.` : "",
    onsets.unsure.length ? `Too few points before it to tell: ${names(onsets.unsure)}.` : "",
    onsets.missing.length ? `Not logged: ${names(onsets.missing, false)}.` : "",
  ].filter(Boolean).join(" ");
  return [el("p", { class: "moved-said" }, together(onsets.sentence)), el("ol", { class: "moved" }, rows), axis, rest ? el("p", { class: "ink2 small" }, rest) : null];
}

function names(words, lower = true) {
  return words.map((word, at) => (lower && at && !/^[A-Z]{2}/.test(word) ? word.charAt(0).toLowerCase() + word.slice(1) : word)).join(", ");
}

function oneRow(row, { at, place, shown, color, select, now_s }) {
  const muted = row.muted_until_s > now_s;
  // The shape says how bad, hollow that it is acknowledged; any other state than firing is said in its word.
  const state = [row.alert && row.state !== "firing" ? row.state : "", muted ? "muted" : ""].filter(Boolean).join(", ");
  const title = row.alert
    ? el("button", { type: "button", "aria-current": String(row.alert === shown), "aria-label": [`${row.severity}: ${row.title}`, row.acknowledged ? "acknowledged" : "", state].filter(Boolean).join(", "), onclick: () => select(row.alert) }, severityMark(row.severity, { hollow: row.acknowledged, muted, size: 10 }), el("span", { class: "cut" }, row.title), state ? el("span", { class: "ink3" }, state) : null)
    : el("span", { class: "what" }, el("span", { class: "cut" }, row.title), el("span", { class: "ink3" }, became(row)));
  const onset = revive(row.onset);
  const step = onset === null ? "" : `step ${count(Math.round(onset))}`;
  return el("li", { class: "moved-row" }, title, el("span", { class: "ink2" }, step), el("span", { class: "lag ink2" }, at ? lag(row) : "first"), el("div", { class: "moved-track" }, place ? (row.alert ? bar(row, place) : course(row, place, color)) : null));
}

/** "0.45 → 0.76": the level until the onset, and after it. */
function became(row) {
  const write = WRITE[row.write] ?? number;
  return `${write(revive(row.before))} → ${write(revive(row.after))}`;
}

function lag(row) {
  if (!row.lag_s && !row.lag_steps) return "at once";
  const time = duration(row.lag_s);
  return row.lag_steps ? `+${count(row.lag_steps)} ${row.lag_steps === 1 ? "step" : "steps"}, ${time}` : `+${time}`;
}

function bar(row, place) {
  const onset = revive(row.onset);
  if (onset === null) return null;
  const fired = revive(row.fired);
  const until = revive(row.until);
  const end = until === null ? 1 : place(until);
  const severity = severityOf(row.severity);
  const span = (a, b, name) => el("i", { class: `${name} ${severity}`, style: { left: `min(${100 * a}%, 100% - 2px)`, width: `max(2px, ${100 * Math.max(0, b - a)}%)` } });
  return [span(place(onset), fired === null ? end : place(fired), "holding"), fired === null ? null : span(place(fired), end, "firing"), until === null ? null : el("i", { class: `ended ${severity}`, style: { left: `min(${100 * end}%, 100% - 2px)` } })];
}

function course(row, place, color) {
  const seen = row.course.map(([step, value]) => [place(step), revive(value)]).filter(([, value]) => Number.isFinite(value));
  const [least, most] = [Math.min(...seen.map(([, value]) => value)), Math.max(...seen.map(([, value]) => value))];
  // What grows by orders of magnitude is drawn by its logarithm, or its beginning would be a flat line.
  const points = least > 0 && most > FAR_APART * least ? seen.map(([x, value]) => [x, Math.log(value)]) : seen;
  const values = points.map(([, value]) => value);
  const low = Math.min(...values);
  const room = Math.max(...values) - low || 1;
  const line = points.map(([x, value]) => `${(1000 * x).toFixed(1)},${(HEIGHT - 4 - ((value - low) / room) * (HEIGHT - 7)).toFixed(1)}`).join(" ");
  const onset = revive(row.onset);
  return [
    svg("svg", { viewBox: `0 0 1000 ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, svg("polyline", { points: line, fill: "none", stroke: color, "stroke-width": 1.3, "vector-effect": "non-scaling-stroke" })),
    onset === null ? null : el("i", { class: "began", style: { left: `${100 * place(onset)}%` } }),
  ];
}

function ticks(from, to) {
  const rough = (to - from) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough));
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
}
