// What every page says of itself: who watches, what is wrong, when it was last brought up to date.

import { drawNotices, el, setText, severityMark, staleNotice } from "./base.js";
import { age, clock, count, dataSize } from "./format.js";
import { tellNews } from "./notifications.js";

const WATCHER = { healthy: "Watcher alive", warning: "Watcher silent", unknown: "Watcher unknown" };

/** The watcher's words at the right of a title row, and a function that brings them up to date. */
export function watchLine() {
  const mark = el("span", { class: "mark" });
  const more = el("span", { class: "ink2 small" });
  const node = el("span", { class: "row", style: { gap: "14px" } }, mark, more);
  let drawn = "";
  return {
    node,
    update(watch, now_s, nothing = "") {
      const never = watch && !watch.alive && watch.ahead_s === undefined && watch.pass_s === undefined;
      const state = !watch ? "" : watch.alive ? "healthy" : watch.ahead_s === undefined ? "warning" : "unknown";
      node.hidden = !state;
      if (!state) return;
      if (drawn !== state + never) {
        drawn = state + never;
        mark.className = `mark ${state}`;
        mark.replaceChildren(severityMark(state), el("span", {}, never ? "No watcher" : WATCHER[state]));
      }
      const ago = watch.ahead_s !== undefined ? `its clock is ${age(watch.ahead_s)} ahead` : never ? "never seen" : `last pass ${age(now_s - watch.pass_s)} ago`;
      const rules = watch.rules === undefined ? "" : ` · ${count(watch.rules)} rules`;
      const behind = watch.behind_bytes === undefined ? "" : ` · behind ${dataSize(watch.behind_bytes)}`;
      const whose = watch.beside ? "started by this app · " : "";
      setText(more, whose + ago + (nothing ? ` · ${nothing}` : rules + behind));
    },
  };
}

/** The server's clock now, as far as the last message told. */
export function serverNow(state) {
  return state.now_s + (performance.now() - state.received_ms) / 1000;
}

/** Takes in the part of a message that changes with every message. */
export function takePulse(state, data) {
  Object.assign(state, { now_s: data.now_s, every_s: data.every_s, watch: data.watch, notices: data.notices, received_ms: performance.now() });
  if (!away(state)) state.read_s = data.now_s;
  tellNews(data.news ?? []);
}

/** True where the store could not be read: what is shown is from before. */
function away(state) {
  return state.notices.some((notice) => notice.key === "store");
}

/** Draws notices, greys values that are stale, and gives who watches as far as that is known now. */
export function drawState(root, notices, state) {
  const silent_s = (performance.now() - state.received_ms) / 1000;
  const stale = staleNotice(silent_s, { every_s: state.every_s, updated_s: state.now_s });
  drawNotices(notices, [...stale, ...state.notices]);
  root.classList.toggle("stale", stale.length > 0 || away(state));
  return stale.length ? null : state.watch;
}

/** "Updated 20:41:07, every 2 s": when the store was last read. */
export function updatedText(state) {
  return `Updated ${state.read_s === undefined ? "—" : clock(state.read_s)}, every ${count(state.every_s)} s`;
}
