// One alert in full: sentence, evidence, causes, remedies, what people say of it, history.

import { noteForm, muteForm, muteLine } from "./alert_people.js";
import { onsetRows } from "./alert_onset.js";
import { el, keyed, moment, setAttribute, setText, severityLabel, swatch } from "./base.js";
import { evidencePanel, smoothing } from "./evidence.js";
import { age, count, number, revive, signed, together } from "./format.js";
import { pageLink } from "./pages.js";

const LIKELY = { likely: 0.82, possible: 0.38, unlikely: 0.08 };
const ANSWERS = [["real", "Yes, a real fault"], ["false_alarm", "No, false alarm"], ["unsure", "Not sure"]];

/** The empty panel. `send(event, value)` tells the server. */
export function makeDetail(send) {
  const panel = evidencePanel();
  const parts = {
    top: el("div", { class: "top" }), sentence: el("p", { class: "sentence" }), moved: el("div"), note: el("form", { class: "note", hidden: true }), mutes: el("div", { class: "mutes" }),
    evidenceOf: el("span"), numbers: el("div", { class: "lines" }), causes: el("div", { class: "lines" }), remedies: el("div", { class: "lines" }),
    done: el("span"), answers: el("div", { class: "right" }), history: el("ol"), when: el("span", { class: "ink2" }),
  };
  const heading = (words, more) => el("div", { class: "heading" }, el("h3", {}, words), more);
  parts.half = el("div", { class: "half" }, el("section", {}, heading("Likely causes", el("span", {}, "ranked by evidence")), parts.causes), el("section", {}, heading("What to do", parts.done), parts.remedies));
  parts.movedSection = el("section", { class: "moved-section" }, heading("What moved first", el("span", {}, "the incident by onset; what comes later may follow from it")), parts.moved);
  const content = el(
    "div",
    {},
    parts.top, parts.note, parts.mutes, parts.sentence,
    el("div", { class: "two" }, el("section", {}, heading("Evidence", parts.evidenceOf), panel.node), el("section", {}, heading("Numbers"), parts.numbers)),
    parts.movedSection, parts.half, parts.answers,
    el("section", { class: "history" }, el("h3", {}, "History"), parts.history),
  );
  const node = el("div", { class: "detail", hidden: true }, content);
  const detail = { node, parts, panel, send, alert: null, stop: panel.stop, tick: (now_s) => drawWhen(detail, now_s) };
  return detail;
}

/** Draws the alert; only the parts that changed are touched, so that a half-written note stays. */
export function drawDetail(detail, alert, { color, now_s }) {
  const other = detail.alert?.id !== alert?.id;
  detail.alert = alert;
  detail.node.hidden = alert === null;
  if (alert === null) return;
  const { parts, panel } = detail;
  detail.muted = alert.muted_until_s !== null && alert.muted_until_s > now_s;
  if (other) parts.note.hidden = true;
  part(parts.top, [alert.title, alert.severity, alert.state, alert.run, color, alert.acknowledged_s, alert.acknowledged_by, alert.acknowledged_note, detail.muted, alert.id], () => top(detail, color));
  part(parts.mutes, [alert.mutes, alert.acknowledged_s, alert.acknowledged_by, alert.acknowledged_note], () => [acknowledgement(alert), ...alert.mutes.map((mute) => muteLine(mute, detail.send))]);
  setText(parts.sentence, together(alert.sentence || alert.title));
  parts.movedSection.hidden = alert.onsets === null;
  part(parts.moved, [alert.onsets, alert.id, color, alert.members.map((member) => member.muted_until_s > now_s)], () => (alert.onsets === null ? [] : onsetRows(alert.onsets, { shown: alert.id, color, now_s, select: (id) => detail.send("select", id) })));
  part(panel.node, [alert.evidence, alert.fired_step, alert.resolved_step, alert.acknowledged_s, color], () => {
    panel.update(alert.evidence.curves, alert, color);
    return null;
  });
  const curve = alert.evidence.curves.find((found) => found.signal === alert.signal) ?? alert.evidence.curves[0];
  const frozen = alert.evidence.window[1];
  setText(parts.evidenceOf, curve ? [curve.title ?? curve.signal, curve.unit, meanOf(curve), frozen === null ? "" : `frozen at step ${count(frozen)}`].filter(Boolean).join(" · ") : "");
  part(parts.numbers, [alert.evidence.numbers, alert.rule, alert.hold, alert.clear, alert.usual, alert.id], () => numbers(detail));
  part(parts.causes, alert.causes, () => alert.causes.map(cause));
  part(parts.remedies, [alert.remedies, alert.ticked, alert.id], () => alert.remedies.map((remedy, at) => remedyRow(detail, remedy, at)));
  setText(parts.done, alert.remedies.length ? `${count(alert.ticked.length)} of ${count(alert.remedies.length)} done` : "");
  parts.causes.parentElement.hidden = !alert.causes.length;
  parts.remedies.parentElement.hidden = !alert.remedies.length;
  parts.half.hidden = !alert.causes.length && !alert.remedies.length;
  part(parts.answers, [alert.feedback, alert.answers, alert.rule, alert.id], () => answers(detail));
  keyed(parts.history, alert.history, {
    key: (entry) => `${entry.time_s} ${entry.text}`,
    make: (entry) => historyLine(entry, (id) => detail.send("select", id)),
    update: () => {},
  });
}

