"""Which charts a run's page has: by kind of trainer, and only for signals that the run logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runvitals.dashboard.formatter import number
from runvitals.dashboard.tokens import REJECTED_DASH, ROLES, SERIES
from runvitals.diagnostics.signals import SIGNALS, Reference, best_key, canonical, device
from runvitals.store.types import Latest, RunInfo

OWN = "run"
"""The role of a run's main line: its own colour."""

PREFERENCE = frozenset({"dpo", "kto", "orpo", "reward"})
"""Trainers that bring a margin up themselves."""

ON_POLICY = frozenset({"ppo", "grpo", "rloo"})
"""Trainers that write answers and score them."""

MOST_A_ROW = 4

MOST_OTHERS = 48
"""Charts of keys that no signal stands for; a run that logs hundreds is not to be drowned in them."""

OTHERS = "others"
"""The section of what the page has no plan for; folded until someone asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series of a chart. signals: the first that the run logged is drawn. style: line or rings (evaluations)."""

    signals: tuple[str, ...]
    label: str = ""
    role: str = OWN
    dash: str = "solid"
    style: str = "line"
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: title and unit default to those of its first signal. log: see Signal.log_scale. span: of twelve columns."""

    id: str
    lines: tuple[Line, ...]
    title: str = ""
    unit: str = ""
    kind: str = ""
    span: int = 3
    height: int = 190
    stack: bool = False
    references: tuple[Reference, ...] = ()

    @property
    def signals(self) -> tuple[str, ...]:
        """All signals that the chart may draw."""
        return tuple(signal for line in self.lines for signal in line.signals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Charts under one heading. missing: what to do to see the section, where it has no chart and one would expect it.

    folds: how many charts the section folds away, 0 where it cannot fold.
    """

    id: str
    title: str
    charts: tuple[Chart, ...] = ()
    missing: str = ""
    folds: int = 0

    @property
    def signals(self) -> tuple[str, ...]:
        """All signals that the section's charts draw."""
        return tuple(signal for chart in self.charts for signal in chart.signals)


def _one(signal: str, *others: str, **chart: Any) -> Chart:
    return Chart(id=signal, lines=(Line(signals=(signal, *others)),), **chart)


def _evaluated(signal: str) -> Chart:
    return Chart(
        id=signal,
        lines=(Line(signals=(signal,), label="train"), Line(signals=(f"eval_{signal}",), label="eval", style="rings")),
    )


def _pair(chart_id: str, chosen: str, rejected: str, **chart: Any) -> Chart:
    lines = (
        Line(signals=(chosen,), label="chosen", role="chosen"),
        Line(signals=(rejected,), label="rejected", role="rejected", dash=REJECTED_DASH),
    )
    return Chart(id=chart_id, lines=lines, **chart)


_MARGIN = (
    _evaluated("reward_margin"),
    _pair("chosen_rejected", "reward_chosen", "reward_rejected", title="Chosen and rejected"),
    _evaluated("reward_accuracy"),
    _pair("logps", "logps_chosen", "logps_rejected", title="Log-probability"),
    _one("mean_reward"),
    Chart(
        id="reward_range",
        title="Range of rewards",
        lines=(
            Line(signals=("max_reward",), label="highest", role="chosen"),
            Line(signals=("min_reward",), label="lowest", role="rejected", dash=REJECTED_DASH),
        ),
    ),
    _one("log_odds_ratio"),
)
_PROBE = (
    _one("probe_margin", height=230, unit="one yardstick for every trainer; band: 95 % interval"),
    _pair(
        "probe_pair",
        "probe_chosen",
        "probe_rejected",
        title="Chosen and rejected",
        unit="reward, held-out pairs",
        height=230,
    ),
    _one("probe_accuracy", height=230),
)
_POLICY = (
    Chart(
        id="reward",
        lines=(
            Line(signals=("reward",), label="score"),
            Line(signals=("rlhf_reward",), label="after penalty", role="other", dash=REJECTED_DASH),
        ),
    ),
    _one("sequence_kl", "kl"),
    _one("sequence_entropy", "entropy"),
    _one("eos_tokens", "eos_fraction", "truncated_fraction"),
    _one("reward_std"),
    _one("zero_std_fraction"),
    _one("completion_length"),
)
_OPTIMISATION = (
    _evaluated("loss"),
    _one("grad_norm"),
    _one("learning_rate"),
    _evaluated("token_accuracy"),
    _one("clip_fraction"),
    _one("value_loss"),
    _one("policy_loss"),
    _one("policy_ratio", "importance_ratio"),
    _one("approx_kl"),
    _one("explained_variance"),
    _one("nll_loss"),
)
_STEP = Chart(
    id="step_parts",
    title="Where a step goes",
    unit="s per step, shares",
    kind="seconds",
    stack=True,
    lines=(
        Line(signals=("data_wait_s",), label="data", role="data"),
        Line(signals=("generation_time_s",), label="generate", role="forward"),
        Line(signals=("step_time_s",), label="rest", role="backward"),
    ),
)
_SELDOM = frozenset({"learning_rate", "probe_margin", "probe_accuracy", "probe_chosen", "probe_rejected"})
"""Signals that are drawn as they are: a mean over the few points of a probe would say less than they do."""

