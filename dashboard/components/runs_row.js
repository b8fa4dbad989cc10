// A row of the Runs table. Each cell is drawn anew only where what it shows changed.

import { el, setAttribute, setText, severityLabel, severityMark, statusLabel } from "./base.js";
import { age, clock, count, revive, signed, together } from "./format.js";
import { spark } from "./spark.js";

export const COLUMNS = ["run", "trainer", "health", "finding", "status", "step", "age", "loss", "margin", "alerts"];
export const HEADS = ["Run", "Trainer", "Health", "First finding", "Status", "Step", "Last step", "Loss", "Margin", "Alerts"];
const RIGHT = new Set(["step", "age", "alerts"]);
const LONG_NAME = 40;
const NAME_END = 8;
const MOST_CHIPS = 3;
const NO_NUMBER = "no numbers"; // what was logged, and was NaN or infinite throughout

export function columnClass(name) {
  return RIGHT.has(name) ? `c-${name} right` : `c-${name}`;
}

/** `page` has colors, picked, onpick(id, event), onopen(id) and onterm(term). */
export function makeRow(page, row) {
  const cells = Object.fromEntries(COLUMNS.map((name) => [name, el("td", { class: columnClass(name) })]));
  const pick = el("input", {
    type: "checkbox", class: "pick", "aria-label": `Choose ${row.name}`, tabindex: -1,
    onclick: (event) => {
      event.stopPropagation();
      page.onpick(row.id, event);
    },
  });
  const link = el("a", { href: `./run?run=${encodeURIComponent(row.id)}`, tabindex: -1, title: row.project ? `${row.project} / ${row.name}` : row.name });
  const chips = el("span", { class: "chips" });
  const finding = el("div", { class: "under cut ink2" });
  const about = el("div", { class: "about cut ink3" });
  cells.run.append(el("div", { class: "name" }, pick, el("div", { class: "grow" }, el("div", { class: "cut" }, link), finding, el("div", { class: "second" }, chips, about))));
  const open = (event) => {
    // A modified click is the browser's: a new tab or window.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    page.onopen(row.id);
  };
  const node = el("tr", { class: "run", tabindex: -1, onclick: open }, COLUMNS.map((name) => cells[name]));
  node.runvitals = { cells, pick, link, chips, finding, about, parts: {} };
  return node;
}

export function updateRow(page, node, row) {
  const parts = node.runvitals;
  parts.row = row;
  node.style.setProperty("--run", page.colors[row.color % page.colors.length]);
  drawName(parts.link, row.name);
  drawChips(page, parts, row);
  setText(parts.finding, together(row.finding));
  setText(parts.about, about(row));
  setAttribute(parts.about, "title", row.description || null);
  drawPicked(page, node);
  cell(node, "trainer", row.trainer, () => el("span", { class: "ink2", title: row.trainer }, row.trainer.toUpperCase()));
  cell(node, "health", row.health, () => severityLabel(row.health));
  cell(node, "finding", row.finding, () => el("div", { class: "cut ink2", title: row.finding }, row.finding));
  cell(node, "status", row.status, () => statusLabel(row.status));
  cell(node, "step", [row.step, row.max_steps], () => steps(row));
  cell(node, "loss", [row.loss, row.loss_of], () => loss(row));
  cell(node, "margin", [row.margin, row.margin_now, row.margin_of], () => margin(row));
  cell(node, "alerts", [row.alerts, row.acknowledged, row.muted, row.health], () => alertCount(row));
}

export function drawPicked(page, node) {
  const on = page.picked.has(node.runvitals.row.id);
  node.runvitals.pick.checked = on;
  setAttribute(node, "aria-selected", String(on));
}

/** What moves with the clock alone. */
export function tickRow(node, now_s) {
  const { cells, row } = node.runvitals;
  setText(cells.age, row.last_step_s === null ? "—" : age(now_s - row.last_step_s));
  cells.age.classList.toggle("late", ["stalled", "hung", "crashed"].includes(row.status));
}

