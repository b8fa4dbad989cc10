// What came of a back-test: run by run what would have fired beside what did, with the differences marked, and the TOML to paste.

import { el, moment, setAttribute, setText, severityLabel, swatch } from "./base.js";
import { copyButton } from "./copy.js";
import { count, percent, together } from "./format.js";
import { pageLink } from "./pages.js";

const SIGNS = { same: "=", moved: "↔", severity: "↔", new: "+", gone: "−", "not asked": "·" };
const ANSWERS = { real: "said to be a real fault", false_alarm: "said to be a false alarm", unsure: "not sure" };
const LESSONS = [
  ["Choose runs", "Runs that went well show what a rule would raise in vain; runs that failed show how early it would have told you."],
  ["Choose a rule, or edit the rules file", "Other numbers for one of our rules, or a rule of your own. What you try is not switched on."],
  ["Read the differences", "Each alert that would have fired stands beside what did fire: new, gone, moved or as it was. The text to paste into runvitals.toml is given below."],
];

export function makeTrial(send) {
  const trial = { send, all: false };
  trial.said = el("h3");
  // What is read out says how far it is where it begins and ends, not with each row.
  trial.told = el("span", { class: "hidden-text", role: "status" });
  trial.cancel = el("button", { class: "button", type: "button", onclick: () => send("cancel", trial.id) }, "Cancel");
  trial.bar = el("div", { class: "progress", role: "progressbar", "aria-label": "Runs done" }, el("i"));
  trial.summary = el("p", { class: "ink2" });
  trial.onlyChanges = el("input", { type: "checkbox", onchange: () => { trial.all = !trial.onlyChanges.checked; drawResults(trial); } });
  trial.choice = el("label", { class: "row small" }, trial.onlyChanges, "only differences");
  trial.results = el("div", { class: "results" });
  trial.toml = el("pre");
  const copy = copyButton("Copy", { text: () => trial.toml.textContent });
  trial.paste = el("section", {}, el("div", { class: "heading" }, el("h3", {}, "To switch it on"), el("span", {}, "the whole runvitals.toml as it was tried; a watcher reads it when it starts")), el("div", { class: "code" }, trial.toml, copy));
  trial.lost = el("p", { class: "strong", role: "status", hidden: true }, "This back-test is not kept any more: the newest two dozen are, until the dashboard ends. Choose its runs and rule to try it again.");
  trial.lessons = el("div", { class: "teaching" }, trial.lost, LESSONS.map(([title, text]) => el("div", {}, el("h3", {}, title), el("p", { class: "ink2" }, text))));
  trial.found = el("div", {}, el("div", { class: "said" }, trial.said, trial.told, trial.choice, trial.cancel), trial.bar, trial.summary, trial.results, trial.paste);
  trial.node = el("div", { class: "trial" }, trial.lessons, trial.found);
  return trial;
}

export function drawTrial(trial, body, colors) {
  const found = body.trial;
  trial.lessons.hidden = found !== null;
  trial.lost.hidden = !body.lost;
  trial.found.hidden = found === null;
  if (found === null) return;
  Object.assign(trial, { id: found.id, body, colors });
  const going = found.state === "waiting" || found.state === "running";
  const done = Object.keys(found.results).length;
  trial.cancel.hidden = !going;
  trial.bar.hidden = !going;
  const share = (done + (found.at ? found.at.done / found.at.of : 0)) / found.runs.length;
  trial.bar.firstChild.style.width = percent(Math.min(1, share)).replace(" ", "");
  setAttribute(trial.bar, "aria-valuenow", Math.round(100 * Math.min(1, share)));
  setText(trial.said, headline(found, done));
  setText(trial.told, found.state === "running" ? `Trying ${found.only || "the rules file"}` : headline(found, done));
  setText(trial.summary, done ? summary(found.counts) : "");
  trial.onlyChanges.checked = !trial.all;
  trial.choice.hidden = !done;
  // What was not tried to its end is no reason to switch anything on.
  trial.paste.hidden = found.state !== "done";
  setText(trial.toml, found.rules.trim() || "# as it is: runvitals.toml changes nothing");
  drawResults(trial);
}

