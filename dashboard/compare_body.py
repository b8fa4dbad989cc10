"""What the Compare page holds: one yardstick for the margin, what differs, the charts, a table against the baseline, and outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runvitals.dashboard.compare_charts import PINNED, SIGNALS_CHARTED, Plan, charts, clocks, pinned, plan_of
from runvitals.dashboard.compare_entries import Entry, entries_of_groups, entries_of_runs
from runvitals.dashboard.compare_groups import Band, groups_of
from runvitals.dashboard.compare_held import held, key_of
from runvitals.dashboard.compare_judge import Reading
from runvitals.dashboard.compare_outcome import outcome
from runvitals.dashboard.compare_parted import parted_words
from runvitals.dashboard.compare_pins import keys_pinned
from runvitals.dashboard.compare_read import Curve, Curves, Member, member, with_pins, without_pins
from runvitals.dashboard.compare_state import MOST_GROUPINGS, MOST_IN_COLOUR, MOST_RUNS, SEEDS, Shown, query_of
from runvitals.dashboard.compare_values import SIGNALS_COMPARED, readings, signals_of, table
from runvitals.dashboard.differences import Settings, settings_table, summed_up
from runvitals.dashboard.formatter import count
from runvitals.store import Store
from runvitals.store.types import RunInfo

_SIGNALS = tuple(dict.fromkeys((*SIGNALS_CHARTED, *SIGNALS_COMPARED, "probe_margin_se")))

_COLUMNS_BESIDE = 4
"""Columns of settings that a third of a common screen holds; more of them stand below the big chart there."""

MOST_OTHERS = 200
"""Runs that the list for adding one offers, the newest; any run can be added on the Runs page."""

_ALONE = "Settings of a second run stand here beside these, where they differ."

_LAST = "mean of the last 10 logged rows (of at most a tenth of them)"
_BEST = "the best of the whole run, for signals with a direction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The chosen runs with all that is drawn of them: entries are runs, or groups of them; the first is the baseline."""

    shown: Shown
    members: Sequence[Member]
    entries: Sequence[Entry]
    curves: Sequence[Mapping[str, Curve]]
    settings: Settings
    series: dict[str, Any]
    bands: Mapping[str, Mapping[str, Band]]

    @property
    def grouped(self) -> bool:
        """Whether the entries are groups."""
        return bool(self.shown.group)

    @property
    def many(self) -> bool:
        """Whether there are more entries than colours."""
        return len(self.entries) > MOST_IN_COLOUR

    @property
    def plan(self) -> Plan:
        """The charts of the page, those of pinned keys among them."""
        return plan_of(self.shown.pins)

    @property
    def runs(self) -> list[RunInfo]:
        """The runs, the baseline first."""
        return [one.run for one in self.members]


@dataclass(slots=True)
class Reader:
    """Makes comparisons; keeps the keys and curves of runs that have not changed since the last one."""

    curves: Curves = field(default_factory=Curves)
    members: dict[str, Member] = field(default_factory=dict)

    def compare(self, store: Store, runs: Sequence[RunInfo], shown: Shown) -> Comparison:
        """The comparison of these runs, at least one."""
        kept = {one.run.id: one for one in self.members.values() if one.run in runs}
        # A run as it was has the keys that it had: reading ten thousand of them takes a quarter of a second.
        members = [kept.get(run.id) or member(store, run, _SIGNALS) for run in runs]
        members = [with_pins(store, without_pins(one), keys_pinned(shown.pins)) for one in members]
        self.members = {one.run.id: one for one in members}
        grouped = bool(shown.group)
        entries = entries_of_groups(groups_of(runs, shown.group)) if grouped else entries_of_runs(runs)
        first_s = min(run.created_s for run in runs)
        curves = [
            self.curves.of(store, one, tuple(dict.fromkeys(one.chosen.values())), shown.axis, first_s)
            for one in members
        ]
        self.curves.keep_only([run.id for run in runs])
        series, bands = held(members, entries, curves, plan=plan_of(shown.pins), grouped=grouped, spread=shown.spread)
        return Comparison(
            shown=shown,
            members=members,
            entries=entries,
            curves=curves,
            settings=settings_table(runs),
            series=series,
            bands=bands,
        )


