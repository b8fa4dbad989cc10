// The entry of pages with live charts. Plotly is by far the largest file, so it is asked for before anything is drawn.

import drawPage from "./chart_root.js";

// From the app's static files: a component's files have neither a date nor a tag, so no browser would keep them. The version is in the name,
// for a browser keeps such a file without asking.
const PLOTLY = new URL("../../../app/static/plotly-4.1.1/plotly-basic.min.js", import.meta.url).href;

// Loads Plotly once for the whole window, from this server; a second component waits for the first one's load.
function loadPlotly() {
  return globalThis.Plotly ? Promise.resolve() : new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = PLOTLY;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`Plotly did not load from ${PLOTLY}`));
    document.head.append(script);
  });
}

globalThis.runvitalsPlotly ??= loadPlotly();
// The page tells of a load that fails; until it is there to do so, nobody does.
globalThis.runvitalsPlotly.catch(() => {});

export default function (told) {
  return drawPage(told);
}