function headline(found, done) {
  const of = `${count(done)} of ${count(found.runs.length)} ${found.runs.length === 1 ? "run" : "runs"}`;
  const what = found.only ? found.only : "the rules file";
  if (found.state === "waiting") return found.ahead ? `Waiting: ${count(found.ahead)} before it` : "Starting …";
  if (found.state === "running") return `Trying ${what}: ${of} done${found.at ? `, ${count(found.at.done)} rows of the next` : ""}`;
  if (found.state === "cancelled") return `Cancelled after ${of}`;
  if (found.state === "failed") return `Broke off after ${of}. ${found.text}`;
  return `${found.only ? `${found.only}, ` : "The rules file, "}tried on ${of.replace(/^\S+ of /, "")}`;
}

function summary(counts) {
  const said = [["new", "new"], ["gone", "gone"], ["moved", "moved"], ["severity", "of another severity"], ["same", "as it did"], ["not asked", "cannot be asked of stored runs"]]
    .filter(([change]) => counts[change]).map(([change, words]) => `${count(counts[change])} ${words}`);
  const answered = [["gone false_alarm", "false alarms"], ["gone real", "real faults"]].filter(([name]) => counts[name]).map(([name, words]) => `${count(counts[name])} people had called ${words}`);
  return (said.length ? `Alerts: ${said.join(", ")}.` : "No alert: neither would any have fired, nor did one.") + (answered.length ? ` Of the gone, ${answered.join(", ")}.` : "");
}

function drawResults(trial) {
  const { body, colors, all } = trial;
  const found = body.trial;
  const text = JSON.stringify([found.results, all, found.id]);
  if (trial.drawn === text) return;
  trial.drawn = text;
  const runs = new Map(body.runs.map((run) => [run.id, run]));
  const sections = found.runs.filter((id) => found.results[id]).map((id) => runSection(found.results[id], runs.get(id), { trial, colors, all }));
  trial.results.replaceChildren(...sections);
}

function runSection(result, run, { trial, colors, all }) {
  const head = [run ? swatch(colors[run.color % colors.length]) : null, el("b", { class: "cut" }, run ? run.name : result.run)];
  if (result.kind === "failed") return el("section", {}, el("div", { class: "heading" }, ...head, el("span", {}, result.text)));
  const differ = result.differences.filter((one) => one.change !== "same" && one.change !== "not asked");
  const shown = all ? result.differences : differ;
  const words = result.differences.length ? (differ.length ? "" : `${count(result.differences.length)} as ${result.differences.length === 1 ? "it" : "they"} did`) : "silent, as it was";
  const more = result.more ? el("p", { class: "ink2 small" }, `${count(result.more)} more are not listed.`) : null;
  return el("section", {}, el("div", { class: "heading" }, ...head, el("span", {}, [`${count(result.rows)} rows`, words].filter(Boolean).join(" · "))), shown.length ? table(shown, trial) : null, more);
}

function table(found, trial) {
  return el("table", {},
    el("thead", {}, el("tr", {}, ["", "alert", "would fire", "did fire", "difference", "what is seen"].map((word) => el("th", { scope: "col" }, word)))),
    el("tbody", {}, found.map((one) => row(one, trial))));
}

function row(one, trial) {
  const severity = (one.would ?? one.did).severity;
  const did = one.did ? pageLink("alerts", { alert: one.did.id }, {}, firing(one.did)) : "—";
  return el("tr", { "data-change": one.change },
    el("td", { class: "sign", "aria-hidden": "true" }, SIGNS[one.change]),
    el("td", {}, severityLabel(severity, { word: one.title })),
    el("td", {}, one.would ? firing(one.would) : "—"),
    el("td", {}, did, one.did && one.did.answer ? el("div", { class: "ink2 small" }, ANSWERS[one.did.answer] ?? one.did.answer) : null),
    el("td", {}, difference(one)),
    el("td", { class: "ink2 small" }, together(one.sentence)));
}

function firing(told) {
  return told.step === null ? moment(told.time_s) : `step ${count(told.step)}`;
}

function difference({ change, would, did }) {
  if (change === "same") return "as it did";
  if (change === "not asked") return "cannot be asked of a stored run";
  if (change === "new" || change === "gone") return el("b", {}, change);
  const apart = would.step !== null && did.step !== null ? would.step - did.step : null;
  const when = apart ? `${count(Math.abs(apart))} step${Math.abs(apart) === 1 ? "" : "s"} ${apart < 0 ? "earlier" : "later"}` : "";
  const how = would.severity === did.severity ? "" : `${would.severity}, was ${did.severity}`;
  return el("b", {}, [when, how].filter(Boolean).join("; "));
}
