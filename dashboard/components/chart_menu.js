// The menu of one chart: how it alone is drawn, and the chart as a file. A button that shows on hover and on focus.

import { el } from "./base.js";
import { pictureFile, save, svgFile } from "./chart_export.js";
import { OUTLIERS, SCALES, SMOOTHINGS } from "./chart_settings.js";

export class ChartMenu {
  constructor(chart) {
    this.chart = chart;
    this.button = el("button", { class: "chart-menu-button", type: "button", "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => (this.list ? this.close() : this.open()) }, "⋯");
    this.button.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.open();
    });
  }

  open() {
    if (this.list) return;
    const { chart } = this;
    this.button.setAttribute("aria-expanded", "true");
    this.list = el("div", { class: "chart-menu", role: "menu", "aria-label": `${chart.spec.title}: settings and files` }, this.items());
    this.list.addEventListener("keydown", (event) => this.keys(event));
    this.list.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !this.list?.contains(event.relatedTarget) && event.relatedTarget !== this.button) this.close();
    });
    this.outside = (event) => event.composedPath().includes(chart.title) || this.close();
    document.addEventListener("pointerdown", this.outside);
    chart.title.append(this.list);
    this.list.querySelector("button").focus({ preventScroll: true });
  }

  close() {
    if (!this.list) return;
    const { list } = this;
    this.list = null;
    document.removeEventListener("pointerdown", this.outside);
    this.button.setAttribute("aria-expanded", "false");
    if (list.contains(list.getRootNode().activeElement)) this.button.focus({ preventScroll: true });
    list.remove();
  }

  items() {
    const { chart } = this;
    const { settings } = chart.page;
    const look = settings.for(chart.spec.id);
    const choice = (name, value, text) => this.item(text, () => chart.page.setLook(name, value, chart.spec.id), { checked: look[name] === value, name });
    const scales = ["auto", "log", "linear"].map((y) => choice("y", y, SCALES[y]));
    const smoothings = Object.entries(SMOOTHINGS).map(([smooth, text]) => choice("smooth", smooth, text));
    const clips = [false, true].map((clip) => choice("clip", clip, OUTLIERS[clip]));
    const curves = chart.spec.stack ? [] : [group("Scale", scales), group("Smoothing", smoothings), group("Outliers", clips)];
    return [...curves, group("Save", [
      this.item("PNG", async () => save(await pictureFile(chart)), {}),
      this.item("SVG", async () => save(await svgFile(chart)), {}),
      this.item("CSV of exact points", () => chart.page.askCsv(chart), {}),
    ])];
  }

  // Choices stay open, so that several can be made; a file closes the menu.
  item(text, action, { checked, name }) {
    const radio = checked !== undefined;
    const node = el("button", { type: "button", role: radio ? "menuitemradio" : "menuitem", tabindex: "-1", "aria-checked": radio ? String(checked) : null }, text);
    node.addEventListener("click", () => {
      if (!radio) this.close();
      else for (const other of node.parentElement.querySelectorAll("[aria-checked]")) other.setAttribute("aria-checked", String(other === node));
      action();
    });
    if (name) node.dataset.name = name;
    return node;
  }

  keys(event) {
    const items = [...this.list.querySelectorAll("button")];
    const at = items.indexOf(this.list.getRootNode().activeElement);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape") this.close();
    else if (to === undefined) return;
    else items[(to + items.length) % items.length].focus({ preventScroll: true });
    event.preventDefault();
    event.stopPropagation();
  }
}

function group(title, items) {
  return el("div", { class: "chart-menu-group", role: "group", "aria-label": title }, el("span", { "aria-hidden": "true" }, title), el("div", {}, items));
}
