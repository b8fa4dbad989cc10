// The search over all signals of the runs that are compared. The names stay on the server, for there may be half a million: it is asked
// once typing pauses, and again where its answer was overtaken.

import { setAttribute } from "./base.js";
import { SignalSearch } from "./run_search.js";

const PAUSE_MS = 120;
const AGAIN_MS = 1500;

export class CompareSearch extends SignalSearch {
  constructor(state) {
    super(state);
    this.node.classList.add("counted");
  }

  // signals: {text, rows, more}, the answer to what was typed some time ago, or nothing yet.
  draw(head, signals) {
    setAttribute(this.input, "placeholder", "Find any logged signal");
    if (signals === this.signals) return;
    this.signals = signals;
    if (!this.active()) return;
    this.present();
    if (this.pending()) return;
    clearTimeout(this.timer);
    if (this.entered && this.found[0]) this.pin(this.found[0]);
    this.entered = false;
  }

  // The names are gathered while the first letters are typed.
  ask() {
    if (!this.asked) this.state.trigger("find", { text: "", at_ms: Date.now() });
    this.asked = true;
  }

  typed() {
    return this.input.value.trim();
  }

  // Whether the answer to what is typed has yet to come.
  pending() {
    return this.typed() !== "" && this.signals?.text !== this.typed();
  }

  search() {
    clearTimeout(this.timer);
    this.entered = false;
    this.at = 0;
    if (this.pending()) this.timer = setTimeout(() => this.send(), PAUSE_MS);
    this.present();
  }

  send() {
    this.state.trigger("find", { text: this.typed(), at_ms: Date.now() });
    this.timer = setTimeout(() => this.pending() && this.send(), AGAIN_MS);
  }

  // The last answer stands until the next one comes, so that the list does not flicker from letter to letter.
  present() {
    const shown = this.typed() !== "";
    const rows = shown ? this.signals?.rows ?? [] : [];
    this.found = rows.map((row) => ({ ...row, unit: [row.unit, row.runs].filter(Boolean).join(" · ") }));
    this.more = this.signals?.more ?? 0;
    this.list.hidden = !shown;
    setAttribute(this.input, "aria-expanded", String(shown));
    this.drawList();
  }

  said() {
    return this.pending() ? "Searching …" : super.said();
  }

  // Who types and presses Enter at once means what they typed, not what an earlier word had found.
  keys(event) {
    if (event.key !== "Enter" || !this.pending()) return super.keys(event);
    this.entered = true;
    event.preventDefault();
  }

  close() {
    clearTimeout(this.timer);
    super.close();
  }
}
