"""What the Compare page holds: runs over one another on one yardstick, what differs, and a table against the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.dashboard.differences import Settings, settings_table, signals_table
from runvitals.dashboard.live_charts import Want
from runvitals.dashboard.panels import value_kind
from runvitals.dashboard.parting import parted_at
from runvitals.dashboard.run_body import clock_key
from runvitals.dashboard.tokens import DASHES, SERIES
from runvitals.diagnostics.signals import SIGNALS, best_key
from runvitals.store import Store
from runvitals.store.types import Latest, RunInfo

Keys = Mapping[str, Mapping[str, Latest]]

MARGINS = ("probe_margin", "eval_reward_margin", "reward_margin")
"""Where a margin comes from, the most comparable first."""

ACCURACIES = ("probe_accuracy", "eval_reward_accuracy", "reward_accuracy")

CHARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("accuracy", ACCURACIES),
    ("loss", ("loss",)),
    ("grad_norm", ("grad_norm",)),
    ("step_time", ("step_time_s",)),
)
MOST_RUNS = 6
"""Runs in colour on one chart; more cannot be told apart."""

BUCKETS = 400

_SELDOM = ("probe_", "eval_")
_LABEL = 34
"""Characters of a run's name where room is short; names may be of any length."""


def run_code(index: int, run: RunInfo, runs: Sequence[RunInfo]) -> dict[str, Any]:
    """How a run is drawn: its own colour, and a dash as a second code."""
    return {
        "id": run.id,
        "name": run.name,
        "label": _label(run.name),
        "short": _short(run, runs),
        "health": run.health,
        "color": SERIES[run.color % len(SERIES)],
        "dash": DASHES[index % len(DASHES)],
    }


def _label(name: str) -> str:
    """The name cut in its middle, for runs of one sweep differ at the end."""
    half = (_LABEL - 1) // 2
    return name if len(name) <= _LABEL else f"{name[:half]}…{name[-half:]}"


def _short(run: RunInfo, runs: Sequence[RunInfo]) -> str:
    """The name without what all runs' names begin with, up to a hyphen."""
    names = [one.name for one in runs]
    shared = 0
    while all(len(name) > shared and name[shared] == names[0][shared] for name in names):
        shared += 1
    cut = names[0][:shared].rfind("-") + 1
    return run.name[cut:] or run.name


def signals_of(runs: Sequence[RunInfo], keys: Keys, wanted: Sequence[str]) -> dict[str, str]:
    """Run id → signal: one signal for all where they share one, else for each run the best that it has."""
    for signal in wanted:
        if all(best_key(signal, keys[run.id]) for run in runs):
            return {run.id: signal for run in runs}
    found = {run.id: next((s for s in wanted if best_key(s, keys[run.id])), None) for run in runs}
    return {run_id: signal for run_id, signal in found.items() if signal is not None}


def wants(runs: Sequence[RunInfo], keys: Keys) -> list[Want]:
    """All series that the page needs: what is charted, and each run's clock and tokens."""
    found: dict[str, Want] = {}
    for index, run in enumerate(runs):
        charted = [signals_of(runs, keys, wanted).get(run.id) for _, wanted in (("margin", MARGINS), *CHARTS)]
        names = [best_key(signal, keys[run.id]) for signal in (*charted, "tokens") if signal]
        for key in (*names, clock_key(keys[run.id])):
            if key:
                series_id = f"{index}|{key}"
                found[series_id] = Want(
                    id=series_id, run_id=run.id, key=key, timed=False, zero_s=run.created_s, clock=str(index)
                )
    return list(found.values())


