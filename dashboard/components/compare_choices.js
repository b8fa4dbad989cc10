// How a comparison is cut: groups, their band, and where the values of the table are read.

import { el } from "./base.js";
import { choose } from "./compare_state.js";
import { segments } from "./run_head.js";

const SPREADS = { std: "± std", interval: "95 % interval" };
// As `compare_state.SEEDS`.
const SEEDS = "~seeds";
const AT = { last: "Last", best: "Best", step: "At step" };

export function choicesRow(head, state) {
  return el("div", { class: "compare-choices" }, grouping(head, state), head.grouped ? spread(head, state) : null, at(head, state));
}

// One list for each setting that groups are made by, and one to add the next: finer groups, up to as many as the address takes.
function grouping(head, state) {
  const chosen = head.query.group ? head.query.group.split(",") : [];
  const open = chosen.length && chosen.length < head.most_groupings && !chosen.includes(SEEDS);
  const lists = [...(chosen.length ? chosen : [""]), ...(open && head.groupings.some(({ name }) => name !== SEEDS && !chosen.includes(name)) ? [""] : [])];
  return el("span", { class: "view-choice" }, "Group by", lists.map((name, i) => setting(name, { i, chosen, head, state })));
}

function setting(name, { i, chosen, head, state }) {
  const offered = head.groupings.filter((one) => one.name === name || (!chosen.includes(one.name) && (i === 0 || one.name !== SEEDS)));
  const pick = () => {
    // Seeds of one setting are all settings at once; with one of them they would say nothing.
    const names = list.value === SEEDS ? [SEEDS] : [...chosen.slice(0, i), list.value, ...chosen.slice(i + 1)].filter(Boolean);
    choose(state, { group: names.join(",") }, head.query);
  };
  const list = el("select", { "aria-label": i ? `Group by, setting ${i + 1}` : "Group by", "data-choice": `group:${i}`, onchange: pick },
    el("option", { value: "", selected: !name }, name && i ? "remove" : i ? "and …" : "no groups"),
    !name || offered.some((one) => one.name === name) ? null : el("option", { value: name, selected: true }, name),
    offered.map((one) => el("option", { value: one.name, selected: one.name === name }, one.label)));
  return list;
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
