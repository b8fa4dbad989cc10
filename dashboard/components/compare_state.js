// What the address of a comparison says. The browser keeps it; the server is told of each choice.

const NAMES = ["compare", "group", "spread", "at", "outcome", "against"];

// Puts what is shown into the address, in place of the entry, so that Back still leads back. Names of others stay as they are.
export function mirror(query) {
  const address = new URL(location.href);
  if (!/\/compare\/?$/.test(address.pathname)) return;
  for (const name of NAMES) {
    if (query[name]) address.searchParams.set(name, query[name]);
    else address.searchParams.delete(name);
  }
  if (address.href !== location.href) history.replaceState(history.state, "", address);
}

// Tells the server what was chosen, on top of what is shown and of what was chosen since. What is kept in the browser (the axis, the pins) goes with it.
export function choose(state, changes, query) {
  const { digest } = state.frame;
  const before = state.chosen?.digest === digest ? state.chosen.query : query;
  state.chosen = { digest, query: { ...before, ...changes } };
  state.trigger("choose", { ...state.chosen.query, x: state.page.view.axis, pin: state.layout?.pins ?? [] });
}

// The ids with these first, as the address has them.
export function first(ids, chosen) {
  return [...chosen, ...ids.filter((id) => !chosen.includes(id))].join(",");
}
