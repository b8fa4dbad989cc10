// The head of a run's page: name and controls, what people keep with it, the strip of facts, the open incident.

import { el, keyed, setAttribute, setClass, setText, mutedText, severityMark, seriesColor, statusLabel, swatch } from "./base.js";
import { axisControl, axisControlText } from "./chart_controls.js";
import { age, clock, together } from "./format.js";
import { pageLink } from "./pages.js";
import { runLabels } from "./run_labels.js";

const MODES = { whole: "Whole run", last: "Last 50 steps", follow: "Follow" };
// An ended run has nothing to follow.
const ENDED_MODES = { whole: MODES.whole, last: MODES.last };

export function drawRunHead(parent, { state, frame, words }) {
  if (!parent.firstChild) parent.append(...["title run-title", "run-labels", "facts", "why", "incidents", "beside"].map((name) => el("div", { class: name })));
  const [title, labels, facts, why, incidents, beside] = parent.children;
  drawTitle(title, { state, head: frame.head });
  state.labels ??= runLabels(state);
  if (!labels.firstChild) labels.append(state.labels.node);
  state.labels.draw(frame.head.id, words.labels);
  drawFacts(facts, words.facts ?? []);
  drawWhy(why, words.facts ?? []);
  drawIncidents(incidents, { state, incidents: words.incident ? [words.incident] : [] });
  drawBeside(beside, { beside: words.beside });
  state.ages = (node, silent_s) => setText(node, `${age(state.now_s + silent_s - Number(node.dataset.since))} ago`);
}

function drawTitle(parent, { state, head }) {
  const { page } = state;
  const text = JSON.stringify(head) + page.view.mode + axisControlText(page);
  if (parent.dataset.text === text) return;
  parent.dataset.text = text;
  const focused = parent.getRootNode().activeElement?.dataset?.choice;
  const name = el("h1", { class: "run-name" }, pageLink("", {}, { class: "crumb" }, "Runs /"), swatch(seriesColor(state.root, head.color)), el("span", { class: "cut", title: head.name }, head.name));
  const chips = head.chips.map((chip) => el("span", { class: "chip" }, chip));
  const controls = el("div", { class: "controls" },
    segments(head.live ? MODES : ENDED_MODES, page.view.mode, (mode) => page.setMode(mode), "What is shown"),
    axisControl(page, head.axes, ["since"]),
    el("button", { class: "button", type: "button", title: "One HTML file to attach to a ticket", onclick: () => state.trigger("report", `${Date.now()}`) }, "Report"),
    pageLink("compare", { compare: head.id }, { class: "button" }, "Compare"));
  parent.replaceChildren(name, ...chips, controls);
  if (focused) parent.querySelector(`[data-choice="${focused}"]`)?.focus({ preventScroll: true });
}

export function segments(choices, chosen, choose, label) {
  return el("div", { class: "segments", role: "group", "aria-label": label }, Object.entries(choices).map(([name, text]) =>
    el("button", { type: "button", "data-choice": name, "aria-pressed": String(name === chosen), onclick: () => choose(name) }, text)));
}

function drawFacts(parent, facts) {
  keyed(parent, facts, {
    key: (fact) => fact.id,
    make: () => el("div", { class: "fact" }, el("div", { class: "fact-label" }), el("div", { class: "fact-line" }, el("span", { class: "fact-value" }), el("span", { class: "fact-small" }))),
    update: updateFact,
  });
}

// An unknown health says what is missing, in sight: a word alone would look like a verdict.
function drawWhy(node, facts) {
  const missing = facts.find((fact) => fact.why)?.why ?? "";
  node.hidden = !missing;
  setText(node, missing && together(`Health is unknown. ${missing}.`));
}

function updateFact(node, fact) {
  const [label, line] = node.children;
  const [value, small] = line.children;
  setText(label, fact.label);
  setText(small, fact.ends_s ? `ends ${clock(fact.ends_s).slice(0, 5)}` : fact.small ?? "");
  if (fact.health) {
    if (value.dataset.health !== fact.health) value.replaceChildren(severityMark(fact.health, { size: 12 }), el("span", {}, fact.text));
    value.dataset.health = fact.health;
    setClass(value, `fact-value mark ${fact.health}`);
  } else if (fact.status) {
    if (value.dataset.status !== fact.status) value.replaceChildren(statusLabel(fact.status));
    value.dataset.status = fact.status;
  } else if (fact.since_s !== undefined && fact.since_s !== null) {
    setAttribute(value, "data-since", fact.since_s);
    if (!value.textContent) setText(value, fact.text);
  } else {
    setAttribute(value, "data-since", null);
    setText(value, fact.text);
  }
  if (fact.share === undefined || fact.share === null) return;
  if (node.children.length < 3) node.append(el("div", { class: "bar" }, el("div")));
  node.children[2].firstChild.style.width = `${Math.min(100, 100 * fact.share)}%`;
}

function drawIncidents(parent, { state, incidents }) {
  keyed(parent, incidents, {
    key: (incident) => incident.id,
    make: () => el("section", { class: "incident" }),
    update: (node, incident) => {
      const text = JSON.stringify(incident);
      if (node.dataset.text === text) return;
      node.dataset.text = text;
      setClass(node, `incident ${incident.severity}`);
      node.setAttribute("aria-label", `${incident.title}: ${incident.sentence}`);
      node.replaceChildren(incidentWords(incident), incidentButtons(incident, state));
    },
  });
}

function incidentWords(incident) {
  const chain = incident.chain.flatMap((alert, i) => [
    i ? el("span", { class: "ink3", "aria-hidden": "true" }, "→") : null,
    alertLink(alert),
  ]);
  return el("div", { class: "grow" },
    el("div", { class: "row" }, el("span", { class: `mark ${incident.severity}` }, severityMark(incident.severity, { hollow: incident.acknowledged, muted: incident.muted_until_s !== null }), together(incident.title)),
      incident.muted_until_s === null ? null : el("span", { class: "strong" }, mutedText(incident.muted_until_s)), el("span", { class: "ink2" }, together(incident.times))),
    el("p", { class: "incident-sentence" }, together(incident.sentence), " ", incident.cause ? el("b", {}, together(incident.cause)) : null),
    incident.chain.length > 1 ? el("div", { class: "row onset" }, el("span", { class: "ink2" }, "By onset"), chain) : null);
}

function alertLink(alert) {
  return pageLink("alerts", { alert: alert.id }, { class: "onset-link" }, severityMark(alert.severity, { hollow: alert.acknowledged }), el("span", {}, alert.text));
}

// Open incidents beside the one that the page is about: each by its root, so that none is out of sight.
function drawBeside(parent, { beside }) {
  const text = JSON.stringify(beside ?? null);
  if (parent.dataset.text === text) return;
  parent.dataset.text = text;
  parent.hidden = !beside?.roots.length;
  if (parent.hidden) return parent.replaceChildren();
  parent.replaceChildren(el("span", { class: "ink2" }, beside.title), ...beside.roots.map((root) => alertLink(root)), beside.more ? el("span", { class: "ink2" }, `and ${beside.more} more`) : "");
}

function incidentButtons(incident, state) {
  const acknowledge = incident.acknowledged
    ? el("button", { class: "button", type: "button", onclick: () => state.trigger("unacknowledge", incident.alert) }, "Acknowledged · undo")
    : el("button", { class: "button", type: "button", onclick: () => state.trigger("acknowledge", incident.alert) }, "Acknowledge");
  return el("div", { class: "row" }, acknowledge, pageLink("alerts", { alert: incident.alert }, { class: "button primary" }, "Causes and remedies"));
}