def frame(found: Comparison, others: Sequence[RunInfo], *, picked: bool = False) -> dict[str, Any]:
    """The page's frame: head, charts and what differs. picked: the address named no runs, so the page chose them."""
    drawn = charts(found.members, found.entries, grouped=found.grouped)
    top, lost = pinned(found.shown.pins, found.members, found.entries, grouped=found.grouped)
    differs = _differs(found)
    big = [chart | {"over": differs["name"] == "wide"} for chart in drawn if chart["big"]]
    small = [chart for chart in drawn if not chart["big"]]
    unlogged = [] if not big or any(chart["id"] == "margin" for chart in drawn) else [_no_margin()]
    sections: list[dict[str, Any]] = [
        _pinned(top, lost),
        {"id": "margin", "title": "", "blocks": [*(big or [_no_chart(found)]), differs]},
        {"id": "charts", "title": "", "blocks": [*small, *unlogged]},
        {
            "id": "against",
            "title": "Against the baseline" if len(found.runs) > 1 else "Values",
            "blocks": [{"id": "table", "kind": "table", "span": 12}] if signals_of(found.members) else [],
        },
    ]
    if len(found.members) > 2 and found.settings.unequal:
        block = {"id": "outcome", "kind": "outcome", "span": 12}
        sections.append({"id": "outcome", "title": "Settings against outcome", "blocks": [block]})
    return {
        "page": "compare",
        "head": _head(found, others, picked=picked),
        "clocks": clocks(found.members, grouped=found.grouped),
        "sections": [section for section in sections if section["blocks"]],
        "foot": _foot(found),
    }


def _pinned(charts: list[dict[str, Any]], lost: int) -> dict[str, Any]:
    """The section of what is pinned; a link may name signals that none of its runs logs."""
    said = f"{lost} pinned {'signal is' if lost == 1 else 'signals are'} logged by none of these runs" if lost else ""
    none = {"id": "pinned-none", "kind": "note", "title": "Not logged", "text": f"{said}.", "span": 12}
    return {"id": "pinned", "title": "Pinned", "sentence": said, "blocks": charts or ([none] if lost else [])}


def _head(found: Comparison, others: Sequence[RunInfo], *, picked: bool) -> dict[str, Any]:
    runs = found.runs
    steps = [run.last_step for run in runs if run.last_step is not None]
    settings = [row["name"] for row in (*found.settings.rows, *found.settings.some)]
    return {
        "entries": [entry.told() for entry in found.entries],
        "runs": [run.id for run in runs],
        "others": [{"id": run.id, "name": run.name} for run in others[:MOST_OTHERS]],
        "sentence": _sentence(found, picked=picked),
        "query": query_of(found.shown) | ({"compare": ""} if picked else {}),
        "axis": found.shown.axis,
        "signals": sum(len(one.names) for one in found.members),
        "shared_step": min(steps, default=0),
        "groupings": [
            {"name": SEEDS, "label": "same settings, other seeds"},
            *({"name": n, "label": n} for n in settings),
        ]
        if len(runs) > 1
        else [],
        "most_groupings": MOST_GROUPINGS,
        "grouped": found.grouped,
        "colours": MOST_IN_COLOUR,
        "most": MOST_RUNS,
        "at": found.shown.at,
        "spread": found.shown.spread,
    }


def _sentence(found: Comparison, *, picked: bool) -> str:
    runs = found.runs
    if len(runs) < 2:
        return "add a run to compare with"
    whose = f" of {runs[0].project}" if runs[0].project else ""
    chosen = f"the newest {len(runs)} runs{whose}, as none were chosen" if picked else f"{len(runs)} runs"
    if found.grouped:
        groups = "1 group" if len(found.entries) == 1 else f"{count(len(found.entries))} groups"
        return f"{chosen} in {groups}, the first is the baseline"
    dropped = f"; {count(found.shown.dropped)} more in the link are left out" if found.shown.dropped else ""
    return f"{chosen}{';' if picked else ','} the first is the baseline{dropped}"


