// What a search field offers to complete while a term is typed: keys, and the words that a key may have.

import { el, setAttribute } from "./base.js";

const MOST = 9;
const SIGN = /^([-−]?)([^:<>=!]+)(:|=|!=)(.*)$/s;

/** `field` as searchField gives it. vocabulary(): {keys: [{key, says}], words: {key: [word]}}, or nothing yet. */
export function suggestions(field, vocabulary) {
  const { input } = field;
  const list = el("ul", { class: "offers", id: "rv-offers", role: "listbox", hidden: true });
  field.node.append(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-controls": "rv-offers", "aria-autocomplete": "list", "aria-expanded": "false" })) input.setAttribute(name, value);
  const state = { offers: [], at: -1 };

  const close = () => draw([]);
  input.addEventListener("input", () => draw(offered(input, vocabulary())));
  input.addEventListener("click", () => draw(offered(input, vocabulary())));
  input.addEventListener("blur", close);
  // Before the field's own keys: Enter takes an offer that is marked, Escape closes the list first.
  input.addEventListener("keydown", keys, { capture: true });

  function draw(offers, at = -1) {
    state.offers = offers;
    state.at = at;
    list.hidden = !offers.length;
    setAttribute(input, "aria-expanded", String(!list.hidden));
    setAttribute(input, "aria-activedescendant", at < 0 ? null : `rv-offer-${at}`);
    const item = (offer, number) => el("li", { id: `rv-offer-${number}`, role: "option", "aria-selected": String(number === at), onpointerdown: (event) => {
      event.preventDefault(); // the field keeps the focus
      take(offer);
    } }, el("span", { class: "cut" }, offer.text), el("span", { class: "cut ink3" }, offer.says));
    list.replaceChildren(...offers.map(item));
  }

  function keys(event) {
    if (list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) draw(state.offers, (state.at + step + state.offers.length + (state.at < 0 && step < 0 ? 1 : 0)) % state.offers.length);
    else if ((event.key === "Enter" && state.at >= 0) || (event.key === "Tab" && !event.shiftKey)) take(state.offers[Math.max(0, state.at)]);
    else if (event.key === "Escape") close();
    else {
      if (event.key === "Enter") close();
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  /** Puts the offer in place of the term; after a key its words are offered next. */
  function take(offer) {
    const text = input.value;
    const put = offer.whole ? `${offer.text} ` : offer.text;
    const after = text.slice(offer.end).replace(/^ /, offer.whole ? "" : " ");
    field.type(text.slice(0, offer.start) + put + after, offer.start + put.length);
    if (offer.whole) close();
  }
}

/** The term in which the caret stands: where it begins and ends, and what of it is before the caret. */
function termAt(input) {
  const text = input.value;
  const end = input.selectionStart ?? text.length;
  let start = 0;
  let quoted = false;
  for (let at = 0; at < end; at += 1) {
    if (text[at] === '"') quoted = !quoted;
    else if (/\s/.test(text[at]) && !quoted) start = at + 1;
  }
  return { start, end, typed: text.slice(start, end) };
}

function offered(input, known) {
  if (!known || input.selectionStart !== input.selectionEnd) return [];
  const { start, end, typed } = termAt(input);
  const place = { start, end };
  const match = SIGN.exec(typed);
  if (match) {
    const [, minus, key, sign, rest] = match;
    const parts = rest.split(",");
    const wanted = parts.pop().replaceAll('"', "").toLowerCase();
    const before = `${minus}${key}${sign}${parts.map((part) => `${part},`).join("")}`;
    const words = (known.words[key.toLowerCase()] ?? []).filter((word) => word.toLowerCase().includes(wanted) && word.toLowerCase() !== wanted);
    return words.slice(0, MOST).map((word) => ({ ...place, text: before + quoted(word), says: "", whole: true }));
  }
  const minus = /^[-−]/.exec(typed)?.[0] ?? "";
  const wanted = typed.slice(minus.length).toLowerCase();
  if (!wanted) return [];
  const begin = known.keys.filter((one) => one.key.toLowerCase().startsWith(wanted));
  const within = known.keys.filter((one) => !begin.includes(one) && one.key.toLowerCase().includes(wanted));
  return [...begin, ...within].slice(0, MOST).map((one) => ({ ...place, text: minus + one.key, says: one.says, whole: false }));
}

function quoted(word) {
  return /[\s"]/.test(word) ? `"${word.replaceAll('"', "")}"` : word;
}
