// What people keep with a run, under its name: tags, group and description, each changed where it stands.

import { el } from "./base.js";
import { deedSender } from "./deeds.js";
import { clock } from "./format.js";
import { pageLink } from "./pages.js";
import { term } from "./runs_row.js";

const EDITORS = {
  tag: { words: "Tags to add, with commas between", button: "Add" },
  group: { words: "Group, empty for none", button: "Set" },
  describe: { words: "What this run is about", button: "Save" },
};

/** The line of one run: `node`, and `draw(run, labels)` with the run's id. An open field keeps what is typed in it whatever comes. */
export function runLabels(state) {
  const line = el("div", { class: "labels" });
  const editor = el("form", { class: "labels label-editor", hidden: true, onsubmit: submit });
  const said = el("div", { class: "labels strong", role: "status", hidden: true });
  const node = el("div", {}, line, editor, said);
  const now = { text: "", run: "", labels: null, editing: "", input: null };

  const deed = deedSender((event, value) => state.trigger(event, value));
  const act = (told) => deed("act", { ...told, run: now.run });

  function draw(run, labels) {
    const text = JSON.stringify([run, labels]);
    if (!labels || now.text === text) return;
    const focused = node.getRootNode().activeElement?.dataset?.label;
    Object.assign(now, { text, run, labels });
    line.replaceChildren(...[standing(labels), labels.tags.map(chip), opener("tag", labels.tags.length ? "Add tag" : "Add tags"), group(labels.group), description(labels.description)].flat().filter(Boolean));
    said.hidden = !labels.said;
    said.textContent = labels.said;
    // A tag that was taken off leaves the focus to the button beside it.
    if (focused && !editor.contains(node.getRootNode().activeElement)) focusOn(focused);
  }

  function chip(tag) {
    const remove = el("button", { class: "chip-remove", type: "button", "data-label": "tag", "aria-label": `Remove the tag ${tag}`, onclick: () => act({ do: "untag", text: tag }) }, "×");
    return el("span", { class: "chip label-chip" }, found("tag", tag), remove);
  }

  function group(name) {
    const label = el("span", { class: "ink3" }, "Group");
    return el("span", { class: "label-group" }, ...(name ? [label, found("group", name), opener("group", "Change")] : [opener("group", "Set group")]));
  }

  function description(text) {
    if (!text) return opener("describe", "Describe");
    const words = el("span", { class: "label-words", title: text }, text);
    return el("span", { class: "label-about" }, words, opener("describe", "Edit"));
  }

  // What leads to the runs that have the same.
  function found(key, word) {
    return pageLink("", { q: term(key, word) }, { class: "cut", title: key === "tag" ? `Find runs tagged ${word}` : `Find runs of the group ${word}` }, word);
  }

  function opener(name, words) {
    return el("button", { class: "link", type: "button", "data-label": name, onclick: () => edit(name) }, words);
  }

  function focusOn(name) {
    line.querySelector(`button.link[data-label="${name}"]`)?.focus({ preventScroll: true });
  }

  function edit(name) {
    const { words, button } = EDITORS[name];
    const long = name === "describe";
    const input = el(long ? "textarea" : "input", { type: long ? null : "text", rows: long ? 3 : null, class: "grow", "aria-label": words, placeholder: words, onkeydown: keys });
    input.value = name === "tag" ? "" : long ? now.labels.description : now.labels.group;
    editor.replaceChildren(input, el("button", { class: "button primary", type: "submit" }, button), el("button", { class: "button", type: "button", onclick: close }, "Cancel"));
    Object.assign(now, { editing: name, input });
    editor.hidden = false;
    input.focus();
  }

  function close() {
    editor.hidden = true;
    focusOn(now.editing);
  }

  function keys(event) {
    event.stopPropagation();
    if (event.key === "Escape") close();
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) submit(event);
  }

  function submit(event) {
    event.preventDefault();
    if (now.editing !== "tag" || now.input.value.trim()) act({ do: now.editing, text: now.input.value });
    close();
  }

  return { node, draw };
}

function standing({ archived, delete_after_s: gone_s }) {
  if (gone_s !== null) return el("span", { class: "strong" }, `Deleted, gone for good at ${clock(gone_s)}`);
  return archived ? el("span", { class: "strong" }, "Archived") : null;
}