_ELSEWHERE = frozenset(
    {
        "step",
        "epoch",
        "tokens",
        "samples",
        "probe_margin_se",
        "probe_cost_s",
        "kl_penalty",
        "kl_coefficient",
        "tokens_per_s",
        "samples_per_s",
    }
)
_MISSING_MARGIN = "This run never logged a margin. Add the margin probe to see it here: Callback(pairs=…)."


def sections(run: RunInfo, keys: Mapping[str, Latest]) -> list[Section]:
    """The sections of a run's page in their order; a section without a chart is there only to say what is missing."""
    found = [
        _section("margin", "Margin", _MARGIN if run.trainer not in ON_POLICY else (), keys),
        _section("policy", "Policy", _POLICY if run.trainer in (*ON_POLICY, "custom", "") else (), keys),
        _section("probe", "Margin on held-out pairs", _PROBE, keys),
        _section("optimisation", "Optimisation", (*_OPTIMISATION, *_step_charts(keys)), keys),
    ]
    drawn = [section for section in found if section.charts]
    if keys and run.trainer != "pretrain" and not any(section.id in ("margin", "probe") for section in drawn):
        # First where the trainer is about preferences, last where a margin would be a gift.
        at = 0 if run.trainer in PREFERENCE | ON_POLICY else len(drawn)
        drawn.insert(at, Section(id="margin", title="Margin", missing=_MISSING_MARGIN))
    shown = {line.key for section in drawn for chart in section.charts for line in chart.lines}
    others = _others(keys, shown)
    return [*drawn, Section(id=OTHERS, title="Also logged", charts=others, folds=len(others))] if others else drawn


def folded(drawn: Sequence[Section]) -> list[Section]:
    """The same sections without the charts of those that fold: nothing is read or sent for them."""
    return [replace(section, charts=()) if section.folds else section for section in drawn]


def _section(section_id: str, title: str, plans: Sequence[Chart], keys: Mapping[str, Latest]) -> Section:
    charts = [chart for plan in plans if (chart := _drawn(plan, keys)) is not None]
    return Section(id=section_id, title=title, charts=tuple(_rows_filled(charts)))


def _drawn(plan: Chart, keys: Mapping[str, Latest]) -> Chart | None:
    """The chart with the lines whose signals were logged, or None without any."""
    lines = [line for wanted in plan.lines if (line := _with_key(wanted, keys)) is not None]
    return replace(plan, lines=tuple(lines)) if lines else None


def _with_key(line: Line, keys: Mapping[str, Latest]) -> Line | None:
    for signal in line.signals:
        key = best_key(signal, keys)
        if key is not None:
            return replace(line, key=key, signals=(signal,))
    return None


def _step_charts(keys: Mapping[str, Latest]) -> tuple[Chart, ...]:
    """The parts of a step where they are known, else the step's time alone."""
    if best_key("step_time_s", keys) is None:
        return ()
    if best_key("data_wait_s", keys) is None and best_key("generation_time_s", keys) is None:
        return (_one("step_time_s"),)
    return (_STEP,)


def _rows_filled(charts: Sequence[Chart]) -> list[Chart]:
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


def _others(keys: Mapping[str, Latest], shown: set[str]) -> tuple[Chart, ...]:
    """Charts of curves that are drawn nowhere else: the user's own metrics. Summaries of one row are no curves."""
    charts: dict[str, Chart] = {}
    for key, latest in keys.items():
        signal = canonical(key)
        if key in shown or latest.count < 2 or latest.step < 0 or device(key) or signal in _ELSEWHERE:
            continue
        if signal is not None and best_key(signal, keys) != key:
            continue
        known = SIGNALS.get(signal) if signal else None
        charts[signal or key] = Chart(
            id=f"key:{key}",
            title=known.title if known else key,
            unit=known.unit if known else "",
            kind=known.kind if known else "plain",
            lines=(Line(signals=(signal or key,), key=key),),
        )
    return tuple(_with_rings(charts).values())[:MOST_OTHERS]


