// The Back-test page: runs and rules at the left, what would have fired beside what did at the right.

import { drawSetup, makeSetup } from "./backtest_setup.js";
import { drawTrial, makeTrial } from "./backtest_trial.js";
import { atEnd, el, heartbeat, kept, received, seriesColors, setText, severityMark } from "./base.js";
import { pageKeys } from "./keys.js";
import { pageLink } from "./pages.js";
import { drawState, takePulse, updatedText } from "./watch.js";

export default function backtest({ data, parentElement, setTriggerValue }) {
  const state = kept(parentElement, () => build(parentElement));
  state.send = setTriggerValue;
  takePulse(state, data);
  const body = received(state, data, setTriggerValue);
  if (body && state.drawn !== state.digest) {
    state.drawn = state.digest;
    const colors = seriesColors(state.root);
    drawSetup(state.setup, body, colors);
    drawTrial(state.trial, body, colors);
  }
  tick(state);
  return state.stop;
}

function build(parent) {
  const state = {};
  const send = (event, value) => state.send(event, value);
  state.noticeBox = el("div", { class: "notices" });
  state.setup = makeSetup(send);
  state.keys = pageKeys({ keys: [["↑ ↓ Home End", "from run to run"], ["Space", "chooses it"]], search: () => state.setup.filter.focus() });
  state.trial = makeTrial(send);
  state.updated = el("span", { class: "updated" });
  const marks = [["+", "new: would fire, did not"], ["−", "gone: did fire, would not"], ["↔", "moved: at another step, or of another severity"], ["=", "as it did"]];
  state.root = el(
    "div",
    { class: "rv" },
    state.noticeBox,
    el("div", { class: "title" }, el("h1", {}, "Back-test"), el("span", { class: "count" }, "what a rule would have said of past runs, before it is switched on"), el("div", { class: "controls" }, pageLink("alerts", {}, { class: "button" }, "Alerts"))),
    el("div", { class: "bench" }, state.setup.node, state.trial.node),
    el("div", { class: "foot" }, ["critical", "warning"].map((name) => el("span", { class: "mark" }, severityMark(name), name)), marks.map(([sign, words]) => el("span", { class: "mark" }, el("b", {}, sign), words)), state.keys.node, state.updated),
  );
  parent.append(state.root);
  const stopClock = heartbeat(state, () => tick(state));
  state.stop = atEnd(state.root, () => {
    stopClock();
    state.keys.stop();
  });
  return state;
}

function tick(state) {
  drawState(state.root, state.noticeBox, state);
  setText(state.updated, updatedText(state));
}
