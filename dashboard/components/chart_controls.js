// What a reader chooses for all charts of a page: the x axis in the title row, and one quiet row for smoothing, scale and outliers.

import { el, setText } from "./base.js";
import { AXES } from "./chart_axis.js";
import { OUTLIERS, SCALES, SMOOTHINGS } from "./chart_settings.js";

const KEYS = "Drag zooms, Shift and drag pans, double click shows all. Keys on a chart: ← → read, + − zoom, Shift ← → pan, 0 shows all.";

// The x axis: some of AXES as segments, and every other axis, the signals of the page too, in a list behind them.
export function axisControl(page, axes, others = []) {
  const chosen = page.view.axis;
  const choose = (axis) => axis && page.setAxis(axis);
  const buttons = axes.map((axis) => el("button", { type: "button", "data-choice": axis, "aria-pressed": String(axis === chosen), onclick: () => choose(axis) }, AXES[axis]));
  const elsewhere = !axes.includes(chosen);
  const option = (id, label) => el("option", { value: id, selected: id === chosen && elsewhere }, label);
  const list = el("select", { "aria-label": "Other horizontal axis", "data-choice": "other", class: elsewhere ? "chosen" : "", onchange: () => choose(list.value) },
    el("option", { value: "", selected: !elsewhere, hidden: elsewhere }, "Other"), others.map((axis) => option(axis, AXES[axis])),
    page.signals.length ? el("optgroup", { label: "A signal" }, page.signals.map(({ id, label }) => option(id, label))) : null);
  return el("div", { class: "segments", role: "group", "aria-label": "Horizontal axis" }, buttons, others.length || page.signals.length ? list : null);
}

// A text that differs whenever `axisControl` would look different.
export function axisControlText(page) {
  return JSON.stringify([page.view.axis, page.signals.map(({ id, label }) => [id, label])]);
}

// The row itself stays; only what changed in it does, so that focus and open lists outlive every refresh.
export function drawControls(parent, page) {
  if (!parent.firstChild) parent.append(...made(page));
  const { all } = page.settings;
  const own = page.settings.own.size;
  for (const list of parent.querySelectorAll("select")) if (list.value !== String(all[list.name])) list.value = String(all[list.name]);
  const log = parent.querySelector("input");
  log.checked = all.xlog;
  log.disabled = !page.canLog();
  const reset = parent.querySelector("button");
  reset.hidden = !own;
  setText(reset, `Reset ${own} ${own === 1 ? "chart" : "charts"} of ${own === 1 ? "its" : "their"} own settings`);
}

function made(page) {
  const list = (label, name, choices, title) => el("label", { class: "view-choice", title }, label,
    el("select", { name, onchange: (event) => page.setLook(name, name === "clip" ? event.target.value === "true" : event.target.value) },
      Object.entries(choices).map(([value, text]) => el("option", { value }, text))));
  return [
    el("button", { type: "button", class: "view-reset", hidden: true, onclick: () => page.resetOwn() }),
    list("Smoothing", "smooth", SMOOTHINGS, "Auto: a centred mean of about a twelfth of the points in view. Light, Medium, Strong: an average (EMA) that forgets by half over 0.5, 2 or 8 % of the axis in view. The values themselves stay, faintly."),
    list("Scale", "y", SCALES, "Auto: logarithmic where the signal calls for it. What is not above 0 has no place on a logarithmic scale and is told of in the key."),
    list("Outliers", "clip", OUTLIERS, "Clipped: outliers do not stretch the axis; a caret at the edge shows each, the key how far it reaches. A NaN is always shown."),
    el("label", { class: "view-choice" }, el("input", { type: "checkbox", onchange: (event) => page.setLogX(event.target.checked) }), "Log x"),
    el("span", { class: "view-help", tabindex: "0", role: "note", title: KEYS, "aria-label": KEYS }, "?"),
  ];
}

