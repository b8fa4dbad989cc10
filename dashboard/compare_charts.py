"""The charts of a comparison: up to six runs in colour, the others thin and grey, or groups as mean and band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.dashboard.compare_entries import Entry, cut
from runvitals.dashboard.compare_pins import keys_pinned
from runvitals.dashboard.compare_read import Member
from runvitals.dashboard.compare_state import MOST_IN_COLOUR
from runvitals.dashboard.compare_values import signal_of, title_of
from runvitals.dashboard.compare_yardstick import yardstick_of
from runvitals.dashboard.live_charts import Want
from runvitals.dashboard.run_body import clock_key
from runvitals.dashboard.signal_facts import about, value_kind
from runvitals.diagnostics.signals import canonical

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

Plan = tuple[tuple[str, tuple[str, ...]], ...]
"""Charts by name, each with the signals of which it draws the first that all runs have."""


def plan_of(pins: Sequence[str]) -> Plan:
    """The page's charts, and one for each pinned key."""
    return (*CHARTS, *((pin, (pin,)) for pin in keys_pinned(pins)))


_IF_SHARED = frozenset({"eval_loss", "reward", "kl"})
"""Charts that are drawn only where two runs can be held against each other; the table has the numbers of one alone."""

_BIG = ("margin", "loss", "reward", "eval_loss", "accuracy", "grad_norm", "step_time")
"""Which chart is the big one, the first of these that there is."""

MOST_A_ROW = 4
_KEY_LINE = 5
"""Entries of a key that one line holds in the narrowest chart."""

_NAMED_LINE = 3
"""The same of the big chart, whose entries have names."""

SIGNALS_CHARTED = tuple(dict.fromkeys(signal for _, wanted in CHARTS for signal in wanted))

PINNED = "pin:"
"""What the id of a pinned chart begins with; its lines are those of the chart that it copies, or of the pinned key."""

IDENTITY = "axis|x"
"""The series that makes places on the page's axis their own clock: what the server has placed needs no run's clock."""

_SELDOM = ("probe_", "eval_")


def signals_for(members: Sequence[Member], wanted: Sequence[str]) -> dict[int, str]:
    """Place of a run → signal: one signal for all where they share one, else for each run the best that it has."""
    for signal in wanted:
        if members and all(signal in one.chosen for one in members):
            return dict.fromkeys(range(len(members)), signal)
    found = {place: next((s for s in wanted if s in one.chosen), None) for place, one in enumerate(members)}
    return {place: signal for place, signal in found.items() if signal is not None}


