// The button that puts a chart at the top of the page, or takes it away from there.

import { el, setAttribute, svg } from "./base.js";
import { pinOf } from "./run_layout.js";

export class PinButton {
  constructor(chart) {
    this.chart = chart;
    const pin = svg("svg", { width: 11, height: 11, viewBox: "0 0 11 11", "aria-hidden": "true" }, svg("path", { d: "M3.2 1h4.6M4.1 1v3.4L2.6 6.6h5.8L6.9 4.4V1M5.5 6.6V10.4" }));
    this.button = el("button", { class: "pin-button", type: "button", hidden: true, onclick: () => this.page.layout.togglePin(pinOf(chart.spec.id)) }, pin);
  }

  get page() {
    return this.chart.page;
  }

  draw() {
    const { layout } = this.page;
    this.button.hidden = !layout;
    if (!layout) return;
    const pinned = layout.isPinned(pinOf(this.chart.spec.id));
    setAttribute(this.button, "aria-pressed", String(pinned));
    setAttribute(this.button, "title", pinned ? "Unpin" : "Pin to the top");
    setAttribute(this.button, "aria-label", `${pinned ? "Unpin" : "Pin"} ${this.chart.spec.title}`);
  }
}
