"""Prints the figures of docs/scoring.md: `runvitals bench rules --runs corpus/test --json | python benchmarks/corpus/figures.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

NOTHING = "–"


def main() -> None:
    """Reads the report from standard input."""
    report = json.load(sys.stdin)
    runs = ", ".join(f"{count} {label}" for label, count in report["runs"].items())
    print(f"{runs}; {report['sources']} sources.\n")
    print(table(DETECTORS, (detector(found) for found in (report["ours"], *report["others"]))))
    print(table(FAMILIES, (family(found) for found in report["ours"]["families"] if found["faults"] or found["false"])))
    ours = report["ours"]
    print(
        f"Mean over families: precision {percent(ours['macro_precision'])}, recall {percent(ours['macro_recall'])}.\n"
    )
    print(table(CAUSES, (cause(found) for found in ours["causes"])))
    print(f"Missed: {', '.join(ours['missed']) or 'none'}.")
    wrong = (f"{run} ({', '.join(firings)})" for run, firings in ours["false_by_run"].items())
    print(f"Warned of wrongly: {'; '.join(wrong) or 'none'}.")


DETECTORS = (
    "detector", "healthy warned", "critical", "false warnings / 1,000 steps", "broken caught", "precision", "caught at our rate",
)  # fmt: skip
FAMILIES = ("family", "faults", "caught", "recall", "false", "precision", "delay, steps", "delay, s")
CAUSES = (
    "cause",
    "broken",
    "caught",
    "by its family",
    "not scored",
    "delay, steps",
    "longest",
    "delay, s",
    "longest, s",
    "rules",
)


def detector(found: dict[str, Any]) -> Sequence[str]:
    """A row of the first table."""
    equal = found.get("at_equal_rate")
    return (
        found["name"] if equal else f"**{found['name']}**",
        share(found["healthy_warned"]),
        percent(found["healthy_critical"]["value"]),
        number(found["false_per_1000_steps"]),
        share(found["broken_caught"]),
        percent(found["precision"]),
        percent(equal["broken_caught"] if equal else found["broken_caught"]["value"]),
    )


def family(found: dict[str, Any]) -> Sequence[str]:
    """A row of the second."""
    return (
        found["family"],
        str(found["faults"]),
        str(found["caught"]),
        percent(found["recall"]),
        str(found["false"]),
        percent(found["precision"]),
        number(found["delay_steps"]),
        number(found["delay_s"]),
    )


def cause(found: dict[str, Any]) -> Sequence[str]:
    """A row of the third. A harmless cause has no broken runs; how many of its runs were warned of stands with the rules."""
    harmless = [f"harmless: {found['warned']} of {found['quiet']} warned"] if found["quiet"] else []
    rules = [f"`{rule}` {count}" for rule, count in found["rules"]]
    return (
        found["cause"],
        str(found["broken"]),
        str(found["caught"]),
        str(found["named"]),
        str(found["unscored"]),
        *(number(found[name]) for name in ("delay_steps", "longest_steps", "delay_s", "longest_s")),
        ", ".join((*harmless, *rules)),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def share(found: dict[str, Any]) -> str:
    """A share of runs with its interval."""
    if found["value"] is None:
        return NOTHING
    return f"{percent(found['value'])} [{100 * found['low']:.0f}–{100 * found['high']:.0f}]"


def percent(value: float | None) -> str:
    """Whole percent; a dash where it is undefined."""
    return NOTHING if value is None else f"{100 * value:.0f} %"


def number(value: float | None) -> str:
    """Three digits; a dash where it is undefined."""
    return NOTHING if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