function cell(node, name, shown, draw) {
  const { cells, parts } = node.runvitals;
  const text = JSON.stringify(shown);
  if (parts[name] === text) return;
  parts[name] = text;
  cells[name].replaceChildren(...[draw()].flat().filter(Boolean));
}

/** The second line: that the run is on its way out, else its group and what somebody wrote about it. */
function about(row) {
  if (row.delete_after_s !== null) return `Deleted, gone for good at ${clock(row.delete_after_s)}`;
  const said = [row.set, row.description.split("\n")[0]].filter(Boolean).join(" · ");
  return row.archived ? ["Archived", said].filter(Boolean).join(" · ") : said;
}

function drawChips(page, parts, row) {
  const text = JSON.stringify(row.tags);
  if (parts.parts.tags === text) return;
  parts.parts.tags = text;
  const rest = row.tags.length - MOST_CHIPS;
  const chip = (tag) => el("button", {
    class: "chip cut", type: "button", tabindex: -1, title: `Find runs tagged ${tag}`,
    onclick: (event) => {
      event.stopPropagation();
      page.onterm(term("tag", tag));
    },
  }, tag);
  const more = rest > 0 ? el("span", { class: "ink3 small", title: row.tags.slice(MOST_CHIPS).join(", ") }, `+${rest}`) : null;
  parts.chips.replaceChildren(...[...row.tags.slice(0, MOST_CHIPS).map(chip), more].filter(Boolean));
}

/** The term of a query that asks for exactly this word. */
export function term(key, word) {
  return /[\s"]/.test(word) ? `${key}:"${word.replaceAll('"', "")}"` : `${key}:${word}`;
}

/** A long name is cut in its middle: runs of one sweep differ at the end. */
function drawName(link, name) {
  if (link.textContent === name) return;
  if (name.length <= LONG_NAME) link.replaceChildren(name);
  else link.replaceChildren(el("span", { class: "cut" }, name.slice(0, -NAME_END)), el("span", {}, name.slice(-NAME_END)));
  link.classList.toggle("long", name.length > LONG_NAME);
}

function steps(row) {
  const done = row.max_steps ? Math.min(1, (row.step ?? 0) / row.max_steps) : 0;
  const bar = row.max_steps ? el("span", { class: "bar" }, el("i", { style: { width: `${(100 * done).toFixed(1)}%` } })) : null;
  const of = row.max_steps ? el("span", { class: "ink2" }, ` / ${count(row.max_steps)}`) : null;
  return el("span", { class: "steps" }, count(row.step ?? (row.max_steps ? 0 : null)), of, bar);
}

function loss(row) {
  if (!row.loss.length) return el("span", { class: "ink3 small" }, row.loss_of ? NO_NUMBER : row.step === null ? "no step yet" : "not logged");
  return el("div", { title: `${row.loss_of}: ${row.loss_of === "Loss" ? "what is minimised" : "this trainer logs no loss as a whole"}` }, spark(row.loss));
}

/** Open alerts; where none is open, the incidents that somebody has acknowledged (hollow) or muted (struck through). */
function alertCount(row) {
  const name = row.health === "critical" ? "critical" : "warning";
  const seen = row.acknowledged + row.muted;
  const title = seen ? `${count(row.alerts)} open, ${count(row.acknowledged)} acknowledged, ${count(row.muted)} muted` : null;
  if (row.alerts || !seen) return el("span", { class: row.alerts ? name : "ink2", title }, count(row.alerts));
  return el("span", { class: "mark", title }, severityMark(name, { hollow: true, muted: !row.acknowledged, size: 10 }), el("span", { class: "ink2" }, count(seen)));
}

function margin(row) {
  const curve = row.margin.length ? spark(row.margin) : el("span", { class: "ink3 small" }, row.margin_of ? NO_NUMBER : row.step === null ? "" : "no probe");
  return el("div", { class: "marginal", title: row.margin_of ? `Margin on ${row.margin_of}` : null }, curve, el("span", { class: "value" }, signed(revive(row.margin_now))));
}
