// The head of the comparison: count, axis, link, and one chip for each run, the first being the baseline.

import { el, severityMark } from "./base.js";
import { keySwatch } from "./chart_dom.js";
import { axisControl, axisControlText } from "./chart_controls.js";

const AXES = ["step", "tokens", "since", "share"];
const COPIED_MS = 2000;

export function drawCompareHead(parent, { state, frame }) {
  const { page } = state;
  const text = JSON.stringify([frame.head, axisControlText(page), page.view.mode === "whole"]);
  if (parent.dataset.text === text) return;
  parent.dataset.text = text;
  const { runs, others, sentence } = frame.head;
  const focused = parent.getRootNode().activeElement?.dataset?.choice;
  const reset = page.view.mode === "whole" ? null : el("button", { class: "button", type: "button", onclick: () => page.zoom(null) }, "Whole run");
  const title = el("div", { class: "title" }, el("h1", {}, "Compare"), el("span", { class: "count" }, sentence), el("div", { class: "controls" },
    reset, axisControl(page, AXES, ["time"]), copyButton(runs)));
  const chips = el("div", { class: "run-chips" }, runs.map((run, i) => chip(run, { baseline: i === 0, runs, state })), others.length ? adder(others, { runs, state }) : null);
  parent.replaceChildren(title, chips);
  if (focused) parent.querySelector(`[data-choice="${focused}"]`)?.focus({ preventScroll: true });
}

function copyButton(runs) {
  const button = el("button", { class: "button", type: "button" }, "Copy link");
  button.addEventListener("click", async () => {
    const link = new URL("compare", document.baseURI);
    link.searchParams.set("compare", runs.map((run) => run.id).join(","));
    try {
      await navigator.clipboard.writeText(link.href);
      button.textContent = "Copied";
    } catch {
      // Without a secure context there is no clipboard: the address bar holds the same link.
      button.textContent = "Copy it from the address bar";
    }
    setTimeout(() => (button.textContent = "Copy link"), COPIED_MS);
  });
  return button;
}

function chip(run, { baseline, runs, state }) {
  const choose = (list) => state.trigger("runs", list.map((one) => one.id));
  const rest = runs.filter((one) => one.id !== run.id);
  const lead = baseline
    ? el("span", { class: "chip" }, "baseline")
    : el("button", { class: "chip", type: "button", title: "Make this the baseline", onclick: () => choose([run, ...rest]) }, "as baseline");
  const bad = ["warning", "critical"].includes(run.health) ? severityMark(run.health) : null;
  const open = (event) => {
    event.preventDefault();
    state.trigger("go", { page: "run", run: run.id });
  };
  const remove = el("button", { class: "chip-remove", type: "button", "aria-label": `Remove ${run.name}`, onclick: () => choose(rest) }, "×");
  return el("div", { class: `run-chip${baseline ? " baseline" : ""}` }, keySwatch("line", run.color, run.dash),
    el("a", { class: "run-chip-name cut", href: `run?run=${encodeURIComponent(run.id)}`, onclick: open, title: run.name }, run.label), bad, lead, runs.length > 1 ? remove : null);
}

function adder(others, { runs, state }) {
  const list = el("select", { class: "run-add", "aria-label": "Add run", onchange: () => state.trigger("runs", [...runs.map((run) => run.id), list.value]) },
    el("option", { value: "" }, "+ Add run"), others.map((run) => el("option", { value: run.id }, run.name)));
  return list;
}