function historyLine(entry, select) {
  const text = entry.alert ? el("button", { class: "link", type: "button", onclick: () => select(entry.alert) }, entry.text) : entry.text;
  const until = entry.until_s === null ? "" : `, until ${moment(entry.until_s).replace(/:\d\d$/, "")}`;
  return el("li", {}, el("time", {}, moment(entry.time_s)), el("span", {}, text, until, entry.who ? ` · ${entry.who}` : "", entry.note ? ` · “${entry.note}”` : ""));
}

function acknowledgement(alert) {
  if (alert.acknowledged_s === null) return null;
  return el("p", { class: "ink2" }, `Acknowledged ${moment(alert.acknowledged_s)}${alert.acknowledged_by ? ` by ${alert.acknowledged_by}` : ""}${alert.acknowledged_note ? `: “${alert.acknowledged_note}”` : ""}`);
}

const CONTROLS = "a, button, input";

/** Draws a part anew only where what it shows changed; the focus stays on the control of the same place. */
function part(node, shown, draw) {
  const text = JSON.stringify(shown);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const focused = [...node.querySelectorAll(CONTROLS)].indexOf(node.getRootNode().activeElement);
  const drawn = draw();
  if (drawn === null) return;
  node.replaceChildren(...[drawn].flat(2).filter(Boolean));
  if (focused >= 0) node.querySelectorAll(CONTROLS)[focused]?.focus({ preventScroll: true });
}

function meanOf(curve) {
  const window = smoothing(curve.steps.length);
  return window > 1 ? `mean of ${count(window)} points` : "";
}

function top(detail, color) {
  const { alert, parts } = detail;
  const { send } = detail;
  const acknowledge = alert.acknowledged_s === null
    ? el("button", { class: "button", type: "button", onclick: () => noteForm(parts.note, detail.alert, send) }, "Acknowledge")
    : el("button", { class: "button", type: "button", onclick: () => send("unacknowledge", { id: alert.id }) }, "Take acknowledgement back");
  const mute = el("button", { class: "button", type: "button", onclick: () => muteForm(parts.note, detail.alert, send) }, "Mute …");
  const report = el("button", { class: "button", type: "button", title: "One HTML file to attach to a ticket", onclick: () => send("report", { id: alert.id, asked: `${Date.now()}` }) }, "Report");
  const hollow = alert.acknowledged_s !== null;
  return [
    severityLabel(alert.severity, { word: alert.title, hollow, muted: detail.muted }),
    pageLink("run", { run: alert.run_id }, { class: "run" }, swatch(color), el("span", { class: "cut" }, alert.run)),
    parts.when,
    el("div", { class: "acts" }, report, alert.state === "resolved" ? null : [acknowledge, mute]),
  ];
}