def _differs(found: Comparison) -> dict[str, Any]:
    settings = found.settings
    summed = found.grouped or found.many
    shaded = "" if summed else "Shaded: differs from the baseline. "
    equal = "1 setting equal." if settings.equal == 1 else f"{count(settings.equal)} settings equal."
    alone = len(found.members) < 2
    wide = not summed and len(found.entries) > _COLUMNS_BESIDE
    return {
        "name": "wide" if wide else "",
        "id": "differs",
        "kind": "differs",
        "span": 4,
        "summed": summed,
        "runs": [] if summed else [entry.told() for entry in found.entries],
        "rows": summed_up(settings.rows) if summed else settings.rows,
        "some": summed_up(settings.some) if summed else settings.some,
        "sentence": ""
        if alone
        else f"{count(settings.unequal)} of {count(settings.unequal + settings.equal)} settings",
        "foot": _ALONE if alone else f"{shaded}{equal}" if settings.unequal else _all_equal(settings.equal),
    }


def _all_equal(many: int) -> str:
    if not many:
        return "No settings are known."
    return "The one setting that is known is equal." if many == 1 else f"All {count(many)} settings are equal."


def _no_margin() -> dict[str, Any]:
    text = "None of these runs logged a margin. Add the margin probe to compare runs of any trainer on the same pairs."
    return {"id": "no-margin", "kind": "note", "title": "Not logged", "text": text, "span": 12}


def _no_chart(found: Comparison) -> dict[str, Any]:
    """Runs of a loop of somebody's own may log nothing that this page knows; all that they log is there to be pinned."""
    many = len({name for one in found.members for name in one.names})
    text = "These runs logged nothing yet."
    if many:
        them = "the one signal that they logged" if many == 1 else f"any of the {count(many)} signals that they logged"
        text = f"The page knows none of what these runs logged. The search above finds {them}; what you pin is drawn, and stands in the table."
    return {"id": "no-chart", "kind": "note", "title": "Nothing charted", "text": text, "span": 8}


def _foot(found: Comparison) -> list[dict[str, str]]:
    marks = [
        {"mark": "≠", "text": "parted: from here to the end the difference is beyond both runs' own noise"},
        {"mark": "", "text": "worse, better: only for signals that have a direction, and beyond the 95 % interval"},
        {"mark": "", "text": "in bold: the best, and those not worse than it"},
    ]
    if found.grouped:
        spread = "± one standard deviation" if found.shown.spread == "std" else "95 % interval of the mean"
        marks.append(
            {
                "mark": "",
                "text": f"band: {spread} over the runs of a group; dotted: some of them are missing; no band: more than half are",
            }
        )
    elif any(one.chosen.get("probe_margin") for one in found.members):
        marks.append({"mark": "", "text": "band of the held-out margin: its 95 % interval"})
    return marks


def words(store: Store, found: Comparison) -> dict[str, Any]:
    """What the page says now: where runs parted, the table, and settings against outcome."""
    shown = found.shown
    read = [readings(store, one, shown.at, curves) for one, curves in zip(found.members, found.curves, strict=True)]
    bests: list[Mapping[str, Reading | str]] = (
        [readings(store, one, "best", {}) for one in found.members]
        if shown.at == "last" and not found.grouped and not found.many
        else []
    )
    columns = [entry.members for entry in found.entries]
    rows = table(read, bests, columns, found.members)
    drawn = parted_words(found.members, found.entries, found.curves, found.bands, plan=found.plan, axis=shown.axis)
    for name, bands in found.bands.items():
        drawn.setdefault(name, {"parted": [], "verdict": ""})["sizes"] = {
            entry.id: key_of(bands[entry.id], shown.axis)
            for entry in found.entries[:MOST_IN_COLOUR]
            if entry.id in bands
        }
    drawn |= {f"{PINNED}{pin}": drawn[pin] for pin in shown.pins if pin in drawn}
    last = _LAST + ("" if found.grouped or found.many else ", and the best of the whole run")
    at = {"last": last, "best": _BEST}.get(
        str(shown.at)
    ) or f"mean of the last 10 rows up to step {count(float(shown.at))}"
    over = "; groups: mean ± standard deviation over their runs" if found.grouped else ""
    blocks: dict[str, Any] = {"table": {"runs": [entry.told() for entry in found.entries], "rows": rows}}
    if len(found.members) > 2 and found.settings.unequal:
        blocks["outcome"] = outcome(found.members, found.entries, found.settings, read, shown)
    return {
        "charts": drawn,
        "sections": {"against": {"verdict": None, "sentence": at + over}},
        "blocks": blocks,
        "marks": {},
    }
