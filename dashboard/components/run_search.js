// The search over all signals of a run: matches while typing, pins by Enter or click. The names come once, when somebody begins to look.

import { el, keyed, setAttribute, setText } from "./base.js";
import { count } from "./format.js";

const MOST_SHOWN = 12;
const AGAIN_MS = 2000;

export class SignalSearch {
  constructor(state) {
    this.state = state;
    this.found = [];
    this.at = 0;
    this.input = el("input", { type: "search", class: "signal-input", role: "combobox", "aria-expanded": "false", "aria-controls": "signal-list", "aria-autocomplete": "list", "aria-label": "Find a signal and pin it", autocomplete: "off", spellcheck: "false" });
    this.list = el("div", { class: "signal-list", role: "listbox", id: "signal-list", hidden: true });
    this.node = el("div", { class: "signal-search" }, this.input, this.list);
    this.input.addEventListener("focus", () => this.begin());
    // Whoever comes near is about to look: by the time that something is typed the names are here.
    this.node.addEventListener("pointerenter", () => this.ask());
    this.input.addEventListener("input", () => this.search());
    this.input.addEventListener("keydown", (event) => this.keys(event));
    this.input.addEventListener("blur", () => this.close());
    // A click must not take the focus away before it counts.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
  }

  // head: the frame's; signals: {keys, of, signals} once it is here.
  draw(head, signals) {
    setAttribute(this.input, "placeholder", `Find any of ${count(head.signals)} ${head.signals === 1 ? "signal" : "signals"}`);
    if (signals === this.signals) return;
    this.signals = signals;
    this.entries = null;
    if (this.active()) this.search();
  }

  active() {
    return this.input.getRootNode().activeElement === this.input;
  }

  begin() {
    this.ask();
    this.search();
  }

  // The question may be overtaken by another message and never be heard.
  ask() {
    if (this.signals || this.asking || !this.node.isConnected) return;
    this.state.trigger("search", Date.now());
    this.asking = setTimeout(() => {
      this.asking = null;
      this.ask();
    }, AGAIN_MS);
  }

  // What can be found, made at the first look: words in lower case, so that each letter typed costs one pass over plain strings.
  index() {
    this.entries ??= this.signals.keys.map((key, i) => {
      const [title, unit, meaning] = this.signals.signals[this.signals.of[i]] ?? ["", "", ""];
      return { key, title: title || key, unit, meaning, text: `${title} ${key}`.toLowerCase(), name: (title || key).toLowerCase(), low: key.toLowerCase() };
    });
    return this.entries;
  }

  search() {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length || !this.signals) return this.show([], words.length > 0);
    const ranked = [[], [], [], []];
    for (const entry of this.index()) if (words.every((word) => entry.text.includes(word))) ranked[rank(entry, words)].push(entry);
    this.show(ranked.flat(), true);
  }

  show(found, asked) {
    this.found = found.slice(0, MOST_SHOWN);
    this.at = 0;
    this.more = found.length - this.found.length;
    this.list.hidden = !asked;
    setAttribute(this.input, "aria-expanded", String(asked));
    this.drawList();
  }

  drawList() {
    const { layout } = this.state;
    const rows = this.found.map((entry, i) => ({ ...entry, id: `signal-${i}`, pinned: layout.isPinned(`key:${entry.key}`), chosen: i === this.at }));
    keyed(this.list, [...rows, { id: "signal-said", said: this.said() }], {
      key: (row) => row.id,
      make: (row) => (row.said ? el("div", { class: "signal-said" }) : el("div", { class: "signal-row", role: "option", id: row.id }, el("b", { class: "cut" }), el("code", { class: "cut" }), el("span", { class: "unit cut" }), el("span", { class: "signal-pinned" }))),
      update: (node, row) => this.update(node, row),
    });
    setAttribute(this.input, "aria-activedescendant", this.found.length && !this.list.hidden ? `signal-${this.at}` : null);
  }

  said() {
    if (!this.signals) return "Reading the names …";
    if (!this.found.length) return "No signal has this in its name.";
    return this.more ? `${count(this.more)} more; another word narrows it down.` : "Enter pins, Enter again unpins.";
  }

  update(node, row) {
    if (row.said) return setText(node, row.said);
    const [title, key, unit, pinned] = node.children;
    node.classList.toggle("bare", row.title === row.key);
    setText(title, row.title);
    setText(key, row.title === row.key ? "" : row.key);
    setText(unit, row.unit);
    setText(pinned, row.pinned ? "pinned" : "pin");
    setAttribute(node, "title", row.meaning || row.key);
    setAttribute(node, "aria-selected", String(row.chosen));
    node.onclick = () => this.pin(row);
  }

  pin(entry) {
    this.full = !this.state.layout.togglePin(`key:${entry.key}`);
    this.drawList();
    if (this.full) setText(this.list.lastChild, "No room for another pin: unpin one first.");
  }

  close() {
    this.list.hidden = true;
    setAttribute(this.input, "aria-expanded", "false");
  }

  keys(event) {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") {
      this.input.value = "";
      this.close();
    } else if (event.key === "Enter" && this.found[this.at]) this.pin(this.found[this.at]);
    else if (move && this.found.length) {
      this.at = (this.at + move + this.found.length) % this.found.length;
      this.drawList();
    } else return;
    event.preventDefault();
  }
}

// Exact names first, then names that begin with what was typed, then names with a word that does, then the rest.
function rank({ name, low }, words) {
  const typed = words.join(" ");
  if (name === typed || low === typed) return 0;
  if (name.startsWith(typed) || low.startsWith(typed)) return 1;
  return words.every((word) => new RegExp(`(^|[^a-z0-9])${word.replace(/[^a-z0-9]/g, "\\$&")}`).test(`${name} ${low}`)) ? 2 : 3;
}
