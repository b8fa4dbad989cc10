// The keys of the Runs table: from row to row, within a row, and what is done with the runs.

import { pageKeys, rove, typing } from "./keys.js";

/** What letters do with the chosen runs, or with the row's where none is chosen. */
const KEYS = { t: "tag", g: "group", n: "describe", a: "archive", c: "compare", Delete: "delete" };
/** What ← and → do with a group that is unfolded, or folded. */
const FOLDS = { ArrowLeft: "true", ArrowRight: "false" };
const TOLD = [
  ["↑ ↓ Home End", "from row to row"], ["← →", "the name and the tags of a row; folds a group"], ["Enter", "opens the run"], ["Space", "chooses it; with Shift all since the last one"],
  ["c", "compare those chosen"], ["t", "tag"], ["g", "group"], ["n", "describe"], ["a", "archive"], ["Delete", "delete"],
];

/** `page` has tbody, search, picked, bar, onpick(id, event), onopen(id) and clear(). */
export function rowKeys(page) {
  const keys = pageKeys({ keys: TOLD, search: page.search.focus });
  const stops = rove(page.tbody, { items: () => [...page.tbody.rows].map((row) => row.querySelector(".fold") ?? row) });
  return { ...keys, update: stops.update, walk: (event) => walk(page, stops, event) };
}

/** Arrows walk the rows and, to the right, what is in one; Enter opens, Space chooses; letters do what the bar does. */
function walk(page, stops, event) {
  const head = event.target.closest(".fold");
  if (head && FOLDS[event.key] === head.getAttribute("aria-expanded")) head.click();
  const node = event.target.closest("tr.run");
  if (typing(event) || stops.walk(event) || !node) return;
  const { id } = node.runvitals.row;
  const sideways = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const deed = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  // Links and buttons have Enter and Space for themselves.
  const own = event.target !== node && (event.key === "Enter" || event.key === " ");
  if (sideways) step(node, event.target, sideways);
  else if (event.key === "Enter" && !own) page.onopen(id);
  else if (event.key === " " && !own) page.onpick(id, event);
  else if (event.key === "Escape") event.target === node ? page.clear() : node.focus();
  else if (deed) {
    if (!page.picked.size) page.onpick(id);
    page.bar.start(deed);
  } else return;
  event.preventDefault();
}

/** Goes from the row to its name, then from tag to tag, and back. */
function step(node, from, by) {
  const stops = [node, ...node.querySelectorAll("a, .chip")];
  stops[stops.indexOf(from) + by]?.focus();
}
