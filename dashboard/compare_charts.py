"""The charts of a comparison: up to six runs in colour, the others thin and grey, or groups as mean and band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runvitals.dashboard.compare_groups import Band, Group, band, said_of
from runvitals.dashboard.compare_read import Curve, Member
from runvitals.dashboard.compare_state import MOST_IN_COLOUR, Axis, Spread, place_text
from runvitals.dashboard.compare_values import signal_of, title_of
from runvitals.dashboard.envelopes import DIGITS
from runvitals.dashboard.live_charts import Want
from runvitals.dashboard.run_body import clock_key
from runvitals.dashboard.signal_facts import value_kind
from runvitals.dashboard.tokens import DASHES, SERIES
from runvitals.diagnostics.signals import best_key
from runvitals.store.types import Floats, Ints, RunInfo

MARGINS = ("probe_margin", "eval_reward_margin", "reward_margin")
"""Where a margin comes from, the most comparable first."""

ACCURACIES = ("probe_accuracy", "eval_reward_accuracy", "reward_accuracy")

CHARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("margin", MARGINS),
    ("accuracy", ACCURACIES),
    ("loss", ("loss",)),
    ("eval_loss", ("eval_loss",)),
    ("reward", ("reward",)),
    ("kl", ("sequence_kl", "kl")),
    ("grad_norm", ("grad_norm",)),
    ("step_time", ("step_time_s",)),
)

_IF_SHARED = frozenset({"eval_loss", "reward", "kl"})
"""Charts that are drawn only where two runs can be held against each other; the table has the numbers of one alone."""

MOST_A_ROW = 4

SIGNALS_CHARTED = tuple(dict.fromkeys(signal for _, wanted in CHARTS for signal in wanted))

FAINT_POINTS = {"margin": 120}
"""Points of a thin grey line on a chart; `FAINT_POINTS_SMALL` on those that are not named."""

FAINT_POINTS_SMALL = 60

IDENTITY = "axis|x"
"""The series that makes places on the page's axis their own clock: what the server has placed needs no run's clock."""

GROUP_LABEL = 46
"""Characters of a group's name where room is short: it is made of several settings."""

_SELDOM = ("probe_", "eval_")
_LABEL = 34
"""Characters of a name where room is short; names may be of any length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run or one group of the comparison. members: places in the list of runs. run_id: "" for a group."""

    id: str
    run_id: str
    name: str
    label: str
    short: str
    color: str
    dash: str
    health: str
    members: tuple[int, ...]

    def told(self) -> dict[str, Any]:
        """As the browser takes it."""
        return {
            "id": self.id,
            "run": self.run_id,
            "name": self.name,
            "label": self.label,
            "short": self.short,
            "color": self.color,
            "dash": self.dash,
            "health": self.health,
            "members": list(self.members),
        }


def entries_of_runs(runs: Sequence[RunInfo]) -> list[Entry]:
    """Each run an entry in its own colour; where two of those in colour share one, their dashes differ."""
    found: list[Entry] = []
    for place, run in enumerate(runs):
        color, dash = SERIES[run.color % len(SERIES)], DASHES[place % len(DASHES)]
        found.append(
            Entry(
                id=run.id,
                run_id=run.id,
                name=run.name,
                label=cut(run.name),
                short=_short(run, runs[:MOST_IN_COLOUR]),
                color=color,
                dash=_free_dash(found, color) if _twin(found, color, dash) else dash,
                health=run.health,
                members=(place,),
            )
        )
    return found


def entries_of_groups(groups: Sequence[Group]) -> list[Entry]:
    """Each group an entry, coloured by its place: a group has no colour of its own."""
    return [
        Entry(
            id=f"g{place}",
            run_id="",
            name=group.name,
            label=cut(group.label, GROUP_LABEL),
            short=cut(group.label, GROUP_LABEL),
            color=SERIES[place % len(SERIES)],
            dash=DASHES[0],
            health="",
            members=group.members,
        )
        for place, group in enumerate(groups)
    ]


def _twin(found: Sequence[Entry], color: str, dash: str) -> bool:
    return any(one.color == color and one.dash == dash for one in found[:MOST_IN_COLOUR])


def _free_dash(found: Sequence[Entry], color: str) -> str:
    return next((dash for dash in DASHES if not _twin(found, color, dash)), DASHES[0])


def cut(name: str, most: int = _LABEL) -> str:
    """The name cut in its middle, for runs of one sweep differ at the end."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def _short(run: RunInfo, runs: Sequence[RunInfo]) -> str:
    """The name without what all runs' names begin with, up to a hyphen."""
    names = [one.name for one in runs]
    shared = 0
    while all(len(name) > shared and name[shared] == names[0][shared] for name in names):
        shared += 1
    start = names[0][:shared].rfind("-") + 1
    return run.name[start:] if run.name.startswith(names[0][:start]) and run.name[start:] else run.name


