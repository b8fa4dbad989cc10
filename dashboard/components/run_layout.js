// What a reader arranged on a run's page: pinned charts, opened sections, what is looked for in them, the map's measure. Kept in the address, so that a link shares it.

const MOST_PINS = 24;

export class RunLayout {
  // told: called with the layout whenever it changes.
  constructor(search, told) {
    const asked = new URLSearchParams(search);
    this.pins = [...new Set(asked.getAll("pin"))].slice(0, MOST_PINS);
    this.open = new Set(asked.getAll("open"));
    this.map = asked.get("map") ?? "";
    this.also = asked.get("also") ?? "";
    this.part = Math.max(1, Math.trunc(Number(asked.get("part"))) || 1);
    this.told = told;
  }

  isPinned(id) {
    return this.pins.includes(id);
  }

  // False where there is no room for another pin.
  togglePin(id) {
    const pinned = this.isPinned(id);
    if (!pinned && this.pins.length >= MOST_PINS) return false;
    this.pins = pinned ? this.pins.filter((pin) => pin !== id) : [...this.pins, id];
    this.changed();
    return true;
  }

  toggleOpen(section) {
    if (!this.open.delete(section)) this.open.add(section);
    this.changed();
  }

  // Which of the run's own metrics are shown: those with these words, and which part of them, from 1.
  narrow(words, part = 1) {
    [this.also, this.part] = [words, part];
    this.changed();
  }

  choose(measure) {
    this.map = measure;
    this.changed();
  }

  // In place of the address's entry, so that Back leads back.
  changed() {
    const address = new URL(location.href);
    const also = { also: this.also ? [this.also] : [], part: this.part > 1 ? [String(this.part)] : [] };
    const lists = { pin: this.pins, open: [...this.open], map: this.map ? [this.map] : [], ...also };
    for (const [name, values] of Object.entries(lists)) {
      address.searchParams.delete(name);
      for (const value of values) address.searchParams.append(name, value);
    }
    history.replaceState(history.state, "", address);
    this.told({ pin: this.pins, open: [...this.open], map: this.map, also: this.also, part: String(this.part) });
  }
}

// The id under which a chart is pinned: a pinned copy's is that of its original.
export function pinOf(chartId) {
  return chartId.startsWith("pin:") ? chartId.slice(4) : chartId;
}