def _with_rings(charts: Mapping[str, Chart]) -> dict[str, Chart]:
    """The charts by signal, an evaluation's curve as rings on the chart of its training twin where there is one."""
    twins = {name: f"eval_{name}" for name in charts if f"eval_{name}" in charts}
    merged = {name: chart for name, chart in charts.items() if name not in twins.values()}
    for name, twin in twins.items():
        train = replace(charts[name].lines[0], label="train")
        rings = replace(charts[twin].lines[0], label="eval", style="rings")
        merged[name] = replace(charts[name], lines=(train, rings))
    return merged


def chart_json(chart: Chart, run: RunInfo, keys: Mapping[str, Latest]) -> dict[str, Any]:
    """The chart as the component takes it."""
    errors = error_keys(keys)
    main = SIGNALS.get(chart.lines[0].signals[0])
    references = [*chart.references, *_references(main.references if main else (), run), *_settings_lines(chart, run)]
    tell = len(chart.lines) == 1 or chart.lines[0].style != chart.lines[-1].style
    return {
        "id": chart.id,
        "kind": "chart",
        "title": chart.title or (main.title if main else chart.id),
        "unit": _unit(chart, main.unit if main else "", log=bool(main and main.log_scale)),
        "values": chart.kind or value_kind(chart.lines[0].signals[0]),
        "log": bool(main and main.log_scale),
        "zero": bool(main and any(reference.value == 0 for reference in main.references)),
        "stack": chart.stack,
        "span": chart.span,
        "height": chart.height,
        "references": references,
        "series": [_line_json(line, run, chart, tell=tell, errors=errors) for line in chart.lines],
    }


def value_kind(signal: str) -> str:
    """How a signal's numbers are written: margins and their like carry a sign, rewards and distances only a minus."""
    known = SIGNALS.get(signal)
    if known is None:
        return "plain"
    return "plain" if known.kind == "signed" and known.group == "policy" else known.kind


def error_keys(keys: Mapping[str, Latest]) -> dict[str, str]:
    """Signal → key of the series that holds its standard error."""
    key = best_key("probe_margin_se", keys)
    return {"probe_margin": key} if key is not None else {}


def _unit(chart: Chart, unit: str, *, log: bool) -> str:
    words = [chart.unit or unit, "log scale" if log else ""]
    return ", ".join(word for word in words if word)


def _line_json(line: Line, run: RunInfo, chart: Chart, *, tell: bool, errors: Mapping[str, str]) -> dict[str, Any]:
    color = SERIES[run.color % len(SERIES)] if line.role == OWN else ROLES[line.role]
    return {
        "id": line.key,
        "clock": "run",
        "label": line.label or ("now" if line.signals[0] in _SELDOM else ""),
        "color": color,
        "dash": line.dash,
        "style": line.style,
        "smooth": line.style == "line" and not chart.stack and line.signals[0] not in _SELDOM,
        "points": line.signals[0] in _SELDOM and line.signals[0] != "learning_rate",
        "error": errors.get(line.signals[0]),
        "tell": tell and line.style == "line",
        "total": chart.stack and line.signals[0] == "step_time_s",
    }


def _references(references: Sequence[Reference], run: RunInfo) -> list[dict[str, Any]]:
    return [
        {"value": reference.value, "label": reference.label, "text": _reference_text(reference)}
        for reference in references
        if reference.value != 0 and (not reference.trainers or run.trainer in reference.trainers)
    ]


def _reference_text(reference: Reference) -> str:
    """The value, where the label does not say it already."""
    return (
        "" if any(character.isdigit() for character in reference.label.replace("ln 2", "")) else number(reference.value)
    )


def _settings_lines(chart: Chart, run: RunInfo) -> list[dict[str, Any]]:
    """Lines that the run's own settings draw: where gradients are clipped, which KL is aimed at."""
    wanted = {
        "grad_norm": ("max_grad_norm", "clip"),
        "sequence_kl": ("target_kl", "target"),
        "kl": ("target_kl", "target"),
    }
    lines = []
    for signal in chart.signals:
        name, label = wanted.get(signal, ("", ""))
        value = run.config.get(name)
        if isinstance(value, (int, float)) and value > 0:
            lines.append({"value": float(value), "label": label, "text": number(float(value))})
    return lines