def signals_for(members: Sequence[Member], wanted: Sequence[str]) -> dict[int, str]:
    """Place of a run → signal: one signal for all where they share one, else for each run the best that it has."""
    for signal in wanted:
        if members and all(signal in one.chosen for one in members):
            return dict.fromkeys(range(len(members)), signal)
    found = {place: next((s for s in wanted if s in one.chosen), None) for place, one in enumerate(members)}
    return {place: signal for place, signal in found.items() if signal is not None}


def wants(members: Sequence[Member]) -> list[Want]:
    """The live series of the runs in colour: what is charted, its standard error, and each run's clock and tokens."""
    found: dict[str, Want] = {}
    chosen = [signals_for(members, wanted) for _, wanted in CHARTS]
    for place, one in enumerate(members[:MOST_IN_COLOUR]):
        names = [one.chosen[signals[place]] for signals in chosen if place in signals]
        extra = [best_key(signal, one.keys) for signal in ("probe_margin_se", "tokens")]
        for key in (*names, *extra, clock_key(one.keys)):
            if key:
                found[f"{place}|{key}"] = Want(
                    id=f"{place}|{key}",
                    run_id=one.run.id,
                    key=key,
                    timed=False,
                    zero_s=one.run.created_s,
                    clock=str(place),
                )
    return list(found.values())


def clocks(members: Sequence[Member], *, grouped: bool) -> dict[str, Any]:
    """The clock of each run in colour, and the page's axis as a clock for what the server has placed on it."""
    own = {} if grouped else {str(place): _clock(place, one) for place, one in enumerate(members[:MOST_IN_COLOUR])}
    if not grouped and len(members) <= MOST_IN_COLOUR:
        return own
    first_s = min(one.run.created_s for one in members)
    return own | {"axis": {"steps": IDENTITY, "tokens": IDENTITY, "start_s": first_s, "total": 1}}


def _clock(place: int, one: Member) -> dict[str, Any]:
    tokens = best_key("tokens", one.keys)
    return {
        "steps": f"{place}|{clock_key(one.keys)}",
        "tokens": f"{place}|{tokens}" if tokens else None,
        "start_s": one.run.created_s,
        "total": one.run.max_steps or one.run.last_step,
    }


def charts(members: Sequence[Member], entries: Sequence[Entry], *, grouped: bool) -> list[dict[str, Any]]:
    """The charts of all signals that at least one run logged, the margin first."""
    found = [
        chart
        for name, wanted in CHARTS
        if (chart := _chart(name, wanted, members, entries, grouped=grouped)) is not None
    ]
    spans = _spans(sum(chart["id"] != "margin" for chart in found))
    return [chart if chart["id"] == "margin" else chart | {"span": spans.pop()} for chart in found]


