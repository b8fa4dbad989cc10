// A search field that colours its own query and underlines a term that means nothing.

import { el, svg } from "./base.js";

const WAIT_MS = 220;
// As the server has it: quotes keep words together, a minus turns a term round.
const WORDS = /((?:[^\s"]|"[^"]*"?)+)/;
const TERM = /^([-−]?(?:"[^"]+"|[A-Za-z_][\w./-]*))(<=|>=|!=|:|=|<|>)(.*)$/s;

/** `onsearch(text)` is called once typing pauses; `onleave()` goes from the field to what it has found: ↓, Enter on what was already searched for, Escape in an empty field. `update(text, troubles)` takes what the server made of it; it never overwrites typing. */
export function searchField({ placeholder, onsearch, onleave }) {
  const paint = el("div", { class: "paint", "aria-hidden": "true" });
  const input = el("input", { type: "text", placeholder, "aria-label": "Search", spellcheck: "false", autocomplete: "off" });
  const glass = svg("svg", { width: 12, height: 12, viewBox: "0 0 12 12", fill: "none", stroke: "currentColor", "stroke-width": 1.4, "aria-hidden": "true" }, svg("circle", { cx: 5, cy: 5, r: 3.6 }), svg("path", { d: "M7.8 7.8 11 11" }));
  const node = el("div", { class: "field" }, glass, input, paint);
  const state = { bad: new Set(), sent: null, timer: 0 };

  const draw = () => {
    paint.replaceChildren(...painted(input.value, state.bad));
    paint.scrollLeft = input.scrollLeft;
  };
  /** True where there was anything to send. */
  const send = () => {
    clearTimeout(state.timer);
    const text = input.value.trim();
    if (text === (state.sent ?? "")) return false;
    state.sent = text;
    onsearch(text);
    return true;
  };
  input.addEventListener("input", () => {
    draw();
    clearTimeout(state.timer);
    state.timer = setTimeout(send, WAIT_MS);
  });
  input.addEventListener("scroll", draw);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !send()) onleave();
    if (event.key === "ArrowDown" || (event.key === "Escape" && !input.value)) {
      event.preventDefault();
      onleave();
    } else if (event.key === "Escape") set("");
  });

  function set(text) {
    input.value = text;
    draw();
    send();
  }

  function update(text, troubles) {
    if (state.sent === null || (text !== state.sent && input.getRootNode().activeElement !== input)) {
      input.value = text;
      state.sent = text;
    }
    state.bad = new Set(troubles.map((trouble) => trouble.term));
    draw();
  }

  /** Shows a text without asking for it: whoever calls does so. */
  function show(text) {
    clearTimeout(state.timer);
    input.value = text;
    state.sent = text.trim();
    draw();
  }

  /** Puts a text in place of what was typed, with the caret at `at`, as if it had been typed. */
  function type(text, at) {
    input.value = text;
    input.setSelectionRange(at, at);
    input.dispatchEvent(new Event("input"));
  }

  return { node, input, set, show, type, update, text: () => input.value.trim(), focus: () => input.focus() };
}

function painted(text, bad) {
  return text.split(WORDS).map((term) => {
    if (/^\s*$/.test(term)) return document.createTextNode(term);
    if (term.toLowerCase() === "or") return el("span", { class: "or" }, term);
    const match = TERM.exec(term);
    const part = match ? el("span", {}, el("span", { class: "key" }, match[1]), match[2] + match[3]) : el("span", {}, term);
    if (bad.has(term)) part.className = "bad";
    return part;
  });
}
