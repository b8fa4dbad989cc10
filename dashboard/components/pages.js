// Goes from page to page in the browser. The server's way would write the next page's words into the entry of the page that is left,
// and Back would lead to that instead of to the list as it was.

import { el } from "./base.js";

/** The address of a page of the app, e.g. pageAddress("run", { run: id }); the Runs page has no name. */
export function pageAddress(name, query = {}) {
  const words = new URLSearchParams(query).toString();
  return `./${name}${words ? `?${words}` : ""}`;
}

/** Opens the page in this tab, as Back and Forward do. */
export function openPage(name, query = {}) {
  history.pushState({}, "", pageAddress(name, query));
  dispatchEvent(new PopStateEvent("popstate", { state: history.state }));
}

/** A link to the page. With a key held down it is the browser's own: a new tab or window. */
export function pageLink(name, query, attributes, ...children) {
  const onclick = (event) => plainClick(event) && openPage(name, query);
  return el("a", { ...attributes, href: pageAddress(name, query), onclick }, ...children);
}

/** True for a click that is ours to answer, which the browser then leaves alone. */
export function plainClick(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return false;
  event.preventDefault();
  return true;
}
