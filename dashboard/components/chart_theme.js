// The colours that Plotly has to be told: read from the CSS variables, again whenever the theme changes.

const NAMES = { bg: "--bg", line: "--line", grid: "--grid", ink: "--ink", ink2: "--ink2", ink3: "--ink3", critical: "--critical-mark", warning: "--warning-mark" };

// Any CSS colour as #rrggbb, by way of an element, since a variable may hold light-dark() or a name.
function resolved(probe, variable) {
  probe.style.color = `var(${variable})`;
  const numbers = getComputedStyle(probe).color.match(/[\d.]+/g) ?? ["0", "0", "0"];
  return `#${numbers.slice(0, 3).map((part) => Math.round(Number(part)).toString(16).padStart(2, "0")).join("")}`;
}

function luminance(hex) {
  const value = parseInt(hex.slice(1), 16);
  return (0.299 * (value >> 16) + 0.587 * ((value >> 8) & 255) + 0.114 * (value & 255)) / 255;
}

function readTheme(root) {
  const probe = document.createElement("span");
  probe.hidden = true;
  root.append(probe);
  const theme = {};
  for (const [name, variable] of Object.entries(NAMES)) theme[name] = resolved(probe, variable);
  probe.remove();
  theme.dark = luminance(theme.bg) < 0.5;
  theme.font = { family: getComputedStyle(root).fontFamily };
  theme.mark = (severity) => (severity === "critical" ? theme.critical : severity === "warning" ? theme.warning : theme.ink3);
  theme.version = JSON.stringify(theme);
  return theme;
}

const themes = new WeakMap();

// The theme of a page, read anew only where its paper has changed: reading it all makes the browser work out every style.
export function themeOf(root) {
  const paper = getComputedStyle(root).getPropertyValue("--bg");
  if (themes.get(root)?.paper !== paper) themes.set(root, { paper, theme: readTheme(root) });
  return themes.get(root).theme;
}
