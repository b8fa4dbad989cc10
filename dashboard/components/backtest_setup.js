// What to back-test: which runs, and one rule with other numbers or a whole rules file. The draft lives in the browser until it is begun.

import { el, keyed, setAttribute, setText, statusLabel, swatch } from "./base.js";
import { count } from "./format.js";
import { rove } from "./keys.js";

/** The empty panel. `send(event, value)` tells the server. */
export function makeSetup(send) {
  const setup = { send, draft: null, body: null };
  setup.filter = el("input", { type: "search", placeholder: "run, trainer or project", "aria-label": "Find runs", oninput: () => drawRuns(setup), onkeydown: (event) => event.key === "ArrowDown" && (event.preventDefault(), setup.stops.enter()) });
  setup.chosen = el("span");
  setup.list = el("div", { class: "runs", role: "group", "aria-label": "Runs", onkeydown: (event) => setup.stops.walk(event) });
  setup.stops = rove(setup.list, { items: () => [...setup.list.querySelectorAll("input")] });
  setup.more = el("p", { class: "ink2 small", hidden: true });
  setup.modes = el("div", { class: "segments", role: "group", "aria-label": "What to try" });
  setup.form = el("div", { class: "form" });
  setup.text = el("textarea", { class: "toml", rows: 16, spellcheck: "false", "aria-label": "Rules file", placeholder: "[rules.loss_spike]\nhold = 3", oninput: () => (setup.draft.text = setup.text.value) });
  setup.refused = el("ul", { class: "refused", role: "alert" });
  setup.begin = el("button", { class: "button primary", type: "button", onclick: () => begin(setup) }, "Back-test");
  const pick = (words, on) => el("button", { class: "link", type: "button", onclick: () => pickShown(setup, on) }, words);
  setup.node = el(
    "div",
    { class: "setup" },
    el("div", { class: "heading" }, el("h3", {}, "Runs"), setup.chosen, el("span", { class: "picks" }, pick("all shown", true), pick("none", false))),
    setup.filter, setup.list, setup.more,
    el("div", { class: "heading" }, el("h3", {}, "Rules"), setup.modes),
    setup.form, setup.text, setup.refused, setup.begin,
    el("p", { class: "ink2 small" }, "Reads stored points in a process of its own. Changes no alert and tells nobody."),
  );
  return setup;
}

export function drawSetup(setup, body, colors) {
  setup.body = body;
  setup.colors = colors;
  if (!setup.draft) {
    const trial = body.trial;
    const rule = body.rule || (trial && trial.only) || "";
    setup.draft = { runs: new Set(body.chosen), mode: rule || !trial ? "rule" : "file", rule, project: "", numbers: {}, text: trial && !trial.only ? trial.rules : body.file };
    setup.text.value = setup.draft.text;
  }
  drawRuns(setup);
  drawModes(setup);
  drawRefused(setup);
}

function drawRefused(setup) {
  keyed(setup.refused, setup.body.refused, { key: (text) => text, make: (text) => el("li", {}, text), update: () => {} });
}

function shownRuns(setup) {
  const words = setup.filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return setup.body.runs.filter((run) => words.every((word) => `${run.name} ${run.trainer} ${run.project} ${run.status}`.toLowerCase().includes(word)));
}

function drawRuns(setup) {
  const { draft, body } = setup;
  const chosen = (run) => draft.runs.has(run.id);
  // Those chosen come first only when the page opens: a list that sorts itself under the pointer misleads.
  setup.order ??= new Map([...body.runs].sort((a, b) => Number(chosen(b)) - Number(chosen(a))).map((run, at) => [run.id, at]));
  const runs = shownRuns(setup).sort((a, b) => (setup.order.get(a.id) ?? -1) - (setup.order.get(b.id) ?? -1));
  keyed(setup.list, runs, {
    key: (run) => run.id,
    make: (run) => {
      const box = el("input", { type: "checkbox", "aria-label": run.name, onchange: () => choose(setup, run.id, box.checked) });
      const node = el("label", { class: "pickrun" }, box, swatch(setup.colors[run.color % setup.colors.length]), el("span", { class: "cut grow" }, run.name), el("span", { class: "ink2 small" }, run.trainer || "custom"), statusLabel(run.status), el("span", { class: "ink2 small step" }));
      node.box = box;
      return node;
    },
    update: (node, run) => {
      node.box.checked = chosen(run);
      setText(node.lastElementChild, run.step === null ? "no step" : `step ${count(run.step)}`);
    },
  });
  setup.stops.update();
  const none = !runs.length;
  setup.more.hidden = !(none || body.unlisted);
  setText(setup.more, none ? (body.runs.length ? "No run answers this." : "No run is stored yet.") : `${count(body.unlisted)} older ${body.unlisted === 1 ? "run is not listed; name it" : "runs are not listed; name them"} in the command: runvitals backtest RUN`);
  setText(setup.chosen, `${count(draft.runs.size)} chosen`);
  setAttribute(setup.begin, "disabled", draft.runs.size === 0 || (draft.mode === "rule" && !draft.rule));
}

