// The keys of a page: "/" goes to its search, "?" shows them all; and lists of many rows that are one stop of the Tab key.

import { el, setAttribute } from "./base.js";

const EVERYWHERE = [["?", "these keys"], ["Esc", "closes what is open, empties the search"]];

/** True where keys are text, or the browser's own. */
export function typing(event) {
  const at = event.composedPath()[0];
  return event.ctrlKey || event.metaKey || event.altKey || at.isContentEditable || /^(input|textarea|select)$/i.test(at.tagName ?? "") && !/^(checkbox|radio|range)$/.test(at.type);
}

/**
 * Listens for "/" and "?" until `stop()`. keys: [[key, what it does]] of this page. search(): goes to its search field; a page may have none.
 * `node` is a button for its foot, which shows the same as "?".
 */
export function pageKeys({ keys, search }) {
  const all = [...(search ? [["/", "search; ↓ or Enter go from there to the list"]] : []), ...keys, ...EVERYWHERE];
  const close = el("button", { class: "button", type: "button", onclick: () => panel.close() }, "Close");
  const panel = el(
    "dialog",
    { class: "keypanel", "aria-label": "Keys of this page", onclick: (event) => event.target === panel && panel.close() },
    el("div", {}, el("h2", {}, "Keys"), el("dl", {}, all.map(([key, words]) => [el("dt", {}, key.split(" ").map((one) => el("kbd", {}, one))), el("dd", {}, words)])), close),
  );
  const button = el("button", { class: "link", type: "button", "aria-haspopup": "dialog", onclick: () => panel.showModal() }, "Keys ", el("kbd", {}, "?"));
  const listen = (event) => {
    if (typing(event) || event.defaultPrevented) return;
    if (event.key === "?") panel.open ? panel.close() : panel.showModal();
    else if (event.key === "/" && search && !panel.open) search();
    else return;
    event.preventDefault();
  };
  document.addEventListener("keydown", listen);
  return { node: el("span", { class: "keys" }, button, panel), stop: () => document.removeEventListener("keydown", listen) };
}

/**
 * One stop of the Tab key for many rows: ↑ ↓ Home End go from one to the next. items(): the nodes in their order; first(): the one to begin
 * with, else the first. Call `update()` after each drawing; `walk(event)` says whether the key was one of these; `enter()` goes to the one that is the stop.
 */
export function rove(list, { items, first }) {
  let now = null;
  let at = 0;
  let within = false;
  list.addEventListener("focusin", (event) => {
    const found = items().find((node) => node.contains(event.target));
    within = found !== undefined;
    if (found) stand(found);
  });
  // What is removed loses the focus to nothing.
  list.addEventListener("focusout", (event) => (within = within && event.relatedTarget === null));

  function stand(node) {
    if (now !== node && now) setAttribute(now, "tabindex", -1);
    now = node;
    at = items().indexOf(node);
    setAttribute(now, "tabindex", 0);
  }

  function update() {
    const all = items();
    for (const node of all) if (node !== now) setAttribute(node, "tabindex", -1);
    if (all.includes(now)) return void (at = all.indexOf(now));
    const lost = now !== null && within && !list.getRootNode().activeElement;
    const next = (lost ? all[Math.min(at, all.length - 1)] : first?.()) ?? all[0];
    now = null;
    if (next) stand(next);
    // What had the focus is gone: the one in its place has it, or the next Tab would begin at the top of the page.
    if (lost) next?.focus({ preventScroll: true });
  }

  function walk(event) {
    const all = items();
    const here = all.findIndex((node) => node.contains(event.target));
    const to = { ArrowDown: all[here + 1], ArrowUp: all[here - 1], Home: all[0], End: all.at(-1) };
    if (here < 0 || !(event.key in to) || event.ctrlKey || event.metaKey || event.altKey) return false;
    to[event.key]?.focus();
    event.preventDefault();
    return true;
  }

  return { update, walk, enter: () => now?.focus() };
}