def _spans(charts: int) -> list[int]:
    """Widths that leave no row half empty: up to four a row, rows as even as can be; to be taken from the end."""
    rows = -(-charts // MOST_A_ROW)
    sizes = [charts // rows + (row < charts % rows) for row in range(rows)]
    return [12 // size for size in reversed(sizes) for _ in range(size)]


def _chart(
    name: str, wanted: Sequence[str], members: Sequence[Member], entries: Sequence[Entry], *, grouped: bool
) -> dict[str, Any] | None:
    chosen = signals_for(members, wanted)
    if not chosen or (name in _IF_SHARED and len(chosen) < min(2, len(members))):
        return None
    first = next(iter(chosen.values()))
    signal, big = signal_of(first), name == "margin"
    lines = _group_lines(name, chosen, entries) if grouped else _run_lines(name, chosen, members, entries)
    yardstick = yardstick_of(members, chosen) if big else ""
    return {
        "id": name,
        "kind": "chart",
        "title": _title(name, chosen, title_of(first)),
        "unit": ", ".join(word for word in (signal.unit, "log scale" if signal.log_scale else "", yardstick) if word),
        "values": value_kind(signal.name),
        "log": signal.log_scale,
        "zero": signal.kind == "signed",
        "span": 8 if big else 3,
        "height": 348 if big else 190,
        "endLabels": big,
        "big": big,
        "band": True,
        "absent": _absent(chosen, entries),
        "references": [
            {"value": r.value, "label": r.label, "text": ""}
            for r in signal.references
            if r.value != 0 and (not r.trainers or any(one.run.trainer in r.trainers for one in members))
        ],
        "series": lines,
    }


def _absent(chosen: Mapping[int, str], entries: Sequence[Entry]) -> str:
    """Who never logged the signal: by name where those are few."""
    absent = [entry for entry in entries if not any(place in chosen for place in entry.members)]
    if len(entries) > MOST_IN_COLOUR:
        return f"{len(absent)} of {len(entries)}: not logged" if absent else ""
    return f"{', '.join(cut(entry.short) for entry in absent)}: not logged" if absent else ""


def _run_lines(
    name: str, chosen: Mapping[int, str], members: Sequence[Member], entries: Sequence[Entry]
) -> list[dict[str, Any]]:
    lines = []
    if any(place in chosen for place in range(MOST_IN_COLOUR, len(members))):
        lines.append(_faint(name, sum(place in chosen for place in range(MOST_IN_COLOUR, len(members)))))
    for place, entry in enumerate(entries[:MOST_IN_COLOUR]):
        if place not in chosen:
            continue
        one, signal = members[place], chosen[place]
        error = best_key("probe_margin_se", one.keys) if signal == "probe_margin" else None
        lines.append(
            {
                "id": f"{place}|{one.chosen[signal]}",
                "clock": str(place),
                "label": entry.label if name == "margin" else "",
                "color": entry.color,
                "dash": entry.dash,
                "style": "line",
                # A probe is seldom and already a mean: another mean would move its first and last points.
                "smooth": not signal.startswith(_SELDOM),
                "error": f"{place}|{error}" if error else None,
                "tell": False,
            }
        )
    return lines


def _group_lines(name: str, chosen: Mapping[int, str], entries: Sequence[Entry]) -> list[dict[str, Any]]:
    logged = [any(place in chosen for place in entry.members) for entry in entries]
    lines = [_faint(name, sum(logged[MOST_IN_COLOUR:]))] if any(logged[MOST_IN_COLOUR:]) else []
    for place, entry in enumerate(entries[:MOST_IN_COLOUR]):
        if not logged[place]:
            continue
        shared = {
            "clock": "axis",
            "color": entry.color,
            "style": "line",
            "label": entry.label if name == "margin" else "",
            "smooth": False,
            "tell": False,
            "held": True,
            "group": entry.id,
        }
        lines.append(shared | {"id": f"g{place}|{name}", "dash": entry.dash})
        lines.append(shared | {"id": f"g{place}|{name}|fewer", "dash": "2px 3px", "thin": True})
    return lines


def _faint(name: str, many: int) -> dict[str, Any]:
    return {
        "id": f"faint|{name}",
        "clock": "axis",
        "label": f"{many} more",
        "color": "var(--ink3)",
        "dash": "solid",
        "style": "faint",
        "smooth": False,
        "tell": False,
        "held": True,
        "plain": True,
    }


def _title(name: str, chosen: Mapping[int, str], title: str) -> str:
    if name not in ("margin", "accuracy"):
        return title
    words = {"probe": "held-out pairs", "eval": "evaluation pairs", "reward": "training pairs"}
    sources = {words[signal.split("_")[0]] for signal in chosen.values()}
    plain = "Margin" if name == "margin" else "Accuracy"
    # Two sources are two yardsticks, and that has to be said.
    return f"{plain} on {sources.pop()}" if len(sources) == 1 else f"{plain}, on different pairs"


_YARDSTICK = (("pairs_digest", "pairs"), ("pairs", "number of pairs"), ("beta", "beta"), ("reference", "reference"))


def yardstick_of(members: Sequence[Member], chosen: Mapping[int, str]) -> str:
    """Whether the held-out margins are measured alike: same pairs, beta and reference. "" where the margin is not the probe's."""
    if len(chosen) < 2 or set(chosen.values()) != {"probe_margin"}:
        return ""
    probes = [members[place].run.config.get("probe") for place in chosen]
    told = [probe if isinstance(probe, Mapping) else {} for probe in probes]
    unlike = [
        word
        for name, word in _YARDSTICK
        if len({str(probe[name]) for probe in told if probe.get(name) is not None}) > 1
    ]
    if unlike:
        return f"not one yardstick: the probes differ in {' and '.join(dict.fromkeys(unlike))}"
    pairs = {probe.get("pairs") for probe in told}
    if len(pairs) != 1 or None in pairs:
        return ""
    if all(probe.get("pairs_digest") for probe in told):
        return f"one yardstick: the same {pairs.pop()} pairs for all runs"
    return f"{pairs.pop()} pairs each"


def held(
    members: Sequence[Member],
    entries: Sequence[Entry],
    curves: Sequence[Mapping[str, Curve]],
    *,
    grouped: bool,
    spread: Spread,
) -> tuple[dict[str, Any], dict[str, dict[str, Band]]]:
    """What the server draws itself: series by id, and each group's bands by chart and entry. Both empty where all runs are in colour."""
    series: dict[str, Any] = {}
    bands: dict[str, dict[str, Band]] = {}
    ends: list[float] = []
    for name, wanted in CHARTS:
        chosen = signals_for(members, wanted)
        of_run = {place: curves[place].get(members[place].chosen[signal]) for place, signal in chosen.items()}
        known = {place: curve for place, curve in of_run.items() if curve is not None and curve.x.size}
        ends += [float(end) for curve in known.values() for end in (curve.x[0], curve.x[-1])]
        points = FAINT_POINTS.get(name, FAINT_POINTS_SMALL)
        if not grouped:
            series |= _faint_series(name, [curve for place, curve in known.items() if place >= MOST_IN_COLOUR], points)
            continue
        bands[name] = {}
        for entry in entries:
            share = bool(chosen) and signal_of(next(iter(chosen.values()))).kind == "percent"
            found = band([known[place] for place in entry.members if place in known], spread, share=share)
            if found is not None:
                bands[name][entry.id] = found
        for place, entry in enumerate(entries[:MOST_IN_COLOUR]):
            if entry.id in bands[name]:
                series |= _group_series(f"g{place}|{name}", bands[name][entry.id])
        rest = [curve_of(bands[name][entry.id]) for entry in entries[MOST_IN_COLOUR:] if entry.id in bands[name]]
        series |= _faint_series(name, rest, points)
    finite = [end for end in ends if np.isfinite(end)]
    if (grouped or len(members) > MOST_IN_COLOUR) and finite:
        low, high = min(finite), max(finite)
        series[IDENTITY] = {"step": [low, high], "mean": [low, high]}
    return series, bands


def curve_of(found: Band) -> Curve:
    """The group's mean as a curve."""
    return Curve(
        x=found.x, mean=found.mean, low=found.low, high=found.high, count=found.n, kinds=found.kinds, steps=found.n
    )


def _group_series(series_id: str, found: Band) -> dict[str, Any]:
    """The curve where all runs of the group are in it, and apart from it where some are missing, from the last place that all reached."""
    whole = found.n == found.whole
    fewer = ~whole
    series = {series_id: _columns(found, [np.flatnonzero(whole)])}
    if fewer.any():
        beside = np.append(fewer[1:], False) | np.append([False], fewer[:-1])
        places = np.flatnonzero(fewer | (whole & beside))
        series[f"{series_id}|fewer"] = _columns(found, np.split(places, np.flatnonzero(np.diff(places) > 1) + 1))
    return series


def _columns(found: Band, stretches: Sequence[Ints]) -> dict[str, Any]:
    """The places as columns for the browser, with a break between stretches."""
    columns: dict[str, list[Any]] = {name: [] for name in ("step", "mean", "low", "high", "count", "kinds")}
    for stretch in stretches:
        if columns["step"] and stretch.size:
            for name, blank in (
                ("step", columns["step"][-1]),
                ("mean", None),
                ("low", None),
                ("high", None),
                ("count", 0),
                ("kinds", 0),
            ):
                columns[name].append(blank)
        columns["step"] += _rounded(found.x[stretch])
        columns["mean"] += _rounded(found.mean[stretch])
        columns["low"] += _rounded(found.low[stretch])
        columns["high"] += _rounded(found.high[stretch])
        columns["count"] += found.n[stretch].tolist()
        columns["kinds"] += found.kinds[stretch].tolist()
    return columns


def _faint_series(name: str, curves: Sequence[Curve], points: int) -> dict[str, Any]:
    """All thin lines of a chart as one series; its steps go back where the next run begins, which breaks the line."""
    if not curves:
        return {}
    step: list[float | None] = []
    mean: list[float | None] = []
    for curve in curves:
        x, y = thinned(curve, points)
        step += _rounded(x)
        mean += _rounded(y)
    return {f"faint|{name}": {"step": step, "mean": mean}}


def thinned(curve: Curve, points: int) -> tuple[Floats, Floats]:
    """At most `points` means of the curve; NaN, which breaks the line, only where no value of a stretch is finite."""
    size = curve.x.size
    if size <= points:
        return curve.x, curve.mean
    starts = np.linspace(0, size, points + 1).astype(int)[:-1]
    finite = np.isfinite(curve.mean)
    sums = np.add.reduceat(np.where(finite, curve.mean, 0.0), starts)
    many = np.add.reduceat(finite.astype(float), starts)
    x = np.add.reduceat(curve.x, starts) / np.diff([*starts, size])
    return x, np.where(many > 0, sums / np.maximum(many, 1.0), np.nan)


def _rounded(values: Floats) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if value - value == 0.0 else None for value in values.tolist()]


def key_of(found: Band, axis: Axis) -> str:
    """How many runs stand behind a group's curve, for its key."""
    return said_of(found, lambda place: place_text(place, axis))
