// What people do with an alert: a note to an acknowledgement, a mute with what it covers and until when, and who they are.

import { el, moment } from "./base.js";

const LASTS = [["3600", "for 1 hour"], ["28800", "for 8 hours"], ["86400", "for 1 day"], ["604800", "for 1 week"], ["until", "until …"]];
const NAME = "runvitals.who";

/** The name that somebody gave last in this browser, "" where there is none or the browser keeps nothing. */
export function whoNow() {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

function keepWho(name) {
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // A browser that keeps nothing asks again.
  }
}

function nameField() {
  return el("input", { type: "text", class: "who", placeholder: "Your name", "aria-label": "Your name", maxlength: 80, value: whoNow(), autocomplete: "name" });
}

function noteField(placeholder) {
  return el("input", { type: "text", class: "grow", placeholder, "aria-label": "Note", maxlength: 500 });
}

/** Opens the form in `form`; what is half written in it stays until it is sent or cancelled. */
function open(form, fields, { word, send, focus }) {
  const before = form.getRootNode().activeElement;
  const shut = () => {
    form.hidden = true;
    before?.focus({ preventScroll: true });
  };
  const cancel = el("button", { class: "button", type: "button", onclick: shut }, "Cancel");
  form.replaceChildren(...fields, el("button", { class: "button primary", type: "submit" }, word), cancel);
  form.onsubmit = (event) => {
    event.preventDefault();
    if (send() !== false) shut();
  };
  form.onkeydown = (event) => {
    if (event.key === "Escape") shut(); // in braces: a handler that gives false takes Enter away
  };
  form.hidden = false;
  focus.focus();
}

export function noteForm(form, alert, send) {
  const who = nameField();
  const note = noteField("A note for the others (may stay empty)");
  open(form, [who, note], {
    word: "Acknowledge",
    focus: note,
    send: () => {
      keepWho(who.value.trim());
      send("acknowledge", { id: alert.id, note: note.value.trim(), who: who.value.trim() });
    },
  });
}

export function muteForm(form, alert, send) {
  const scope = el("select", { "aria-label": "What to mute" }, alert.scopes.map(({ name, words }) => el("option", { value: name }, words)));
  const lasts = el("select", { "aria-label": "How long", onchange: () => timed() }, LASTS.map(([seconds, words]) => el("option", { value: seconds }, words)));
  // A form with a fault is not sent, so a fault must go as soon as the time is another one, or is not asked for.
  const until = el("input", { type: "datetime-local", "aria-label": "Until", hidden: true, class: "until", oninput: () => until.setCustomValidity("") });
  const timed = () => {
    until.hidden = lasts.value !== "until";
    until.setCustomValidity("");
  };
  const who = nameField();
  const note = noteField("Why (may stay empty)");
  open(form, [scope, lasts, until, who, note], {
    word: "Mute",
    focus: scope,
    send: () => {
      const until_s = lasts.value === "until" ? new Date(until.value).getTime() / 1000 : null;
      const past = until_s !== null && !(until_s > Date.now() / 1000);
      until.setCustomValidity(past ? "A time to come" : "");
      if (past) return until.reportValidity();
      keepWho(who.value.trim());
      send("mute", { id: alert.id, scope: scope.value, for_s: until_s === null ? Number(lasts.value) : null, until_s, who: who.value.trim(), note: note.value.trim() });
      return true;
    },
  });
}

/** One mute that stands, with who made it, until when, and a button that ends it. */
export function muteLine(mute, send) {
  const until = moment(mute.until_s).replace(/:\d\d$/, "");
  return el(
    "div",
    { class: "muteline" },
    el("span", {}, el("b", {}, "Muted"), ` until ${until}: ${mute.words}`, el("span", { class: "ink2" }, `${mute.who ? ` · ${mute.who}` : ""} · since ${moment(mute.since_s).replace(/:\d\d$/, "")}${mute.note ? ` · “${mute.note}”` : ""}`)),
    el("button", { class: "button small", type: "button", onclick: () => send("unmute", { mute: mute.id, who: whoNow() }) }, "End the mute"),
  );
}
