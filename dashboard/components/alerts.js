// The Alerts page: incidents at the left, one alert in full at the right.

import { drawDetail, makeDetail } from "./alert_detail.js";
import { muteLine } from "./alert_people.js";
import { atEnd, el, heartbeat, keyed, kept, mutedText, received, seriesColors, setAttribute, setText, severityLabel, severityMark, swatch } from "./base.js";
import { save } from "./chart_export.js";
import { deedSender } from "./deeds.js";
import { age, count } from "./format.js";
import { pageKeys, rove } from "./keys.js";
import { notifyButton } from "./notifications.js";
import { pageLink } from "./pages.js";
import { searchField } from "./search.js";
import { drawState, serverNow, takePulse, updatedText } from "./watch.js";

const TABS = [["open", "Open"], ["acknowledged", "Acknowledged"], ["muted", "Muted"], ["resolved", "Resolved"]];
const NOTHING = { open: "Nothing is open. Healthy means that no rule fires, which is not the same as correct.", acknowledged: "Nobody has acknowledged an open incident.", muted: "Nothing is muted.", resolved: "Nothing was resolved yet." };
// What stands at the right while no alert does.
const LESSONS = [
  ["When one opens", "A rule reads every step. Where its condition holds, an alert is pending; where it holds long enough, it fires and shows here, in the tab's title and, if a channel is set, on your phone."],
  ["What it brings", "The curve as it was, frozen; the numbers against what was expected; causes ranked by evidence; remedies to tick off. Alerts that follow from one another are one incident, the root first."],
  ["How it ends", "It resolves by itself once the condition is gone for long enough. Acknowledge it to say that you know; mute it for a while. Neither touches training."],
];

/** Events that change something for everybody. */
const KEPT = new Set(["acknowledge", "unacknowledge", "mute", "unmute", "feedback", "tick"]);

export default function alerts({ data, parentElement, setTriggerValue }) {
  const state = kept(parentElement, () => build(parentElement));
  state.send = setTriggerValue;
  takePulse(state, data);
  if (data.file && state.file !== data.file.id) {
    state.file = data.file.id; // messages repeat it
    save(data.file);
  }
  const body = received(state, data, setTriggerValue);
  if (body && state.drawn !== state.digest) {
    state.drawn = state.digest;
    drawBody(state, body);
  }
  tick(state);
  return state.stop;
}

function build(parent) {
  const state = {};
  state.count = el("span", { class: "count" });
  state.noticeBox = el("div", { class: "notices" });
  state.search = searchField({ placeholder: "run, rule or trainer:dpo", onsearch: (text) => state.send("query", text), onleave: () => state.stops.enter() });
  state.tabs = el("div", { class: "segments", role: "group", "aria-label": "State" });
  state.troubles = el("div", { class: "troubles", role: "status" });
  state.list = el("div", { class: "list" });
  state.cards = el("div", { role: "group", "aria-label": "Incidents", onkeydown: (event) => state.stops.walk(event) });
  const stops = () => [...state.cards.querySelectorAll(".card")];
  state.stops = rove(state.cards, { items: stops, first: () => stops().find((card) => card.getAttribute("aria-current") === "true") });
  state.keys = pageKeys({ keys: [["↑ ↓ Home End", "from incident to incident"], ["Enter", "shows it in full"]], search: state.search.focus });
  state.nothing = el("p", { class: "none", hidden: true });
  state.mutes = el("div");
  state.standing = el("div", { class: "standing", hidden: true }, el("h3", {}, "Mutes that stand"), state.mutes);
  state.list.append(state.cards, state.nothing, state.standing);
  state.teaching = el("div", { class: "detail teaching", hidden: true }, LESSONS.map(([title, text]) => el("div", {}, el("h3", {}, title), el("p", { class: "ink2" }, text))));
  const deed = deedSender((event, value) => state.send(event, value));
  state.tell = (event, value) => (KEPT.has(event) ? deed(event, value) : state.send(event, value));
  state.detail = makeDetail(state.tell);
  state.updated = el("span", { class: "updated" });
  const marks = [["critical", "critical"], ["warning", "warning"], ["unknown", "for information, not counted"]].map(([name, word]) => el("span", { class: "mark" }, severityMark(name), word));
  state.root = el(
    "div",
    { class: "rv" },
    state.noticeBox,
    el("div", { class: "title" }, el("h1", {}, "Alerts"), state.count, el("div", { class: "controls" }, notifyButton(), pageLink("backtest", {}, { class: "button" }, "Back-test"), state.tabs, state.search.node)),
    state.troubles,
    el("div", { class: "panes" }, state.list, state.detail.node, state.teaching),
    el("div", { class: "foot" }, marks, el("span", { class: "mark" }, severityMark("critical", { hollow: true }), "acknowledged"), el("span", { class: "mark" }, severityMark("critical", { muted: true }), "muted"), state.keys.node, state.updated),
  );
  parent.append(state.root);
  const stopClock = heartbeat(state, () => tick(state));
  const back = () => state.search.show(new URL(location.href).searchParams.get("q") ?? "");
  addEventListener("popstate", back);
  state.stop = atEnd(state.root, () => {
    removeEventListener("popstate", back);
    stopClock();
    state.keys.stop();
    state.detail.stop();
  });
  return state;
}

