// The bar at the foot of the Runs page: what can be done with the chosen runs, and what was done last.

import { el, setText } from "./base.js";
import { clock, count } from "./format.js";

const MOST_COMPARED = 50;
/** From so many runs on a deed takes long enough to be told of while it is done. */
const MANY = 200;
const DOING = { tag: "Tagging", untag: "Taking the tag off", group: "Grouping", archive: "Archiving", unarchive: "Putting back", delete: "Deleting", undelete: "Keeping" };
const EDITORS = {
  tag: { words: "Tags to add, with commas between", button: "Add" },
  group: { words: "Group, empty for none", button: "Set" },
  describe: { words: "What this run is about", button: "Save" },
};

/**
 * `page` has picked, remembered (the chosen runs' rows, also of those that are not shown), all, rows, parts, oncompare(ids), deed(event, told), clear() and pickAll(). `update()` draws it; `start(name)` does what the key or
 * button of this name does; `undo()` takes the last deed back.
 */
export function actionBar(page) {
  const number = el("span", { class: "strong" });
  const whole = el("button", { class: "link", type: "button", onclick: () => page.pickAll() });
  const buttons = Object.fromEntries(
    [["compare", "Compare"], ["tag", "Tag"], ["group", "Group"], ["describe", "Describe"], ["archive", "Archive"], ["delete", "Delete"]].map(([name, words]) => [
      name,
      el("button", { class: "button", type: "button", onclick: () => start(name) }, words),
    ]),
  );
  const close = el("button", { class: "button", type: "button", onclick: () => page.clear() }, "Clear");
  const tools = el("div", { class: "tools", role: "toolbar", "aria-label": "Chosen runs" }, number, whole, el("span", { class: "grow" }), Object.values(buttons), close);
  const words = el("span");
  const undoButton = el("button", { class: "button", type: "button", onclick: undo }, "Undo");
  const hush = el("button", { class: "button", type: "button", "aria-label": "Close", onclick: () => dismiss() }, "×");
  const said = el("div", { class: "tools said", role: "status" }, words, undoButton, el("span", { class: "grow" }), hush);
  const editor = el("form", { class: "tools editor", hidden: true, onsubmit: submit });
  const node = el("div", { class: "actions", hidden: true }, said, editor, tools);
  const state = { editing: null, dismissed: null, before: null, doing: null };

  const ids = () => [...page.picked];
  const chosen = () => ids().map((id) => page.rows.get(id) ?? page.remembered.get(id)).filter(Boolean);

  function act(told) {
    announce(told.do, page.all ? page.parts.head.found : page.picked.size);
    page.deed("act", { ...told, ids: ids(), all: page.all });
  }

  /** Says what is being done with many runs, until the answer says that it was. */
  function announce(name, many) {
    if (many < MANY) return;
    state.doing = { words: `${DOING[name]} ${count(many)} runs …`, before: page.parts.said.time_s };
    update();
  }

  function start(name) {
    if (!page.picked.size) return;
    if (name === "compare") return void (page.picked.size > 1 && page.picked.size <= MOST_COMPARED && page.oncompare(ids()));
    if (name === "archive") return finish({ do: chosen().every((row) => row.archived) ? "unarchive" : "archive" });
    if (name === "delete") return finish({ do: chosen().every((row) => row.delete_after_s !== null) ? "undelete" : "delete" });
    if (name === "describe" && page.picked.size !== 1) return;
    edit(state.editing === name ? null : name);
  }

  /** Runs that leave the list are no longer chosen. */
  function finish(told) {
    act(told);
    page.clear();
  }

  function edit(name) {
    const within = node.getRootNode().activeElement;
    if (name !== null && state.editing === null) state.before = within;
    state.editing = name;
    // Where the focus would be lost with the field, it goes back to the row or button from which the field was opened.
    if (name === null && editor.contains(within)) state.before?.focus({ preventScroll: true });
    editor.hidden = name === null;
    if (name === null) return;
    const about = EDITORS[name];
    const only = chosen();
    const before = name === "describe" ? only[0]?.description : name === "group" && only.every((row) => row.set === only[0].set) ? only[0]?.set : "";
    const list = name === "describe" ? null : el("datalist", { id: "rv-words" }, (page.parts.words.words[name] ?? []).map((word) => el("option", { value: word })));
    const input = el(name === "describe" ? "textarea" : "input", { type: name === "describe" ? null : "text", rows: name === "describe" ? 3 : null, class: "grow", "aria-label": about.words, placeholder: about.words, list: list && "rv-words", onkeydown: keys });
    input.value = before ?? "";
    editor.replaceChildren(...(name === "tag" ? [standing()] : []), input, ...(list ? [list] : []), el("button", { class: "button primary", type: "submit" }, about.button), el("button", { class: "button", type: "button", onclick: () => edit(null) }, "Cancel"));
    state.input = input;
    input.focus();
  }

  /** The tags that the chosen runs have, each to be taken off. */
  function standing() {
    const tags = [...new Set(chosen().flatMap((row) => row.tags))];
    return el("span", { class: "chips" }, tags.map((tag) => el("button", { class: "chip", type: "button", title: `Remove the tag ${tag}`, onclick: (event) => {
      act({ do: "untag", text: tag });
      event.currentTarget.remove();
      state.input.focus();
    } }, `${tag} ×`)));
  }

  function keys(event) {
    event.stopPropagation();
    if (event.key === "Escape") edit(null);
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) submit(event);
  }

  function submit(event) {
    event.preventDefault();
    if (state.editing !== "tag" || state.input.value.trim()) act({ do: state.editing, text: state.input.value });
    edit(null);
  }

  function undo() {
    const told = page.parts?.said;
    if (!told?.undo) return;
    announce(told.undo.do, told.undo.ids.length);
    page.deed("act", told.undo);
  }

  function dismiss() {
    state.dismissed = page.parts.said.time_s;
    update();
  }

  function update() {
    const many = page.all ? page.parts.head.found : page.picked.size;
    const told = page.parts?.said;
    if (state.doing?.before !== told?.time_s) state.doing = null;
    said.hidden = !state.doing && (!told?.text || state.dismissed === told.time_s);
    if (state.doing) setText(words, state.doing.words);
    else if (!said.hidden) setText(words, told.until_s ? `${told.text}. Gone for good at ${clock(told.until_s)}.` : `${told.text}.`);
    undoButton.hidden = Boolean(state.doing) || !told?.undo;
    tools.hidden = !many;
    if (!many && state.editing) edit(null);
    node.hidden = tools.hidden && said.hidden;
    if (!many) return;
    const hidden = page.all ? 0 : ids().filter((id) => !page.rows.has(id)).length;
    setText(number, `${count(many)} chosen${hidden ? `, ${count(hidden)} of them not shown` : ""}`);
    whole.hidden = page.all || page.parts.head.found <= page.rows.size || many - hidden < page.rows.size;
    setText(whole, `Choose all ${count(page.parts.head.found)} that answer the search`);
    buttons.compare.disabled = page.all || many < 2 || many > MOST_COMPARED;
    buttons.describe.disabled = many !== 1;
    setText(buttons.archive, chosen().length && chosen().every((row) => row.archived) ? "Put back" : "Archive");
    setText(buttons.delete, chosen().length && chosen().every((row) => row.delete_after_s !== null) ? "Keep" : "Delete");
  }

  return { node, update, start, undo };
}
