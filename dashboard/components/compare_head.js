// The head of the comparison: count, axis, views, link; one chip for each run or group in colour, the first being the baseline; the choices.

import { el, severityMark } from "./base.js";
import { axisControl, axisControlText } from "./chart_controls.js";
import { keySwatch } from "./chart_dom.js";
import { choicesRow } from "./compare_choices.js";
import { choose, first, mirror } from "./compare_state.js";
import { viewsControl } from "./compare_views.js";
import { copyButton } from "./copy.js";
import { count, together } from "./format.js";
import { pageLink } from "./pages.js";

const AXES = ["step", "tokens", "since", "share"];

export function drawCompareHead(parent, { state, frame }) {
  const { page } = state;
  askForAxis(state, frame);
  mirror(frame.head.query);
  const views = state.views.body?.views ?? [];
  const shownRuns = JSON.stringify(frame.head.entries.map((entry) => entry.id));
  // What is hidden is named by the place of its run, and another run may stand there now.
  if (state.shownRuns && state.shownRuns !== shownRuns) page.hidden.clear();
  state.shownRuns = shownRuns;
  const hidden = frame.head.entries.slice(0, frame.head.colours).map((entry, i) => isHidden(page, entry, i));
  const text = JSON.stringify([frame.head, views, axisControlText(page), page.view.mode === "whole", hidden]);
  if (parent.dataset.text === text) return;
  parent.dataset.text = text;
  const { head } = frame;
  const active = parent.getRootNode().activeElement;
  const old = parent.contains(active) ? active.dataset.choice : null;
  const open = parent.querySelector("details.views")?.open ?? false;
  const reset = page.view.mode === "whole" ? null : el("button", { class: "button", type: "button", onclick: () => page.zoom(null) }, "Whole run");
  const title = el("div", { class: "title" }, el("h1", {}, "Compare"), el("span", { class: "count" }, together(head.sentence)), el("div", { class: "controls" },
    reset, axisControl(page, AXES, ["time"]), viewsControl(views, { state, open }), copyLink()));
  const coloured = head.entries.slice(0, head.colours);
  const more = head.entries.length - coloured.length;
  const chips = el("div", { class: "run-chips" }, coloured.map((entry, i) => chip(entry, { i, hidden: hidden[i], head, state })),
    more > 0 ? el("span", { class: "row ink2 more-runs" }, keySwatch("line", "var(--ink3)"), `${count(more)} more, thin and grey`) : null,
    head.others.length && head.runs.length < head.most ? adder(head, state) : null);
  parent.replaceChildren(title, chips, ...(head.runs.length > 1 ? [choicesRow(head, state)] : []));
  if (old) heir(parent, old)?.focus({ preventScroll: true });
}

// What takes the focus over from a choice: itself, drawn anew; where it is gone, its run, or the first.
function heir(parent, choice) {
  const named = (name) => parent.querySelector(`[data-choice="${CSS.escape(name)}"]`);
  return named(choice) ?? named(choice.replace(/^\w+:/, "eye:")) ?? parent.querySelector(".eye");
}

// The charts keep the axis; what the server has placed on it is asked for anew, once, when it changes.
function askForAxis(state, frame) {
  const { axis } = state.page.view;
  if (axis === frame.head.axis || state.askedAxis === axis) {
    if (axis === frame.head.axis) state.askedAxis = null;
    return;
  }
  state.askedAxis = axis;
  choose(state, {}, frame.head.query);
}

// Without a clipboard: the address bar holds the same link.
function copyLink() {
  return copyButton("Copy link", { text: () => location.href, instead: "Copy it from the address bar" });
}

// The lines of a run or group on all charts, as `ChartPage.hidden` names them.
function linesOf(page, entry, i) {
  const own = (line) => (entry.run ? !line.held && line.clock === String(i) : line.group === entry.id);
  return page.charts.flatMap(({ given }) => given.series.filter(own).map((line) => `${given.id}:${line.group ?? line.id}`));
}

function isHidden(page, entry, i) {
  const lines = linesOf(page, entry, i);
  return lines.length > 0 && lines.every((line) => page.hidden.has(line));
}

// The swatch of a chip hides its run on all charts, or shows it again; a click in one chart's key does so there alone.
function eye(entry, { i, hidden, state: { page } }) {
  const toggle = () => {
    for (const line of linesOf(page, entry, i)) page.hidden[hidden ? "delete" : "add"](line);
    page.viewVersion++;
    page.later();
    page.onMoved();
  };
  return el("button", { class: "eye", type: "button", "data-choice": `eye:${entry.id}`, "aria-pressed": String(!hidden), title: hidden ? "Show on all charts" : "Hide on all charts", "aria-label": `${entry.name} on all charts`, onclick: toggle }, keySwatch("line", entry.color, entry.dash));
}

function chip(entry, { i, hidden, head, state }) {
  const baseline = i === 0;
  const ids = entry.members.map((place) => head.runs[place]);
  const rest = head.runs.filter((id) => !ids.includes(id));
  const lead = baseline
    ? el("span", { class: "chip" }, "baseline")
    : el("button", { class: "chip", type: "button", "data-choice": `base:${entry.id}`, title: "Make this the baseline", "aria-label": `Make ${entry.name} the baseline`, onclick: () => choose(state, { compare: first(head.runs, ids) }, head.query) }, "as baseline");
  const bad = ["warning", "critical"].includes(entry.health) ? severityMark(entry.health) : null;
  const remove = el("button", { class: "chip-remove", type: "button", "data-choice": `remove:${entry.id}`, "aria-label": `Remove ${entry.name}`, onclick: () => choose(state, { compare: rest.join(",") }, head.query) }, "×");
  return el("div", { class: `run-chip${baseline ? " baseline" : ""}${hidden ? " hidden-run" : ""}` }, eye(entry, { i, hidden, state }), named(entry), bad, lead, rest.length ? remove : null);
}

// A run's name leads to it; a group has no page, but a number of runs.
function named(entry) {
  if (!entry.run) return el("span", { class: "run-chip-name cut", title: entry.name }, entry.label, el("span", { class: "unit" }, ` n ${count(entry.members.length)}`));
  return pageLink("run", { run: entry.run }, { class: "run-chip-name cut", title: entry.name }, entry.label);
}

function adder(head, state) {
  const list = el("select", { class: "run-add", "aria-label": "Add run", "data-choice": "add", onchange: () => choose(state, { compare: [...head.runs, list.value].join(",") }, head.query) },
    el("option", { value: "" }, "+ Add run"), head.others.map((run) => el("option", { value: run.id }, run.name)));
  return list;
}
