// One chart: title, menu, key line (the legend), plot and its text for screen readers.

import { isSignal } from "./chart_axis.js";
import { prepared, withInterval } from "./chart_build.js";
import { faintPart, groupPart } from "./compare_lines.js";
import { MARGIN, figure } from "./chart_figure.js";
import { SUPERSEDED, drawKey } from "./chart_key.js";
import { ChartMenu } from "./chart_menu.js";
import { PinButton } from "./run_pin.js";
import { unseenOnLog, yRange } from "./chart_range.js";
import { stacked } from "./chart_stack.js";
import { explain, spoken } from "./chart_about.js";
import { el, setAttribute } from "./base.js";

const LOG_SCALE = "log scale";

export class ChartView {
  constructor(page, spec) {
    this.page = page;
    this.onScreen = false;
    this.drawn = "";
    this.picture = "";
    this.shown = [];
    this.plot = el("div", { class: "plot", role: "img" });
    this.surface = el("div", { class: "surface" });
    this.line = el("div", { class: "crosshair" });
    this.box = el("div", { class: "hover" });
    this.select = el("div", { class: "selection" });
    this.frame = el("div", { class: "frame" }, this.plot, this.select, this.line, this.box, this.surface);
    this.key = el("div", { class: "key" });
    this.keyText = "";
    this.words = el("div", { class: "chart-words" });
    this.menu = new ChartMenu(this);
    this.pin = new PinButton(this);
    this.title = el("div", { class: "chart-title" }, this.words, this.pin.button, this.menu.button);
    this.root = el("figure", { tabindex: "0" }, this.title, this.key, this.frame);
    this.root.dataset.chart = spec.id;
    this.given = spec;
    explain({ over: this.words, focus: this.root, root: page.root, facts: () => this.spec.about });
    this.placed();
    this.describe(spec);
  }

  // The surface and the lines lie over the plot area; the margins are fixed, so this needs no measuring.
  placed() {
    for (const part of [this.surface, this.select, this.line]) {
      part.style.top = `${MARGIN.t}px`;
      part.style.bottom = `${MARGIN.b}px`;
    }
    this.surface.style.left = `${this.margin.l}px`;
    this.surface.style.right = `${this.margin.r}px`;
  }

  get margin() {
    return { ...MARGIN, r: this.given.endLabels ? 56 : MARGIN.r };
  }

  get width() {
    return Math.max(10, this.frame.clientWidth - this.margin.l - this.margin.r);
  }

  // Takes the server's spec; `spec` is the same with the scale that was chosen for it.
  describe(given) {
    this.given = given;
    const { settings } = this.page;
    this.look = settings.for(given.id);
    const log = !given.stack && (this.look.y === "auto" ? Boolean(given.log) : this.look.y === "log");
    this.spec = { ...given, log, clip: this.look.clip, unit: this.unit(given, log) };
    this.root.className = `chart span-${given.span ?? 3}${given.big ? " big" : ""}${given.crowded ? " crowded" : ""}${given.over ? " over" : ""}`;
    this.plot.style.height = `${given.height}px`;
    const words = JSON.stringify([given.title, this.spec.unit, given.note, given.absent, given.absentNames, given.verdict]);
    if (words !== this.wordsText) this.drawWords();
    this.wordsText = words;
    this.pin.draw();
  }

  unit(given, log) {
    const words = (given.unit ?? "").split(", ").filter((word) => word && word !== LOG_SCALE);
    const against = isSignal(this.page.view.axis) ? `against ${this.page.axisLabel()}` : "";
    return [...words, log ? LOG_SCALE : "", against].filter(Boolean).join(", ");
  }

  drawWords() {
    const { spec } = this;
    this.named();
    this.root.setAttribute("aria-description", spoken(spec.about));
    this.menu.button.setAttribute("aria-label", `${spec.title}: settings and files`);
    this.words.replaceChildren(el("b", {}, spec.title), el("span", { class: "unit", title: spec.unit }, spec.unit ?? ""));
    if (spec.note) this.words.append(el("span", { class: "note" }, spec.note));
    if (spec.absent) this.words.append(el("span", { class: "absent", title: spec.absentNames ? `Not logged: ${spec.absentNames}` : spec.absent }, spec.absent));
  }

