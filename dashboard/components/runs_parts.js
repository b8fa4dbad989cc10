// What the Runs page knows, put together from messages that hold only what changed; see `live.changed_parts`.

/** True where something changed. Asks for everything where a message builds on one that never came. */
export function takeParts(state, data, send) {
  if (!data.parts) {
    if (data.digest !== undefined && data.digest !== state.digest) send("resync", data.digest);
    return false;
  }
  if (data.digest === state.digest) return false; // the same message again, as when the theme changes
  if (data.base !== null && data.base !== state.digest) {
    send("resync", data.digest);
    return false;
  }
  if (data.base === null) {
    state.parts = {};
    state.rows = new Map();
  }
  Object.assign(state.parts, data.parts);
  for (const row of data.rows) state.rows.set(row.id, row);
  const here = new Set(state.parts.groups.flatMap((group) => group.ids));
  for (const id of state.rows.keys()) if (!here.has(id)) state.rows.delete(id);
  state.digest = data.digest;
  return true;
}
