// The page on paper: charts that were never in sight are drawn too, and pictures take the width that paper leaves them.

export class Printing {
  constructor(page) {
    this.page = page;
    this.listeners = { keydown: (event) => this.asked(event), beforeprint: () => this.before(), afterprint: () => this.after() };
    for (const [name, listener] of Object.entries(this.listeners)) addEventListener(name, listener);
  }

  // The browser waits for nobody who has yet to read from the store, so Ctrl-P reads first and prints then.
  async asked(event) {
    if (event.key.toLowerCase() !== "p" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    if (!this.page.charts.length) return;
    event.preventDefault();
    await this.page.near.brought(...this.page.near.blocks.keys());
    globalThis.print();
  }

  // By the browser's own menu there is no time to read: what was read is drawn, the rest says that it was not.
  before() {
    this.page.drawEach();
    for (const picture of this.page.root.querySelectorAll(".main-svg")) {
      if (!picture.hasAttribute("viewBox")) picture.setAttribute("viewBox", `0 0 ${picture.getAttribute("width")} ${picture.getAttribute("height")}`);
      picture.dataset.printed = "";
    }
  }

  after() {
    for (const picture of this.page.root.querySelectorAll(".main-svg[data-printed]")) {
      picture.removeAttribute("viewBox");
      delete picture.dataset.printed;
    }
  }

  stop() {
    for (const [name, listener] of Object.entries(this.listeners)) removeEventListener(name, listener);
  }
}
