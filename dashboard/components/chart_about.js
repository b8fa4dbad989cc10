// What a metric is: one box that shows while its name is hovered over, or its chart or device has the keyboard's focus.

import { el } from "./base.js";
import { together } from "./format.js";

const WAIT_MS = 120;
const WIDTH_PX = 360;

let shown = null;

// over: the element whose hover shows the box. focus: the one whose focus does. facts(): [{title, key, meaning, unit, healthy, better}].
export function explain({ over, focus, root, facts }) {
  let timer = 0;
  const show = () => {
    clearTimeout(timer);
    timer = setTimeout(() => open(over, root, facts()), WAIT_MS);
  };
  const hide = () => {
    clearTimeout(timer);
    close(over);
  };
  over.classList.add("explained");
  over.addEventListener("pointerenter", show);
  over.addEventListener("pointerleave", hide);
  focus.addEventListener("focus", () => focus.matches(":focus-visible") && show());
  focus.addEventListener("blur", hide);
  // The keys of a chart read and zoom it; the box would stand in the way of what they show.
  focus.addEventListener("keydown", hide);
}

// The facts as one sentence, for screen readers.
export function spoken(facts) {
  return (facts ?? []).filter((fact) => fact.meaning).map((fact) => [fact.title, fact.meaning, fact.unit && `Unit: ${fact.unit}.`, fact.healthy && `Healthy: ${fact.healthy}.`, fact.better && `Better: ${fact.better}.`].filter(Boolean).join(" ")).join(" ");
}

function open(over, root, facts) {
  close();
  if (!facts?.length || !over.isConnected) return;
  const box = el("div", { class: "about", role: "tooltip" }, unique(facts).map(entry));
  root.append(box);
  const [page, own] = [root.getBoundingClientRect(), over.getBoundingClientRect()];
  box.style.maxWidth = `${Math.min(WIDTH_PX, page.width)}px`;
  box.style.left = `${Math.max(0, Math.min(own.left - page.left, page.width - box.offsetWidth))}px`;
  // Above the name where there is no room below it.
  const below = own.bottom + box.offsetHeight + 8 <= innerHeight;
  box.style.top = `${(below ? own.bottom + 4 : own.top - box.offsetHeight - 4) - page.top}px`;
  shown = { over, box };
}

function close(over = shown?.over) {
  if (!shown || shown.over !== over) return;
  shown.box.remove();
  shown = null;
}

function unique(facts) {
  return [...new Map(facts.map((fact) => [`${fact.title}|${fact.meaning}`, fact])).values()];
}

function entry({ title, key, meaning, unit, healthy, better }) {
  const row = (name, text) => (text ? el("div", { class: "about-row" }, el("span", {}, name), el("span", {}, together(text))) : null);
  return el("div", { class: "about-entry" }, el("div", { class: "about-head" }, el("b", {}, title), key && key !== title ? el("code", {}, key) : null),
    el("p", {}, together(meaning)), row("Unit", unit), row("Healthy", healthy), row("Better", better));
}
