// The entry of pages with live charts. Plotly is by far the largest file, so it is asked for before anything is drawn.

import drawPage from "./chart_root.js";

// From the app's static files: a component's files have neither a date nor a tag, so no browser would keep them. The version is in the name,
// for a browser keeps such a file without asking. Where the app serves no static files it is a component's after all.
const PLOTLY = "plotly-4.1.1/plotly-basic.min.js";
const PLACES = ["../../../app/static/", "../runvitals.static/"].map((folder) => new URL(folder + PLOTLY, import.meta.url).href);

// A server without the file may answer with a page in its place: what counts is whether Plotly is there.
function loaded(url) {
  return new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = script.onerror = () => resolve(Boolean(globalThis.Plotly));
    document.head.append(script);
  });
}

// Loads Plotly once for the whole window, from this server; a second component waits for the first one's load.
async function loadPlotly() {
  if (globalThis.Plotly) return;
  for (const url of PLACES) if (await loaded(url)) return;
  throw new Error(`Plotly did not load from ${PLACES.at(-1)}`);
}

globalThis.runvitalsPlotly ??= loadPlotly();
// The page tells of a load that fails; until it is there to do so, nobody does.
globalThis.runvitalsPlotly.catch(() => {});

export default function (told) {
  return drawPage(told);
}
