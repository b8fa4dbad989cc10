"""Which charts a run's page has: by kind of trainer, and only for signals that the run logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from runvitals.dashboard import panel_plans as plans
from runvitals.dashboard.formatter import count
from runvitals.dashboard.panel_others import KEY, Asked, Others, evaluated_key, others
from runvitals.dashboard.panel_plans import Chart, Line
from runvitals.dashboard.signal_keys import picks
from runvitals.store.types import Latest, RunInfo

PREFERENCE = frozenset({"dpo", "kto", "orpo", "reward"})
"""Trainers that bring a margin up themselves."""

ON_POLICY = frozenset({"ppo", "grpo", "rloo"})
"""Trainers that write answers and score them."""

MOST_A_ROW = 4

MOST_PINS = 24

OTHERS = "others"
"""The section of what the page has no plan for; folded until someone asks for it."""

PINNED = "pinned"
"""The section of what a reader wants at the top of the page; its charts are copies of those below, under ids of their own."""

_MISSING_MARGIN = "This run never logged a margin. Add the margin probe to see it here: Callback(pairs=…)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Charts under one heading. missing: what to do to see the section, where it has no chart and one would expect it.

    folds: how many charts the section folds away, 0 where it cannot fold; folded: whether it does now. found, first: how many of those have the words asked for, and
    which of them is the first of `charts`. sentence: what is to be said of it whatever the run does.
    """

    id: str
    title: str
    charts: tuple[Chart, ...] = ()
    missing: str = ""
    folds: int = 0
    folded: bool = False
    found: int = 0
    first: int = 0
    sentence: str = ""

    @property
    def signals(self) -> tuple[str, ...]:
        """All signals that the section's charts draw."""
        return tuple(signal for chart in self.charts for signal in chart.signals)


def sections(run: RunInfo, keys: Mapping[str, Latest], asked: Asked | None = None) -> list[Section]:
    """The sections of a run's page in their order; a section without a chart is there only to say what is missing.

    asked: which of the curves that have no place of their own are drawn; None for the first ones.
    """
    best = picks(keys)
    own_loop = run.trainer in ON_POLICY or run.trainer in ("custom", "")
    found = [
        _section("margin", "Margin", plans.MARGIN if run.trainer not in ON_POLICY else (), best),
        _section("policy", "Policy", plans.POLICY if own_loop else (), best),
        _section("probe", "Margin on held-out pairs", plans.PROBE, best),
        _section("optimisation", "Optimisation", plans.OPTIMISATION, best),
        Section(id="throughput", title="Throughput", charts=_throughput(run, best)),
    ]
    drawn = [section for section in found if section.charts]
    if keys and run.trainer != "pretrain" and not any(section.id in ("margin", "probe") for section in drawn):
        # First where the trainer is about preferences, last where a margin would be a gift.
        at = 0 if run.trainer in PREFERENCE | ON_POLICY else len(drawn)
        drawn.insert(at, Section(id="margin", title="Margin", missing=_MISSING_MARGIN))
    shown = {line.key for section in drawn for chart in section.charts for line in chart.lines}
    left = others(keys, shown, asked or Asked())
    return [*drawn, _also_logged(left, paged=asked is not None)] if left else drawn


def folded(drawn: Sequence[Section]) -> list[Section]:
    """The same sections without the charts of those that fold: nothing is read or sent for them."""
    return [replace(section, charts=(), folded=True) if section.folds else section for section in drawn]


def pinned(pins: Sequence[str], keys: Mapping[str, Latest], drawn: Iterable[Section]) -> Section | None:
    """The section of pinned charts, or None without pins.

    pins: ids of charts, or `key:<key>` for a curve of its own. What this run does not log is counted, so that a shared address explains itself.
    """
    wanted = list(dict.fromkeys(pins))[:MOST_PINS]
    if not wanted:
        return None
    planned = {chart.id: chart for section in drawn for chart in section.charts}
    charts = []
    for pin in wanted:
        key = pin.removeprefix(KEY) if pin.startswith(KEY) else ""
        chart = planned.get(pin) or (evaluated_key(key, keys) if key in keys else None)
        if chart is not None:
            charts.append(replace(chart, id=f"pin:{pin}", span=3, height=190))
    lost = len(wanted) - len(charts)
    sentence = f"{lost} more {'is' if lost == 1 else 'are'} pinned and not logged by this run" if lost else ""
    return Section(id=PINNED, title="Pinned", charts=tuple(rows_filled(charts)), sentence=sentence)