function numbers(detail) {
  const { alert } = detail;
  const rows = alert.evidence.numbers.map(({ label, value, unit, expected }) => {
    const write = /^reward/.test(unit) ? signed : /^(steps|rows|runs)$/.test(unit) && Number.isInteger(value) ? count : number;
    const text = write(revive(value));
    return line(label, expected ? `expected ${expected}` : "", unit ? `${text} ${unit.split(",")[0]}` : text);
  });
  const holds = alert.hold === null ? "" : `holds ${count(alert.hold)} ${alert.hold === 1 ? "reading" : "readings"}, clears after ${count(alert.clear)}${alert.usual === null ? "" : ` · by your runvitals.toml; ours ${count(alert.usual[0])} and ${count(alert.usual[1])}`}`;
  const open = pageLink("run", { run: alert.run_id }, { class: "small" }, "Open the run →");
  return [...rows, line("Rule", holds, alert.rule), el("div", { style: { border: "0", paddingTop: "12px" } }, open)];
}

function line(label, more, value) {
  return el("div", { class: "number" }, el("div", {}, el("div", {}, label), more ? el("div", { class: "ink2 small" }, more) : null), el("b", {}, value));
}

function cause(found, at) {
  const share = LIKELY[found.likelihood] ?? LIKELY.possible;
  return el(
    "div",
    { class: "cause" },
    el("span", { class: "ink2" }, count(at + 1)),
    el("span", { class: at ? "" : "strong" }, together(found.text)),
    el("span", { class: "likely" }, el("span", { class: "bar", "aria-hidden": "true" }, el("i", { style: { width: `${share * 100}%` } })), el("span", { class: "word" }, found.likelihood)),
    found.because ? el("span", { class: "because" }, found.because) : null,
  );
}

function remedyRow(detail, remedy, at) {
  const { alert, send } = detail;
  const done = alert.ticked.includes(at);
  const tick = el("input", { type: "checkbox", "aria-label": remedy.text, checked: done, onchange: () => send("tick", { id: alert.id, remedy: at, on: tick.checked }) });
  // Only web addresses become links; anything else that a rule might hold stays text.
  const source = /^https?:\/\//.test(remedy.url ?? "") ? el("a", { href: remedy.url, target: "_blank", rel: "noopener noreferrer" }, remedy.source || "source") : remedy.source;
  return el("div", { class: done ? "remedy done" : "remedy" }, tick, el("span", { class: "what" }, together(remedy.text)), el("span", { class: "source" }, source), remedy.detail ? el("span", { class: "more" }, remedy.detail) : null);
}

function answers(detail) {
  const { alert, send } = detail;
  const buttons = ANSWERS.map(([answer, words]) =>
    el("button", { class: "button", type: "button", "aria-pressed": String(alert.feedback === answer), onclick: () => send("feedback", { id: alert.id, answer: alert.feedback === answer ? "" : answer }) }, words),
  );
  const counted = [["real", "real"], ["false_alarm", "false"], ["unsure", "not sure"]].filter(([answer]) => alert.answers[answer]).map(([answer, words]) => `${count(alert.answers[answer])} ${words}`);
  const said = counted.length ? `${alert.rule} so far: ${counted.join(", ")}.` : `No answer on ${alert.rule} yet.`;
  const test = pageLink("backtest", { rule: alert.rule, alert: alert.id }, {}, "Back-test this rule →");
  return [el("span", { class: "strong" }, "Was this right?"), ...buttons, el("span", { class: "ink2 counted" }, said), test];
}

function drawWhen(detail, now_s) {
  const { alert, parts } = detail;
  if (!alert) return;
  const step = (word, at) => (at === null ? null : `${word} step ${count(at)}`);
  const since = alert.state === "resolved" ? `resolved ${age(now_s - alert.resolved_s)} ago` : `${alert.state === "pending" ? "pending" : "open"} ${age(now_s - (alert.fired_s ?? alert.onset_s))}`;
  setText(parts.when, [step("began", alert.onset_step), step("fired", alert.fired_step), since].filter(Boolean).join(" · "));
  setAttribute(detail.node, "data-state", alert.state);
}
