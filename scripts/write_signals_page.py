"""Writes docs/signals.md from the vocabulary: `python scripts/write_signals_page.py`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from runvitals.diagnostics.signal_aliases import ALIASES, DEVICE_ALIASES
from runvitals.diagnostics.signal_table import EVALUATED
from runvitals.diagnostics.signals import SIGNALS, Signal

PAGE = Path(__file__).resolve().parent.parent / "docs" / "signals.md"

INTRODUCTION = """# Signals

Written by `scripts/write_signals_page.py` from `diagnostics/signal_table.py` and `diagnostics/signal_aliases.py`; change those.

A signal is a canonical metric, whatever key a library logs it under. Rules read signals, charts are named by them.
Of several keys in one row the first listed wins; `corrected/<key>` comes before all. The prefixes `train/` and `training/` are stripped;
`eval/`, `eval_`, `validation/` and `val/` lead to `eval_<signal>`, which exists for: {evaluated}.
Keys of devices read `gpu/<i>/<name>`, or W&B's `gpu.<i>.<name>`; those of machines other than the first rank's `node/<host>/gpu/<i>/<name>`.
A key without a signal is kept and can be drawn; no rule reads it.
"""


def keys_of(signal: str) -> list[str]:
    """The keys of a signal as the page prints them, the preferred one first."""
    keys = list(ALIASES.get(signal, ()))
    keys += [f"gpu/<i>/{name}" for name, target in DEVICE_ALIASES.items() if target == signal]
    return keys


def line(signal: Signal) -> str:
    """One row of the table."""
    better = {"up": "higher", "down": "lower", "target": "in range", "none": ""}[signal.direction]
    keys = ", ".join(f"`{key}`" for key in keys_of(signal.name))
    references = ", ".join(
        f"{reference.label} ({', '.join(reference.trainers)})" if reference.trainers else reference.label
        for reference in signal.references
    )
    cells = (f"`{signal.name}`", signal.meaning, signal.unit, better, signal.healthy, references, keys)
    return f"| {' | '.join(cells)} |"


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION.format(evaluated=", ".join(f"`{name}`" for name in EVALUATED))]
    base = [signal for signal in SIGNALS.values() if not signal.name.startswith("eval_")]
    for group, signals in groupby(sorted(base, key=lambda signal: signal.group), key=lambda signal: signal.group):
        title = "GPU" if group == "gpu" else group.capitalize()
        parts.append(
            f"## {title}\n\n| signal | meaning | unit | better | healthy | lines | keys |\n|---|---|---|---|---|---|---|"
        )
        parts.append("\n".join(line(signal) for signal in signals) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}: {len(SIGNALS)} signals")