def rows_filled(charts: Sequence[Chart]) -> list[Chart]:
    """The same charts with spans that leave no row half empty: up to four a row, rows as even as can be."""
    if any(chart.span != 3 for chart in charts):
        return list(charts)
    rows = -(-len(charts) // MOST_A_ROW)
    filled: list[Chart] = []
    for row in range(rows):
        size = len(charts) // rows + (row < len(charts) % rows)
        span = 12 // size if size > 1 else 6
        filled += [replace(chart, span=span) for chart in charts[len(filled) : len(filled) + size]]
    return filled


def _section(section_id: str, title: str, planned: Sequence[Chart], best: Mapping[str, str]) -> Section:
    charts = [chart for plan in planned if (chart := _drawn(plan, best)) is not None]
    return Section(id=section_id, title=title, charts=tuple(rows_filled(charts)))


def _drawn(plan: Chart, best: Mapping[str, str]) -> Chart | None:
    """The chart with the lines whose signals were logged, or None without any."""
    lines = [line for wanted in plan.lines if (line := _with_key(wanted, best)) is not None]
    if not lines or (plan.leading and lines[0].signals[0] not in plan.lines[0].signals):
        return None
    return replace(plan, lines=tuple(lines))


def _with_key(line: Line, best: Mapping[str, str]) -> Line | None:
    for signal in line.signals:
        if signal in best:
            return replace(line, key=best[signal], signals=(signal,))
    return None


def _throughput(run: RunInfo, best: Mapping[str, str]) -> tuple[Chart, ...]:
    """Where the time goes, then how much gets done in it; the parts take twice the room of the rest."""
    rates = [chart for plan in plans.THROUGHPUT if (chart := _drawn(plan, best)) is not None]
    parts = _step_parts(run, best)
    if parts is None:
        return tuple(rows_filled(rates))
    if not parts.stack:
        return tuple(rows_filled([parts, *rates]))
    beside = {0: (12, 12), 1: (6, 6), 2: (6, 3), 3: (3, 3)}[len(rates)]
    return (replace(parts, span=beside[0]), *(replace(chart, span=beside[1]) for chart in rates))


def _step_parts(run: RunInfo, best: Mapping[str, str]) -> Chart | None:
    """The parts of a step as a stack, and what was not logged of them; the step's time alone where no part is known."""
    if "step_time_s" not in best:
        return None
    own_loop = run.trainer == "ppo"
    # Only trainings of several processes log the forward pass; in one that generates, its colour is generation's.
    passes = plans.GENERATION if "generation_time_s" in best else plans.FORWARD
    wanted = (passes, plans.DATA, plans.OPTIMISER, *plans.BESIDE)
    lines = {line.signals[0]: found for line in wanted if (found := _with_key(line, best)) is not None}
    if not lines:
        return replace(
            plans.one("step_time_s"),
            lines=(replace(plans.WHOLE_STEP, key=best["step_time_s"], total=False, role=plans.OWN),),
        )
    whole = replace(plans.WHOLE_STEP, key=best["step_time_s"], label=_rest(run, lines))
    expected = {} if own_loop else {"data_wait_s": "data wait", "optimizer_time_s": "optimiser"}
    expected |= {"generation_time_s": "generation"} if run.trainer in ON_POLICY else {}
    expected |= {"evaluation_time_s": "eval", "save_time_s": "save"}
    absent = [word for signal, word in expected.items() if signal not in lines]
    inside = [lines[line.signals[0]] for line in wanted[:3] if line.signals[0] in lines]
    beside = [lines[line.signals[0]] for line in plans.BESIDE if line.signals[0] in lines]
    return Chart(
        id="step_parts",
        title="Where a step goes",
        unit="s per step, shares",
        kind="seconds",
        stack=True,
        lines=(*inside, whole, *beside),
        absent=f"not logged: {', '.join(absent)}" if absent else "",
    )


def _rest(run: RunInfo, lines: Mapping[str, Line]) -> str:
    """What of a step no other part explains, in words."""
    if run.trainer == "ppo":
        return "update"
    parts = ["generate"] if run.trainer in ON_POLICY and "generation_time_s" not in lines else []
    parts += ["backward, wait for ranks"] if "forward_time_s" in lines else ["forward", "backward"]
    parts += ["optimiser"] if "optimizer_time_s" not in lines else []
    return ", ".join(parts)


def _also_logged(left: Others, *, paged: bool) -> Section:
    """The section of the user's own metrics; where nobody turns pages it says how many are not drawn."""
    more = 0 if paged else left.found - len(left.charts)
    sentence = f"{count(more)} more {'is' if more == 1 else 'are'} not drawn" if more else ""
    return Section(
        id=OTHERS,
        title="Also logged",
        charts=left.charts,
        folds=left.total,
        found=left.found,
        first=left.first,
        sentence=sentence,
    )
