// What people do reaches the server whole: of two values of one event that are on their way at once, Streamlit keeps the later.

/** How long a deed goes along with those after it: many times what an answer takes. */
const KEPT_MS = 10000;

/** A sender of deeds out of a sender of events: each goes with those of the seconds before, under a name by which the server does none twice. */
export function deedSender(send) {
  const recent = new Map();
  return (event, told) => {
    const now = Date.now();
    const deed = { ...told, at: now, deed: `${now}-${Math.random().toString(36).slice(2)}` };
    const deeds = [...(recent.get(event) ?? []).filter((one) => now - one.at < KEPT_MS), deed];
    recent.set(event, deeds);
    send(event, deeds);
  };
}