  // For those who do not see it: the server's verdict; of a curve that it has none for, the values of the key.
  named(key = this.keySaid) {
    this.keySaid = key;
    const { title, verdict } = this.spec;
    for (const node of [this.root, this.plot]) setAttribute(node, "aria-label", verdict || key ? `${title}: ${verdict || key}` : title);
  }

  // A text that changes when and only when the picture would.
  fingerprint() {
    const { page, spec } = this;
    const versions = spec.series.flatMap((one) => [page.version(one.id), one.error ? page.version(one.error) : ""]);
    const axes = isSignal(page.view.axis) ? spec.series.map((one) => page.version(page.axisSeries(one.clock))) : [];
    return [versions.join(), axes.join(), page.viewVersion, page.marksVersion, page.theme.version, this.frame.clientWidth, JSON.stringify(spec)].join("|");
  }

  // unseen: also where it is out of sight.
  async draw({ unseen = false } = {}) {
    if (!(this.onScreen || unseen) || !this.frame.clientWidth) return;
    if (this.spec.series.every((one) => this.page.loading(one.id))) return this.waits();
    const fingerprint = this.fingerprint();
    if (fingerprint === this.drawn) return;
    this.drawn = fingerprint;
    this.describe(this.given);
    this.prepare();
    drawKey(this);
    this.sayUnseen();
    const { data, layout } = this.figure();
    // What arrives beyond a zoom changes the key, not the picture, and Plotly takes as long for the same picture as for another.
    const picture = JSON.stringify([data, layout]);
    if (picture === this.picture) return;
    this.picture = picture;
    await globalThis.Plotly.react(this.plot, data, layout, { staticPlot: true, displayModeBar: false, responsive: false });
    this.page.counted("reacts");
  }

  // Nothing of this chart has been told yet: its place is kept, and its key says that something is coming.
  waits() {
    this.keyText = "";
    if (!this.key.querySelector(".loading")) this.key.replaceChildren(el("span", { class: "loading" }));
  }

  // A logarithmic scale on which nothing has a place is not left empty without a word.
  sayUnseen() {
    const unseen = unseenOnLog(this.spec, this.shown);
    if (!unseen || this.unseen) {
      if (!unseen) this.unseen = this.unseen?.remove();
      return;
    }
    const linear = () => this.page.setLook("y", "linear", this.spec.id);
    this.unseen = el("div", { class: "unseen" }, "No value is above 0: nothing has a place on a logarithmic scale.", el("button", { type: "button", onclick: linear }, "Linear scale"));
    this.frame.append(this.unseen);
  }

  prepare() {
    const { page, spec } = this;
    this.shown = spec.series.map((one) => ({
      spec: one,
      hidden: page.isHidden(spec.id, one),
      part: this.part(one, this.columns(one), { smooth: this.smoothing(one), auto: one.smooth, band: spec.band && one.smooth }),
      superseded: this.superseded(one),
    }));
    if (spec.stack) this.shown = stacked(this.shown);
    this.yTo = yRange(spec, this.shown);
  }

  // What is chosen for all charts is for noise; a curve that is exact as it is, such as a learning rate, is smoothed where its own chart says so.
  smoothing(one) {
    if (this.spec.stack || one.style === "rings") return "off";
    return this.page.settings.own.get(this.spec.id)?.smooth ?? (one.smooth ? this.look.smooth : "off");
  }

  part(one, columns, how) {
    const { page } = this;
    const where = { clock: page.clockOf(one), pixels: this.width, range: page.range() };
    if (one.style === "faint") return faintPart(columns, page.view, where);
    if (one.group) return groupPart(columns, page.view, where);
    return prepared(columns, page.view, { ...where, ...how });
  }

  // What a resume or a rollback took the place of, as it was; null where there is nothing of it or it is hidden.
  superseded(one) {
    const { page, spec } = this;
    const columns = spec.stack || isSignal(page.view.axis) || page.isHidden(spec.id, SUPERSEDED) ? null : page.supersededColumns(one.id);
    return columns && this.part(one, columns, { smooth: "off", auto: false, band: false });
  }

  // A series' columns; where its standard error is a series of its own, low and high are its 95 % interval.
  columns(one) {
    const columns = this.page.columns(one.id);
    return one.error ? withInterval(columns, this.page.columns(one.error)) : columns;
  }

  figure() {
    return figure(this);
  }
}