def wants(members: Sequence[Member], plan: Plan = CHARTS) -> list[Want]:
    """The live series of the runs in colour: what is charted, its standard error, and each run's clock and tokens."""
    found: dict[str, Want] = {}
    chosen = [signals_for(members, wanted) for _, wanted in plan]
    for place, one in enumerate(members[:MOST_IN_COLOUR]):
        names = [one.chosen[signals[place]] for signals in chosen if place in signals]
        extra = [one.best.get(signal) for signal in ("probe_margin_se", "tokens")]
        for key in (*names, *extra, clock_key(one.keys)):
            if key:
                found[f"{place}|{key}"] = Want(
                    id=f"{place}|{key}",
                    run_id=one.run.id,
                    key=key,
                    timed=one.timed(key),
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
    tokens = one.best.get("tokens")
    return {
        "steps": f"{place}|{clock_key(one.keys)}",
        "tokens": f"{place}|{tokens}" if tokens else None,
        "start_s": one.run.created_s,
        "total": one.run.max_steps or one.run.last_step,
    }


def charts(members: Sequence[Member], entries: Sequence[Entry], *, grouped: bool) -> list[dict[str, Any]]:
    """The charts of all signals that at least one run logged, the big one first."""
    first = big_of(members)
    found = [
        chart
        for name, wanted in CHARTS
        if (chart := _chart(name, wanted, members, entries, grouped=grouped, big=name == first)) is not None
    ]
    found.sort(key=lambda chart: not chart["big"])
    spans = _spans(sum(not chart["big"] for chart in found))
    return [chart if chart["big"] else chart | {"span": spans.pop()} for chart in found]


def big_of(members: Sequence[Member]) -> str:
    """The chart that stands large beside what differs: the margin, or for runs without one what else they share; "" where nothing is charted."""
    plans = dict(CHARTS)
    drawn = [name for name in _BIG if _is_drawn(name, signals_for(members, plans[name]), members)]
    return drawn[0] if drawn else ""


def _is_drawn(name: str, chosen: Mapping[int, str], members: Sequence[Member]) -> bool:
    return bool(chosen) and not (name in _IF_SHARED and len(chosen) < min(2, len(members)))


def pinned(
    pins: Sequence[str], members: Sequence[Member], entries: Sequence[Entry], *, grouped: bool
) -> tuple[list[dict[str, Any]], int]:
    """The charts of what is pinned, in its order, and how many of the pins none of these runs logs."""
    plans = dict(plan_of(pins))
    made = [
        chart | {"id": f"{PINNED}{pin}", "height": 170 if chart["crowded"] else 190}
        for pin in pins
        if (chart := _chart(pin, plans.get(pin, ()), members, entries, grouped=grouped)) is not None
    ]
    spans = _spans(len(made))
    return [chart | {"span": min(6, spans.pop())} for chart in made], len(pins) - len(made)


def _spans(charts: int) -> list[int]:
    """Widths that leave no row half empty: up to four a row, rows as even as can be; to be taken from the end."""
    rows = -(-charts // MOST_A_ROW)
    sizes = [charts // rows + (row < charts % rows) for row in range(rows)]
    return [12 // size for size in reversed(sizes) for _ in range(size)]


def _chart(
    name: str,
    wanted: Sequence[str],
    members: Sequence[Member],
    entries: Sequence[Entry],
    *,
    grouped: bool,
    big: bool = False,
) -> dict[str, Any] | None:
    chosen = signals_for(members, wanted)
    if not _is_drawn(name, chosen, members):
        return None
    place, first = next(iter(chosen.items()))
    signal = signal_of(first)
    lines = (
        _group_lines(name, chosen, entries, named=big)
        if grouped
        else _run_lines(name, chosen, members, entries, named=big)
    )
    yardstick = yardstick_of(members, chosen) if name == "margin" else ""
    references = [
        {"value": r.value, "label": r.label, "text": ""}
        for r in signal.references
        if r.value != 0 and (not r.trainers or any(one.run.trainer in r.trainers for one in members))
    ]
    in_key = len({line.get("group") or line["id"] for line in lines}) + len(references)
    crowded = in_key > (_NAMED_LINE if big else _KEY_LINE)
    return {
        "id": name,
        "kind": "chart",
        "title": _title(name, chosen, title_of(first)),
        "unit": ", ".join(word for word in (signal.unit, "log scale" if signal.log_scale else "", yardstick) if word),
        "values": value_kind(signal.name),
        "log": signal.log_scale,
        "zero": signal.kind == "signed",
        "span": 8 if big else 3,
        "height": 348 if big else 170 if crowded else 190,
        "crowded": crowded,
        "endLabels": big,
        "big": big,
        "band": True,
        "absent": _absent(chosen, entries),
        "absentNames": ", ".join(entry.name for entry in _without(chosen, entries)),
        "references": references,
        "series": lines,
        "about": [about(signal.name, members[place].chosen[first])],
    }


def _absent(chosen: Mapping[int, str], entries: Sequence[Entry]) -> str:
    """Who never logged the signal: by name where it is one, for a narrow chart has no room for more."""
    absent = _without(chosen, entries)
    if len(absent) == 1 and len(entries) <= MOST_IN_COLOUR:
        return f"{cut(absent[0].short)}: not logged"
    return f"{len(absent)} of {len(entries)}: not logged" if absent else ""


def _without(chosen: Mapping[int, str], entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if not any(place in chosen for place in entry.members)]


def _run_lines(
    name: str, chosen: Mapping[int, str], members: Sequence[Member], entries: Sequence[Entry], *, named: bool
) -> list[dict[str, Any]]:
    lines = []
    if any(place in chosen for place in range(MOST_IN_COLOUR, len(members))):
        lines.append(_faint(name, sum(place in chosen for place in range(MOST_IN_COLOUR, len(members)))))
    for place, entry in enumerate(entries[:MOST_IN_COLOUR]):
        if place not in chosen:
            continue
        one, signal = members[place], chosen[place]
        error = one.best.get("probe_margin_se") if signal == "probe_margin" else None
        lines.append(
            {
                "id": f"{place}|{one.chosen[signal]}",
                "clock": str(place),
                # Which line is whose, the chips on top say; only the big chart has room for names.
                "label": entry.label if named else "",
                "name": entry.name,
                "color": entry.color,
                "dash": entry.dash,
                "style": "line",
                # A probe is seldom and already a mean: another mean would move its first and last points.
                "smooth": not (canonical(one.chosen[signal]) or "").startswith(_SELDOM),
                "error": f"{place}|{error}" if error else None,
                "tell": False,
            }
        )
    return lines


def _group_lines(
    name: str, chosen: Mapping[int, str], entries: Sequence[Entry], *, named: bool
) -> list[dict[str, Any]]:
    logged = [any(place in chosen for place in entry.members) for entry in entries]
    lines = [_faint(name, sum(logged[MOST_IN_COLOUR:]))] if any(logged[MOST_IN_COLOUR:]) else []
    for place, entry in enumerate(entries[:MOST_IN_COLOUR]):
        if not logged[place]:
            continue
        shared = {
            "clock": "axis",
            "color": entry.color,
            "style": "line",
            "label": entry.label if named else "",
            "smooth": False,
            "tell": False,
            "held": True,
            "group": entry.id,
            "name": entry.name,
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