function choose(setup, id, on) {
  if (on) setup.draft.runs.add(id);
  else setup.draft.runs.delete(id);
  drawRuns(setup);
}

function pickShown(setup, on) {
  if (!on) setup.draft.runs.clear();
  else for (const run of shownRuns(setup).slice(0, setup.body.most_runs)) setup.draft.runs.add(run.id);
  drawRuns(setup);
}

function drawModes(setup) {
  const { draft } = setup;
  keyed(setup.modes, [["rule", "One rule"], ["file", "Rules file"]], {
    key: ([mode]) => mode,
    make: ([mode, words]) => el("button", { type: "button", onclick: () => { draft.mode = mode; drawModes(setup); drawRuns(setup); } }, words),
    update: (node, [mode]) => setAttribute(node, "aria-pressed", String(draft.mode === mode)),
  });
  setup.form.hidden = draft.mode !== "rule";
  setup.text.hidden = draft.mode !== "file";
  drawForm(setup);
}

/** The chosen rule with a field for each of its numbers; drawn anew only where the rule or its numbers in the file changed. */
function drawForm(setup) {
  const { draft, body } = setup;
  const rule = body.rules.find((one) => one.name === draft.rule);
  const drawn = JSON.stringify([rule, body.rules.map((one) => one.name), draft.rule]);
  if (setup.drawn === drawn) return;
  setup.drawn = drawn;
  const select = el("select", { "aria-label": "Rule", onchange: () => { draft.rule = select.value; draft.numbers = {}; drawForm(setup); drawRuns(setup); } },
    el("option", { value: "" }, "Choose a rule …"),
    body.rules.map((one) => el("option", { value: one.name, selected: one.name === draft.rule }, `${one.title} · ${one.name}${one.off ? " (off)" : ""}`)));
  const projects = [...new Set(body.runs.map((run) => run.project).filter(Boolean))].sort();
  const scope = el("select", { "aria-label": "For", onchange: () => (draft.project = scope.value) }, el("option", { value: "" }, "for all projects"), projects.map((name) => el("option", { value: name, selected: name === draft.project }, `for project ${name}`)));
  const notes = !rule ? [] : [
    el("p", { class: "ink2 small" }, rule.summary),
    rule.off ? el("p", { class: "small strong" }, "Off in your runvitals.toml; tried here as if it were on. Take it out of `off` to switch it on.") : null,
    rule.timed ? el("p", { class: "small strong" }, "Asks for silence as time passes; stored runs keep no heartbeats, so parts of it cannot be tried.") : null,
    rule.own ? el("p", { class: "small" }, "A rule of your own: change it under Rules file.") : null,
  ];
  setup.form.replaceChildren(select, ...notes.filter(Boolean), ...(rule ? rule.numbers.map((one) => numberRow(draft, one)) : []), ...(rule && rule.numbers.length ? [scope] : []));
}

function numberRow(draft, one) {
  const field = el("input", {
    type: "number", step: "any", min: one.least, max: one.most, value: draft.numbers[one.name] ?? one.value, "aria-label": one.name,
    oninput: () => {
      const value = field.valueAsNumber;
      if (Number.isNaN(value) || value === one.value) delete draft.numbers[one.name];
      else draft.numbers[one.name] = value;
      setAttribute(row, "data-changed", one.name in draft.numbers);
    },
  });
  const usual = one.value === one.usual ? "" : ` · ours ${one.usual}`;
  const row = el("label", { class: "limit" }, el("span", { class: "grow" }, el("code", {}, one.name), el("span", { class: "ink2 small block" }, `${one.meaning} · now ${one.value}${usual}`)), field, el("span", { class: "ink2 small unit" }, one.unit));
  setAttribute(row, "data-changed", one.name in draft.numbers);
  return row;
}

function begin(setup) {
  const { draft } = setup;
  setup.send("begin", { runs: [...draft.runs], mode: draft.mode, rule: draft.rule, numbers: draft.numbers, project: draft.project, text: draft.text });
}
