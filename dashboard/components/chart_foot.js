// The foot: the marks in use on this page and the time of the last update.

import { el, setText, severityMark } from "./base.js";
import { clock } from "./format.js";

export function drawFoot(parent, { state, frame }) {
  if (!parent.firstChild) parent.append(el("span", { class: "row foot-marks" }), el("span", { class: "updated" }));
  const [marks, updated] = parent.children;
  const text = JSON.stringify(frame.foot);
  if (marks.dataset.text !== text) marks.replaceChildren(...frame.foot.map(sign));
  marks.dataset.text = text;
  setText(updated, `Updated ${clock(state.now_s)}, every ${state.every_s} s`);
}

function sign({ mark, text }) {
  const pictures = { critical: () => severityMark("critical"), holding: () => el("span", { class: "foot-tint holding" }), firing: () => el("span", { class: "foot-tint firing" }) };
  return el("span", { class: "row foot-mark" }, pictures[mark]?.() ?? el("span", { "aria-hidden": "true" }, mark ?? ""), el("span", {}, text));
}
