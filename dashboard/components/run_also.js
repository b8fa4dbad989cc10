// The row over the charts of a run's own metrics: words that narrow them, and the part of them that is shown.

import { el, setAttribute, setText } from "./base.js";
import { count } from "./format.js";

const TYPED_MS = 150;

// section: the node of the section, whose last child is its grid. The row is there where one part does not hold all.
export function drawAlso(section, { fold, state }) {
  const needed = fold.open && fold.count > fold.size;
  section.also ??= needed ? made(section, state) : null;
  if (!section.also) return;
  const { row, input, said, earlier, later } = section.also;
  row.hidden = !needed;
  if (!needed) return;
  section.also.fold = fold;
  // What is being typed is newer than what the page was told last.
  if (input.getRootNode().activeElement !== input && input.value !== state.layout.also) input.value = state.layout.also;
  const last = Math.min(fold.first + fold.size, fold.found);
  setText(said, fold.found ? `${count(fold.first + 1)}–${count(last)} of ${count(fold.found)}${fold.found < fold.count ? " with these words" : ""}` : "No metric has these words in its name.");
  setAttribute(earlier, "aria-disabled", fold.first ? null : "true");
  setAttribute(later, "aria-disabled", last < fold.found ? null : "true");
}

function made(section, state) {
  const input = el("input", { type: "search", class: "also-input", placeholder: "Narrow by words of the name", "aria-label": "Narrow the metrics that are also logged", autocomplete: "off", spellcheck: "false" });
  const said = el("span", { class: "also-said", role: "status" });
  const [earlier, later] = [["Previous", -1], ["Next", 1]].map(([word, by]) => el("button", { type: "button", class: "button", onclick: () => turn(section, state, by) }, word));
  const row = el("div", { class: "also-row" }, input, said, earlier, later);
  let timer = null;
  const narrow = () => {
    clearTimeout(timer);
    if (input.value.trim() !== state.layout.also) state.layout.narrow(input.value.trim());
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(narrow, TYPED_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") input.value = "";
    if (event.key === "Escape" || event.key === "Enter") narrow();
  });
  section.insertBefore(row, section.lastChild);
  return { row, input, said, earlier, later };
}

// Counted from what was asked for last, which the page may not show yet. At either end nothing happens; the button keeps the focus.
function turn({ also: { fold } }, state, by) {
  const last = Math.ceil(fold.found / fold.size);
  const from = Math.min(state.layout.part, last);
  const part = from + by;
  if (part >= 1 && part <= last) state.layout.narrow(state.layout.also, part);
}