function drawBody(state, body) {
  const colors = seriesColors(state.root);
  const open = body.counts.open;
  const cards = body.cards.filter((card) => card.incident_state === body.tab);
  setText(state.count, counted(body, cards));
  state.search.update(body.query, body.troubles);
  setText(state.troubles, body.troubles.map((trouble) => `${trouble.term}: ${trouble.reason}; left out`).join("   "));
  keyed(state.tabs, TABS, {
    key: ([name]) => name,
    make: ([name]) => el("button", { type: "button", onclick: () => state.send("tab", name) }),
    update: (node, [name, word]) => {
      setText(node, `${word} ${count(body.counts[name])}`);
      setAttribute(node, "aria-pressed", String(name === body.tab));
    },
  });
  // Those that ask for nobody come last, under a line that says why no number above counts them.
  const first = cards.findIndex((card) => card.severity === "info");
  keyed(state.cards, first < 0 ? cards : [...cards.slice(0, first), null, ...cards.slice(first)], {
    key: (card) => card?.id ?? "for information",
    make: (card) => (card ? el("button", { class: "card", type: "button", onclick: () => select(state, card.id) }) : el("h3", { class: "aside" })),
    update: (node, card) => (card ? drawCard(node, card, colors, body.shown) : setText(node, `${count(cards.length - first)} more for information, not counted above`)),
  });
  state.stops.update();
  setText(state.nothing, body.query ? noAnswer(body) : nothing(state, body));
  state.nothing.hidden = cards.length > 0;
  state.standing.hidden = body.tab !== "muted" || !body.mutes.length;
  keyed(state.mutes, body.mutes, { key: (mute) => mute.id, make: (mute) => muteLine(mute, state.tell), update: () => {} });
  state.teaching.hidden = body.shown !== null;
  drawDetail(state.detail, body.shown, { color: body.shown ? colors[body.shown.color % colors.length] : "", now_s: serverNow(state) });
  followed(state, body.shown);
  if (!state.opened) reveal(state);
  state.opened = true;
}

/** Who comes with a link, or comes back, sees the alert's card in the list; not before the style sheet has come, for without it nothing scrolls. */
function reveal({ root, list, cards }) {
  if (!root.isConnected) return;
  if (getComputedStyle(list).overflowY !== "auto") return void requestAnimationFrame(() => reveal({ root, list, cards }));
  const card = cards.querySelector('[aria-current="true"]');
  if (card) list.scrollTop += card.getBoundingClientRect().top - list.getBoundingClientRect().top - (list.clientHeight - card.clientHeight) / 2;
}

/** The open incidents and their alerts, what is for information alone left out; and how many rows a search leaves. */
function counted({ counts, alerts, query }, cards) {
  const open = counts.open ? `${count(counts.open)} ${counts.open === 1 ? "incident" : "incidents"} open, ${count(alerts)} ${alerts === 1 ? "alert" : "alerts"}` : "nothing open";
  return query ? `${open}, ${count(cards.length)} found here` : open;
}

/** Shows the alert; where the panes stand below each other, goes to it once it is drawn. */
function select(state, id) {
  state.follow = id;
  state.send("select", id);
}

function followed(state, shown) {
  if (shown === null || state.follow !== shown.id) return;
  state.follow = null;
  if (state.detail.node.offsetTop > state.list.offsetTop) state.detail.node.scrollIntoView({ block: "start", behavior: "instant" });
}

/** Why the list is empty. */
function nothing({ watch }, { tab, mutes }) {
  if (tab === "muted" && mutes.length) return "No incident is muted as a whole: another of its alerts asks for somebody, or what is muted does not fire now.";
  return tab === "open" && watch && !watch.alive ? "Nothing is open, but nobody watches: what has begun since is not known." : NOTHING[tab];
}

/** Why it is while something is searched for; the tabs go on counting what there is. */
function noAnswer(body) {
  const elsewhere = TABS.filter(([name]) => body.cards.some((card) => card.incident_state === name)).map(([, word]) => word.toLowerCase());
  return elsewhere.length ? `No alert here answers this search; some do under ${elsewhere.join(", ")}.` : "No alert answers this search.";
}

function drawCard(node, card, colors, shown) {
  setAttribute(node, "aria-current", String(shown !== null && card.members.includes(shown.id)));
  const text = JSON.stringify(card);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const when = el("span", { class: "ink2 small when" });
  node.runvitals = { when, card };
  const hollow = card.incident_state === "acknowledged";
  const muted = card.incident_state === "muted";
  // How bad it is shows by shape and colour; who hears the page is told in words.
  const state = hollow || muted ? `, ${card.incident_state}` : "";
  setAttribute(node, "aria-label", `${card.severity}: ${card.title}, ${card.run}, ${card.alerts}${state}`);
  node.replaceChildren(
    el("div", { class: "line" }, severityLabel(card.severity, { word: card.title, hollow, muted }), when),
    el("div", { class: "line small" }, swatch(colors[card.color % colors.length]), el("span", { class: "cut" }, card.run), el("span", {}, card.alerts)),
    muted ? el("div", { class: "under" }, `${mutedText(card.muted_until_s)}${card.muted_by ? ` by ${card.muted_by}` : ""}`) : "",
    card.cause ? el("div", { class: "under cut" }, card.cause) : "",
  );
}

function tick(state) {
  const now_s = serverNow(state);
  drawState(state.root, state.noticeBox, state);
  setText(state.updated, updatedText(state));
  for (const node of state.cards.querySelectorAll(".card")) {
    const { when, card } = node.runvitals;
    setText(when, age(now_s - (card.resolved_s ?? card.fired_s ?? card.onset_s)));
  }
  state.detail.tick(now_s);
}
