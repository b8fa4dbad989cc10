// Browser notifications: only where somebody allowed them on the Alerts page, once an alert over all tabs of the browser.

import { el, setText } from "./base.js";

const WANTED = "runvitals.notify";
const TOLD = "runvitals.notified";
const KEPT = 500;

function read(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function write(name, value) {
  try {
    localStorage.setItem(name, value);
    return true;
  } catch {
    return false;
  }
}

/** Whether this browser can show them at all, here: they need https, or this very machine. */
function possible() {
  return "Notification" in globalThis && globalThis.isSecureContext;
}

function wanted() {
  return possible() && Notification.permission === "granted" && read(WANTED) === "on";
}

/** Shows what of `news` no tab has shown yet. news: [{id, incident, title, text}] */
export function tellNews(news) {
  if (!news.length || !wanted()) return;
  const tell = () => {
    const told = toldBefore();
    const fresh = news.filter((one) => !told.includes(one.id));
    // What cannot be noted would be told again every two seconds, by every tab.
    if (!fresh.length || !write(TOLD, JSON.stringify([...told, ...fresh.map((one) => one.id)].slice(-KEPT)))) return;
    fresh.forEach(show);
  };
  // Two tabs that hear of it in the same moment take turns.
  if (navigator.locks) navigator.locks.request(TOLD, tell);
  else tell();
}

function toldBefore() {
  try {
    const told = JSON.parse(read(TOLD) ?? "[]");
    return Array.isArray(told) ? told : [];
  } catch {
    return [];
  }
}

function show(one) {
  const shown = new Notification(one.title, { body: one.text, tag: one.incident, renotify: true });
  shown.onclick = () => {
    globalThis.focus();
    globalThis.location.assign(`./alerts?alert=${encodeURIComponent(one.id)}`);
    shown.close();
  };
}

/** The button that asks for them, or ends them; the permission is asked for only when somebody presses it. */
export function notifyButton() {
  const button = el("button", { class: "button", type: "button", onclick: press });
  const draw = () => {
    button.setAttribute("aria-pressed", String(wanted()));
    const blocked = possible() && Notification.permission === "denied";
    button.disabled = !possible() || blocked;
    button.title = !possible() ? "Browsers show notifications only from https pages or this machine" : blocked ? "Blocked in the settings of this browser" : "A notification of this browser for each new alert, once, while a page is open";
    setText(button, wanted() ? "Notifies this browser" : "Notify this browser");
  };
  async function press() {
    if (wanted()) write(WANTED, "off");
    else if ((await Notification.requestPermission()) === "granted") write(WANTED, "on");
    draw();
  }
  draw();
  return button;
}
