// How a comparison is cut: groups, their band, and where the values of the table are read.

import { el } from "./base.js";
import { choose } from "./compare_state.js";
import { segments } from "./run_head.js";

const SPREADS = { std: "± std", interval: "95 % interval" };
const AT = { last: "Last", best: "Best", step: "At step" };

export function choicesRow(head, state) {
  return el("div", { class: "compare-choices" }, grouping(head, state), head.grouped ? spread(head, state) : null, at(head, state));
}

function grouping(head, state) {
  const chosen = head.query.group;
  const known = head.groupings.some(({ name }) => name === chosen);
  const list = el("select", { "aria-label": "Group by", "data-choice": "group", onchange: () => choose(state, { group: list.value }, head.query) },
    el("option", { value: "", selected: !chosen }, "no groups"),
    known || !chosen ? null : el("option", { value: chosen, selected: true }, chosen),
    head.groupings.map(({ name, label }) => el("option", { value: name, selected: name === chosen }, label)));
  return el("label", { class: "view-choice" }, "Group by", list);
}

function spread(head, state) {
  return el("span", { class: "view-choice" }, "Band over runs", segments(SPREADS, head.spread, (name) => choose(state, { spread: name === "std" ? "" : name }, head.query), "Band over runs"));
}

function at(head, state) {
  const chosen = typeof head.at === "number" ? "step" : head.at;
  const pick = (name) => choose(state, { at: name === "last" ? "" : name === "best" ? "best" : String(head.shared_step) }, head.query);
  const step = chosen !== "step" ? null : el("input", {
    type: "number", class: "at-step", min: 0, step: 1, value: head.at, "aria-label": "Step", "data-choice": "at-step", title: `All runs have reached step ${head.shared_step}`,
    onchange: (event) => event.target.value !== "" && choose(state, { at: String(Math.max(0, Math.round(Number(event.target.value)))) }, head.query),
  });
  return el("span", { class: "view-choice" }, "Values", segments(AT, chosen, pick, "Where values are read"), step);
}
