// How far a page of charts was scrolled when it was left, kept in its entry of the browser's history: Back and a reload bring it back.

const WAIT_MS = 150;
// What somebody does who does not wait.
const SIGNS = ["wheel", "touchmove", "pointerdown", "keydown"];

// drawn() after each drawing; stop() where the page goes.
export function keptScroll(root) {
  const path = location.pathname;
  let wanted = history.state?.runvitals?.scroll ?? 0;
  let pane = null;
  let timer = 0;
  // Another page's entry is not ours to write in.
  const write = () => location.pathname === path && !wanted && history.replaceState({ ...history.state, runvitals: { scroll: pane.scrollTop } }, "");
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(write, WAIT_MS);
  };
  const giveUp = () => (wanted = 0);
  for (const sign of SIGNS) addEventListener(sign, giveUp, { passive: true });

  function drawn() {
    if (!pane) {
      pane = paneOf(root);
      pane.addEventListener("scroll", later, { passive: true });
    }
    // Charts have their height before they are drawn; what is said in words may still come and make the page longer.
    if (!wanted) return;
    pane.scrollTop = wanted;
    if (Math.abs(pane.scrollTop - wanted) < 1) wanted = 0;
  }

  function stop() {
    clearTimeout(timer);
    for (const sign of SIGNS) removeEventListener(sign, giveUp);
    pane?.removeEventListener("scroll", later);
  }

  return { drawn, stop };
}

// The element that scrolls the page: it lies outside of ours.
function paneOf(node) {
  for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) {
    if (/auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return document.scrollingElement;
}
