// The Runs page before the first run: how to start one, and whether all is ready for it.

import { atEnd, el, heartbeat, kept, received, setText, severityLabel, severityOf, svg } from "./base.js";
import { copyButton } from "./copy.js";
import { drawState, serverNow, takePulse, updatedText, watchLine } from "./watch.js";

const WAYS = [
  ["In your script", "one argument more", 'import runvitals\ntrainer = DPOTrainer(..., callbacks=[runvitals.Callback("dpo-7b")])\ntrainer.train()'],
  ["Or in a loop of your own", "any library, or none", 'import runvitals\nwith runvitals.init(project="toy", name="first", config={"lr": 1e-3}) as run:\n    run.log({"loss": loss}, step=step)'],
  ["Or a small real run, offline, on this machine", "from a terminal", "python -m runvitals.trainers.recipes.dpo"],
  ["Or small real runs of every kind at once, healthy and sick", "in a dashboard of their own", "runvitals demo"],
];

export default function empty({ data, parentElement, setTriggerValue }) {
  const state = kept(parentElement, () => build(parentElement));
  takePulse(state, data);
  const body = received(state, data, setTriggerValue);
  if (body) drawChecks(state, body.checks);
  tick(state);
  return state.stop;
}

function build(parent) {
  const state = { watchLine: watchLine() };
  state.noticeBox = el("div", { class: "notices" });
  state.checks = el("div", { class: "checks" });
  state.updated = el("span", { class: "updated" });
  const pulse = svg("svg", { width: 120, height: 34, viewBox: "0 0 120 34", fill: "none", stroke: "var(--ink3)", "stroke-width": 1.6, "stroke-linejoin": "round", "aria-hidden": "true" }, svg("path", { d: "M0 19h38l6-15 10 27 8-20 4 8h54" }));
  state.root = el(
    "div",
    { class: "rv" },
    state.noticeBox,
    el("div", { class: "title" }, el("h1", {}, "Runs"), el("span", { class: "count" }, "none yet"), el("div", { class: "controls" }, state.watchLine.node)),
    el("div", { class: "column" }, pulse, el("p", { class: "big" }, "Your first run shows here within seconds of its first step."), el("p", { class: "sub" }, "Works with pre-training, SFT, reward models, DPO, PPO and GRPO. Training is never slowed or stopped by this page."), WAYS.map(way), state.checks),
    el("div", { class: "foot" }, state.updated),
  );
  parent.append(state.root);
  state.stop = atEnd(state.root, heartbeat(state, () => tick(state)));
  return state;
}

function way([words, more, text]) {
  return el("section", { class: "way" }, el("div", { class: "heading" }, el("h2", {}, words), el("span", {}, more)), el("div", { class: "code" }, el("pre", {}, painted(text)), copyButton("Copy", { text: () => text })));
}

function painted(text) {
  return text.split(/(^import\b|"[^"]*")/).map((piece) => (piece === "import" ? el("span", { class: "keyword" }, piece) : piece.startsWith('"') ? el("span", { class: "string" }, piece) : piece));
}

function drawChecks(state, checks) {
  const text = JSON.stringify(checks);
  if (state.checks.dataset.text === text) return;
  state.checks.dataset.text = text;
  state.checks.replaceChildren(...checks.map(({ name, state: health, text: words, answer }) => el("div", { class: "check" }, severityLabel(severityOf(health), { word: name }), el("span", {}, words), el("span", {}, answer))));
}

function tick(state) {
  state.watchLine.update(drawState(state.root, state.noticeBox, state), serverNow(state), "waiting for the first run");
  setText(state.updated, updatedText(state));
}
