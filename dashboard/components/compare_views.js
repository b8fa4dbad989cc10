// Saved views: a name for what the address says, shared by all who open this store.

import { el } from "./base.js";

const LONGEST_NAME = 100;

export function viewsControl(views, { state, open }) {
  const name = el("input", { type: "text", class: "find", maxlength: LONGEST_NAME, placeholder: "Name of this view", "aria-label": "Name of this view", "data-choice": "view-name" });
  const save = (event) => {
    event.preventDefault();
    if (name.value.trim()) state.trigger("view", { name: name.value.trim(), query: location.search.slice(1), at_ms: Date.now() });
  };
  const panel = el("div", { class: "views-panel" },
    views.length ? el("ul", {}, views.map((view) => item(view, state))) : el("p", { class: "small ink2" }, "No view is saved yet. A view is all that the address says: runs, axis, groups, zoom, smoothing."),
    el("form", { class: "row", onsubmit: save }, name, el("button", { class: "button", type: "submit" }, "Save")));
  return el("details", { class: "views", open, onkeydown: shut, onfocusout: left }, el("summary", { class: "button", "data-choice": "views" }, "Views"), panel);
}

function shut(event) {
  if (event.key !== "Escape") return;
  event.currentTarget.open = false;
  event.currentTarget.querySelector("summary").focus();
}

// Whoever goes on with Tab or a click elsewhere is done with it.
function left(event) {
  if (event.relatedTarget && !event.currentTarget.contains(event.relatedTarget)) event.currentTarget.open = false;
}

// The link is built anew from the saved text, so that it leads to this page and nowhere else.
function item({ name, query }, state) {
  const href = `compare?${new URLSearchParams(query)}`;
  return el("li", { class: "row" }, el("a", { class: "cut", href, target: "_self", title: name }, name),
    el("button", { class: "chip-remove", type: "button", "aria-label": `Delete the view ${name}`, onclick: () => state.trigger("view", { name, delete: true, at_ms: Date.now() }) }, "×"));
}
