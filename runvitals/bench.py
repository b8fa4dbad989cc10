"""`runvitals bench rules`: scores the rules on labelled runs, beside controls and published baselines, and prints the tables."""

from __future__ import annotations

import json
import math
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.scoring.equal_rate import AtEqualRate
from runvitals.diagnostics.scoring.report import Report, as_plain, compare
from runvitals.diagnostics.scoring.score import Score, Share
from runvitals.labelled_runs import read_labelled_runs
from runvitals.tables import make_console

NOTHING = "–"


def bench_rules(folder: Path, *, as_json: bool) -> None:
    """Prints the comparison. Raises SettingsError where the folder holds no labelled runs."""
    runs, left_out = read_labelled_runs(folder)
    progress = Console(stderr=True)
    report = compare(runs, default_rules(), tell=lambda name: progress.print(f"scoring {name} …", style="dim"))
    console = make_console()
    if as_json:
        console.file.write(json.dumps({**as_plain(report), "left_out": left_out}, allow_nan=False) + "\n")
        return
    counts = ", ".join(f"{count} {label}" for label, count in report.runs.items())
    console.print(
        f"\n{counts}; {report.sources} sources. Each source weighs the same; [95 % intervals] by bootstrap over runs.\n",
        markup=False,
    )
    console.print(detectors_table(report))
    console.print("\nBy family of rules (runvitals)")
    console.print(families_table(report.ours))
    if report.ours.causes:
        console.print("\nBy cause (runvitals); not scored: the outcome was as good as without the cause")
        console.print(causes_table(report.ours))
    _print_names(console, report.ours, left_out)


def detectors_table(report: Report) -> Table:
    """A row for each detector: healthy runs warned, broken ones caught, and what it catches where it warns as few as we do."""
    headings = (
        "detector", "healthy warned", "critical", "false / 1,000 steps", "flat warned", "broken caught", "precision",
        "delay, steps", "delay, s", "caught at our rate",
    )  # fmt: skip
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(
            heading,
            no_wrap=heading in ("detector", "healthy warned", "broken caught"),
            justify="left" if heading == "detector" else "right",
        )
    table.add_row(*_cells(report.ours, None))
    for other in report.others:
        table.add_row(*_cells(other.score, other.at_equal_rate))
    return table


def _cells(score: Score, equal: AtEqualRate | None) -> tuple[Text, ...]:
    cells = (
        score.name,
        _share(score.healthy_warned),
        percent(score.healthy_critical.value),
        number(score.false_per_1000_steps),
        percent(score.flat_warned.value),
        _share(score.broken_caught),
        percent(score.precision),
        number(score.delay_steps),
        number(score.delay_s),
        percent(score.broken_caught.value if equal is None else equal.broken_caught),
    )
    return tuple(Text(cell, style="bold" if equal is None else "") for cell in cells)


def families_table(score: Score) -> Table:
    """A row for each family, and the means."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("family", "faults", "caught", "recall", "false", "precision", "delay, steps", "delay, s"):
        table.add_column(heading, justify="left" if heading == "family" else "right")
    for family in score.families:
        table.add_row(
            Text(family.family),
            str(family.faults),
            str(family.caught),
            percent(family.recall),
            str(family.false),
            percent(family.precision),
            number(family.delay_steps),
            number(family.delay_s),
        )
    table.add_row("mean", "", "", percent(score.macro_recall), "", percent(score.macro_precision), "", "")
    return table


def causes_table(score: Score) -> Table:
    """A row for each cause: how many of its runs are broken, caught, caught by a rule of the fault's family, and by which rules."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("cause", "broken", "caught", "by its family", "not scored", "delay, steps", "delay, s", "rules"):
        table.add_column(heading, justify="left" if heading in ("cause", "rules") else "right")
    for cause in score.causes:
        harmless = f"harmless: {cause.warned} of {cause.quiet} warned" if cause.quiet else ""
        rules = ", ".join(f"{rule} {count}" for rule, count in cause.rules)
        table.add_row(
            Text(cause.cause),
            str(cause.broken),
            str(cause.caught),
            str(cause.named),
            str(cause.unscored),
            _median_and_longest(cause.delay_steps, cause.longest_steps),
            _median_and_longest(cause.delay_s, cause.longest_s),
            Text(", ".join(part for part in (harmless, rules) if part)),
        )
    return table


def _median_and_longest(median: float, longest: float) -> str:
    return NOTHING if math.isnan(median) else f"{number(median)}, ≤ {number(longest)}"


def _print_names(console: Console, score: Score, left_out: list[str]) -> None:
    """The runs that were missed and those that were warned of wrongly, by name: nobody should have to guess them."""
    console.print(f"\nmissed: {', '.join(score.missed) or 'none'}", markup=False, highlight=False)
    for run, firings in score.false_by_run.items():
        console.print(f"false: {run}: {', '.join(firings)}", markup=False, highlight=False)
    for line in left_out:
        console.print(f"not scored: {line}", markup=False, highlight=False, style="dim")


def percent(value: float) -> str:
    """A share as whole percent; a dash where it is undefined."""
    return NOTHING if math.isnan(value) else f"{100 * value:.0f} %"


def number(value: float) -> str:
    """Three digits; a dash where it is undefined."""
    return NOTHING if math.isnan(value) else f"{value:.3g}"


def _share(share: Share) -> str:
    if math.isnan(share.value):
        return NOTHING
    return f"{percent(share.value)} [{100 * share.low:.0f}–{100 * share.high:.0f}]"
