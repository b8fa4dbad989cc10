// What of a comparison goes onto the clipboard or into a file: the settings that differ, the table of values.

import { save } from "./chart_export.js";

// The settings that differ as a Markdown table, which trackers of issues and chats show as one.
export function settingsMarkdown({ runs, rows, some, summed }) {
  const plain = (text) => String(text).replaceAll(/\s+/g, " ").replaceAll("\\", "\\\\").replaceAll("|", "\\|");
  const line = (cells) => `| ${cells.map(plain).join(" | ")} |`;
  const heads = summed ? ["setting", "value × runs"] : ["setting", ...runs.map((run, i) => (i ? run.name : `${run.name} (baseline)`))];
  const told = (row) => [row.name, ...(summed ? [row.values.map(([text, many]) => `${text} × ${many}`).join(", ") + (row.more ? `, and ${row.more} more` : "")] : row.values)];
  return [line(heads), `|${" --- |".repeat(heads.length)}`, ...[...rows, ...some].map((row) => line(told(row)))].join("\n");
}

// The table against the baseline as a CSV file: one line a signal, values with every digit they have.
export function saveTable({ runs, rows }) {
  // A name that a spreadsheet would run is text.
  const quoted = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const heads = runs.flatMap((run, i) => [quoted(run.name), ...(i ? [quoted(`${run.name}: against the baseline`)] : [])]);
  const lines = rows.map((row) => [quoted(row.title), quoted(row.unit), ...row.cells.flatMap((cell, i) => [cell.value ?? "", ...(i ? [quoted(cell.verdict ?? "")] : [])])].join(","));
  save({ name: "compare-values.csv", blob: new Blob([[`signal,unit,${heads.join(",")}`, ...lines].join("\r\n")], { type: "text/csv" }) });
}
