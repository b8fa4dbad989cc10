// Saved views as pills, the grouping, and the field in which a view gets its name.

import { el, keyed, setAttribute } from "./base.js";

const ASKED = ["q", "by", "sort"];

/** The parts of an address that make a view, the usual grouping left out. */
export function lookOf(head) {
  return { q: head.q, by: head.by === "attention" ? "" : head.by, sort: head.sort };
}

function same(one, other) {
  return ASKED.every((name) => (one[name] ?? "").trim() === (other[name] ?? "").trim());
}

/** `page` has parts and send(event, value); onlook(look) goes to a view. */
export function viewPills(page, { onlook }) {
  const pills = el("div", { class: "row pills" });
  const update = () => {
    const now = lookOf(page.parts.head);
    keyed(pills, page.parts.views, {
      key: (view) => `${view.saved} ${view.name}`,
      make: (view) => pill(view),
      update: (node, view) => {
        node.runvitals = view;
        setAttribute(node.firstElementChild, "aria-pressed", String(same(view.look, now)));
      },
    });
  };

  function pill(view) {
    const node = el("span", { class: `view${view.saved ? " saved" : ""}` });
    node.append(el("button", { class: "pill", type: "button", onclick: () => onlook(node.runvitals.look) }, el("span", { class: "cut" }, view.name)));
    if (view.saved) node.append(el("button", { class: "forget", type: "button", "aria-label": `Forget the view ${view.name}`, title: "Forget this view", onclick: () => page.deed("act", { do: "forget_view", name: view.name }) }, "×"));
    return node;
  }

  return { node: pills, update };
}

/** "Save view", which becomes a field for the name. */
export function saveView(page) {
  const open = el("button", { class: "button", type: "button", onclick: () => show(true) }, "Save view");
  const input = el("input", { type: "text", maxlength: 100, placeholder: "Name of the view", "aria-label": "Name of the view", onkeydown: (event) => event.key === "Escape" && show(false) });
  const form = el("form", { class: "row naming", hidden: true, onsubmit: save }, input, el("button", { class: "button primary", type: "submit" }, "Save"), el("button", { class: "button", type: "button", onclick: () => show(false) }, "Cancel"));

  function show(on) {
    open.hidden = on;
    form.hidden = !on;
    if (!on) return void open.focus();
    const now = lookOf(page.parts.head);
    input.value = page.parts.views.find((view) => view.saved && same(view.look, now))?.name ?? "";
    input.focus();
    input.select();
  }

  function save(event) {
    event.preventDefault();
    const name = input.value.trim();
    if (!name) return void input.focus();
    const look = Object.entries(lookOf(page.parts.head)).filter(([, value]) => value);
    page.deed("act", { do: "save_view", name, text: new URLSearchParams(look).toString() });
    show(false);
  }

  return el("div", { class: "save" }, open, form);
}

/** What the table is grouped by: what every run has, or any setting. */
export function grouping(page, { ongroup }) {
  const select = el("select", { "aria-label": "Group by", onchange: () => ongroup(select.value) });
  let drawn = "";
  const update = () => {
    const { head, words } = page.parts;
    const settings = words.keys.filter((one) => one.key.startsWith("config.")).map((one) => one.key.slice(0, -1));
    if (head.by.startsWith("config.") && !settings.includes(head.by)) settings.unshift(head.by);
    const text = JSON.stringify([head.groupings, settings]);
    if (text !== drawn) {
      drawn = text;
      const usual = head.groupings.map(([value, name]) => el("option", { value }, `Group: ${name}`));
      const others = settings.length ? [el("optgroup", { label: "Setting" }, settings.map((value) => el("option", { value }, `Group: ${value.slice(7)}`)))] : [];
      select.replaceChildren(...usual, ...others);
    }
    const by = (page.unanswered.by ?? head.by) || "attention";
    if (select.value !== by) select.value = by;
  };
  return { node: select, update };
}
