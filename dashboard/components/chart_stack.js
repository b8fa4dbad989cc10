// A stack of parts on one grid: the rows of the whole. Parts that are logged seldom (an evaluation, a checkpoint) fall into the row they belong to.

import { emptyColumns } from "./chart_data.js";

const MORE_THAN_WHOLE = 1e-9;

// The prepared series of a stack [{spec, part, hidden}] with their columns on the grid: of each part what one step of a row took on the
// mean, of the whole (`total`) what no part within it explains. Parts after the whole lie beside it and take nothing away from it.
export function stacked(shown) {
  const at = shown.findIndex(({ spec }) => spec.total);
  if (at < 0 || !shown[at].part.xs.length) return shown;
  const grid = shown[at].part;
  const onGrid = shown.map((one, i) => (i === at ? grid.columns.mean.map((mean) => mean ?? 0) : spread(one.part, grid)));
  const rest = onGrid[at].map((whole, row) => {
    const inside = onGrid.slice(0, at).reduce((sum, part) => sum + part[row], 0);
    return Math.max(0, whole - inside - MORE_THAN_WHOLE * whole);
  });
  return shown.map((one, i) => ({ ...one, part: { ...grid, columns: columns(grid.columns, i === at ? rest : onGrid[i]), line: i === at ? rest : onGrid[i], raw: false, broken: new Set(), banded: false } }));
}

// For each row of the grid the sum of the part's values that fall into it, a step.
function spread(part, grid) {
  const sums = new Array(grid.xs.length).fill(0);
  let row = 0;
  part.xs.forEach((x, i) => {
    if (x === null || part.columns.mean[i] === null) return;
    while (row < grid.xs.length - 1 && grid.xs[row] < x) row++;
    sums[row] += part.columns.mean[i] * part.columns.count[i];
  });
  return sums.map((sum, i) => Math.max(0, sum) / Math.max(1, grid.columns.count[i]));
}

// One value a row; what was not a number in the whole still has its ×.
function columns(of, values) {
  return { ...emptyColumns(), step: of.step, time: of.time, mean: values, low: values, high: values, count: of.count, kinds: of.kinds };
}
