// Where the list stood when it was left, kept in its entry of the browser's history: Back and a reload bring it back.

import { lookOf } from "./runs_views.js";

const WAIT_MS = 150;
/** What somebody does who does not wait. */
const SIGNS = ["wheel", "touchmove", "pointerdown", "keydown"];

/** A link to a run may name it at the Runs page, as `/?run=ID`; once Back has led here, that means nothing any more. */
export function cleanAddress() {
  const address = new URL(location.href);
  const stale = ["run", "compare", "alert"].filter((name) => address.searchParams.has(name));
  if (!stale.length || /\/(run|compare|alerts)\/?$/.test(address.pathname)) return;
  for (const name of stale) address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
}

/** `page` has root, parts, picked, all, allOf, folds, choose(ids, all) and send(event, value). */
export function keptPlace(page) {
  const path = location.pathname;
  let wanted = noted();
  let begun = false;
  let pane = null;
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(write, WAIT_MS);
  };
  const back = () => {
    wanted = noted();
    begun = false;
  };
  // Whoever goes on meanwhile is not moved.
  const giveUp = () => (wanted = null);
  addEventListener("popstate", back);
  for (const sign of SIGNS) addEventListener(sign, giveUp, { passive: true });

  /** Notes how the list stands now. Another page's entry is not ours to write in. */
  function write() {
    clearTimeout(timer);
    if (wanted || !page.parts || !page.root.isConnected || location.pathname !== path) return;
    const place = { look: said(page), limit: page.parts.head.limit, folded: folded(page), picked: [...page.picked], all: page.all, scroll: pane?.scrollTop ?? 0 };
    history.replaceState({ ...history.state, runvitals: place }, "");
  }

  /** After each drawing: brings back what was noted, as far as its rows are here, then notes what changes. */
  function drawn() {
    if (!pane) {
      pane = paneOf(page.root);
      pane.addEventListener("scroll", later, { passive: true });
    }
    if (!wanted) return later();
    if (wanted.look !== said(page)) return;
    if (!begun) begin();
    const { head } = page.parts;
    if ((head.rest && head.limit < wanted.limit) || folded(page).join() !== wanted.folded.join()) return;
    pane.scrollTop = wanted.scroll;
    wanted = null;
  }

  function begin() {
    begun = true;
    const { head, groups } = page.parts;
    page.choose(wanted.picked, wanted.all);
    if (head.rest && head.limit < wanted.limit) page.send("more", wanted.limit);
    const differ = groups.filter((group) => group.folded !== wanted.folded.includes(group.key));
    for (const group of differ) page.folds.set(group.key, !group.folded);
    if (differ.length) page.send("fold", [...page.folds]);
  }

  function stop() {
    clearTimeout(timer);
    removeEventListener("popstate", back);
    for (const sign of SIGNS) removeEventListener(sign, giveUp);
    pane?.removeEventListener("scroll", later);
  }

  return { drawn, later, write, stop };
}

function noted() {
  return history.state?.runvitals ?? null;
}

function said(page) {
  return JSON.stringify(lookOf(page.parts.head));
}

function folded(page) {
  return page.parts.groups.filter((group) => group.folded).map((group) => group.key);
}

/** The element that scrolls the page: it lies outside of ours. */
function paneOf(node) {
  for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) {
    if (/auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return document.scrollingElement;
}