def frame(runs: Sequence[RunInfo], others: Sequence[RunInfo], keys: Keys, *, picked: bool = False) -> dict[str, Any]:
    """The page's frame: chips, charts, and what differs. picked: the address named no runs, so the page chose them."""
    codes = [run_code(index, run, runs) for index, run in enumerate(runs)]
    settings = settings_table(runs)
    differs = {
        "id": "differs",
        "kind": "differs",
        "span": 4,
        "runs": codes,
        "rows": settings.rows,
        "some": settings.some,
        "sentence": f"{settings.unequal} of {settings.unequal + settings.equal} settings",
        "foot": _differs_foot(settings),
    }
    margin = _chart("margin", MARGINS, runs, keys, codes)
    charts = [chart for name, wanted in CHARTS if (chart := _chart(name, wanted, runs, keys, codes))]
    charts = [chart | {"span": max(3, 12 // len(charts))} for chart in charts]
    table = {"id": "table", "kind": "table", "span": 12}
    sections = [
        {"id": "margin", "title": "", "blocks": [margin or _no_margin(), differs]},
        {"id": "charts", "title": "", "blocks": charts},
        {"id": "against", "title": "Against the baseline", "blocks": [table]},
    ]
    many = len(runs)
    return {
        "page": "compare",
        "head": {
            "runs": codes,
            "others": [{"id": run.id, "name": run.name} for run in others] if many < MOST_RUNS else [],
            "sentence": _sentence(runs, picked=picked),
        },
        "clocks": {str(index): _clock(index, run, keys[run.id]) for index, run in enumerate(runs)},
        "sections": [section for section in sections if section["blocks"]],
        "foot": [
            {"mark": "≠", "text": "parted: from this step on the min–max bands no longer touch"},
            {"mark": "", "text": "worse, better: only for signals that have a direction"},
        ],
    }


def _sentence(runs: Sequence[RunInfo], *, picked: bool) -> str:
    if len(runs) < 2:
        return "add a run to compare with"
    whose = f" of {runs[0].project}" if runs[0].project else ""
    chosen = f"the newest {len(runs)} runs{whose}, as none were chosen" if picked else f"{len(runs)} runs"
    return f"{chosen}; the first is the baseline" if picked else f"{chosen}, the first is the baseline"


def _differs_foot(settings: Settings) -> str:
    if not settings.unequal:
        return f"All {settings.equal} settings are equal."
    return f"Shaded: differs from the baseline. {settings.equal} settings equal."


def _clock(index: int, run: RunInfo, keys: Mapping[str, Latest]) -> dict[str, Any]:
    tokens = best_key("tokens", keys)
    return {
        "steps": f"{index}|{clock_key(keys)}",
        "tokens": f"{index}|{tokens}" if tokens else None,
        "start_s": run.created_s,
        "total": run.max_steps or run.last_step,
    }


def _no_margin() -> dict[str, Any]:
    text = "None of these runs logged a margin. Add the margin probe to compare runs of any trainer on the same pairs."
    return {"id": "no-margin", "kind": "note", "title": "Not logged", "text": text, "span": 8}


def _chart(
    name: str, wanted: Sequence[str], runs: Sequence[RunInfo], keys: Keys, codes: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """One chart with a line for each run that logged the signal, or None where none did."""
    chosen = signals_of(runs, keys, wanted)
    if not chosen:
        return None
    signal = SIGNALS[next(iter(chosen.values())).removeprefix("eval_")]
    lines = [
        {
            "id": f"{index}|{best_key(chosen[run.id], keys[run.id])}",
            "clock": str(index),
            "label": code["label"] if name == "margin" else "",
            "color": code["color"],
            "dash": code["dash"],
            "style": "line",
            # A probe is seldom and already a mean: another mean would move its first and last points.
            "smooth": not chosen[run.id].startswith(_SELDOM),
            "tell": False,
        }
        for index, (run, code) in enumerate(zip(runs, codes, strict=True))
        if run.id in chosen
    ]
    absent = [_label(code["short"]) for run, code in zip(runs, codes, strict=True) if run.id not in chosen]
    return {
        "id": name,
        "kind": "chart",
        "title": _title(name, chosen, signal.title),
        "unit": ", ".join(word for word in (signal.unit, "log scale" if signal.log_scale else "") if word),
        "values": value_kind(signal.name),
        "log": signal.log_scale,
        "zero": signal.kind == "signed",
        "span": 8 if name == "margin" else 3,
        "height": 348 if name == "margin" else 190,
        "endLabels": name == "margin",
        "big": name == "margin",
        "band": True,
        "absent": f"{', '.join(absent)}: not logged" if absent else "",
        "references": [
            {"value": r.value, "label": r.label, "text": ""}
            for r in signal.references
            if r.value != 0 and _holds(r.trainers, runs)
        ],
        "series": lines,
    }


def _holds(trainers: Sequence[str], runs: Sequence[RunInfo]) -> bool:
    return not trainers or any(run.trainer in trainers for run in runs)


def _title(name: str, chosen: Mapping[str, str], title: str) -> str:
    if name not in ("margin", "accuracy"):
        return title
    words = {"probe": "held-out pairs", "eval": "evaluation pairs", "reward": "training pairs"}
    sources = {words[signal.split("_")[0]] for signal in chosen.values()}
    plain = "Margin" if name == "margin" else "Accuracy"
    # Two sources are two yardsticks, and that has to be said.
    return f"{plain} on {sources.pop()}" if len(sources) == 1 else f"{plain}, on different pairs"


def words(store: Store, runs: Sequence[RunInfo], keys: Keys) -> dict[str, Any]:
    """What the page says now: where runs parted, and the table."""
    codes = [run_code(index, run, runs) for index, run in enumerate(runs)]
    charts = {}
    for name, wanted in (("margin", MARGINS), *CHARTS):
        parted = _parted(store, runs, keys, wanted) if name != "step_time" else {}
        told = [
            # On a small chart there is room for one label; the lines of the others stay, and all are said for those who do not see it.
            {
                "step": step,
                "label": "" if place and name != "margin" else _parted_label(names, step, named=name == "margin"),
            }
            for place, (step, names) in enumerate(sorted(parted.items()))
        ]
        charts[name] = {
            "parted": told,
            "verdict": "; ".join(_parted_label(names, step, named=True) for step, names in parted.items()),
        }
    return {
        "charts": charts,
        "sections": {
            "against": {
                "verdict": None,
                "sentence": "mean of the last 10 logged steps of each run, and the best of the whole run",
            }
        },
        "blocks": {"table": {"runs": codes, "rows": signals_table(store, runs, keys)}},
        "marks": {},
    }


def _parted_label(names: Sequence[str], step: int, *, named: bool) -> str:
    if not named:
        return f"≠ {step}"
    return f"≠ {', '.join(map(_label, names))} parted at step {step}"


def _parted(store: Store, runs: Sequence[RunInfo], keys: Keys, wanted: Sequence[str]) -> dict[int, list[str]]:
    """Step → names of the runs that parted from the baseline there."""
    chosen = signals_of(runs, keys, wanted)
    if runs[0].id not in chosen:
        return {}
    envelopes = {}
    for run in runs:
        key = best_key(chosen[run.id], keys[run.id]) if run.id in chosen else None
        if key:
            envelopes[run.id] = store.envelope(run.id, [key], n=BUCKETS)[key]
    found: dict[int, list[str]] = {}
    for run in runs[1:]:
        step = parted_at(envelopes[runs[0].id], envelopes[run.id]) if run.id in envelopes else None
        if step is not None:
            found.setdefault(step, []).append(run.name)
    return found
