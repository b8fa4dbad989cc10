"""What is known of a run as a whole: what a query may ask about it, where it stands in the table, and what it is sorted or grouped by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runvitals.dashboard.data import shown_health
from runvitals.dashboard.incidents import counted, group, open_alerts
from runvitals.dashboard.query import Subject
from runvitals.diagnostics.signals import best_key, canonical
from runvitals.store.types import LIVE, AlertRow, Health, RunInfo

Standing = Literal["attention", "running", "ended"]

MARGIN_SIGNALS = ("probe_margin", "eval_reward_margin", "reward_margin")
"""Where a run's margin comes from, best first: held-out pairs by the probe, the trainer's own evaluation, its training pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A run's alerts that ask for somebody, and its incidents that somebody acknowledged or muted."""

    open: int = 0
    acknowledged: int = 0
    muted: int = 0

    @property
    def quiet(self) -> bool:
        """True where all that fires was muted: nobody wants to be called for it."""
        return self.muted > 0 and not self.open and not self.acknowledged


NOTHING = Counts()


def counts_of(alerts: Sequence[AlertRow], *, now_s: float) -> Counts:
    """The counts of one run's firing alerts."""
    if not alerts:
        return NOTHING
    incidents = group(alerts, now_s=now_s)
    return Counts(
        open=open_alerts(incidents),
        acknowledged=counted(incidents, "acknowledged"),
        muted=counted(incidents, "muted"),
    )


def standing(run: RunInfo, counts: Counts, *, watched: bool) -> Standing:
    """Where the run stands in the table. What was muted needs nobody's attention, also where it makes the run's health."""
    sick = run.status in ("stalled", "hung", "crashed") or shown_health(run, watched=watched) in ("critical", "warning")
    if counts.open or (sick and not counts.quiet):
        return "attention"
    return "running" if run.status in LIVE else "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A run with what is known of it at one moment. rules: names of the rules that fire on it, muted ones too. notes: texts of people."""

    run: RunInfo
    counts: Counts
    watched: bool
    now_s: float
    rules: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def health(self) -> Health:
        """The health as lists show it."""
        return shown_health(self.run, watched=self.watched)

    @property
    def standing(self) -> Standing:
        """Where it stands in the table."""
        return standing(self.run, self.counts, watched=self.watched)

    def signals(self) -> dict[str, float]:
        """The newest value of each logged signal whose keys were read, and the margin wherever it comes from."""
        latest = self.run.latest
        found = {}
        for signal in {canonical(key) for key in latest} - {None}:
            key = best_key(signal or "", latest)
            if signal is not None and key is not None:
                found[signal] = latest[key].value
        margins = [found[signal] for signal in MARGIN_SIGNALS if signal in found]
        return {**found, "margin": margins[0]} if margins else found

    def subject(self) -> Subject:
        """What a query may ask."""
        run = self.run
        numbers: dict[str, float | None] = {
            **self.signals(),
            "step": run.last_step,
            "alerts": self.counts.open,
            "age": None if run.last_step_s is None else self.now_s - run.last_step_s,
            "started": self.now_s - run.created_s,
            "ended": None if run.ended_s is None else self.now_s - run.ended_s,
        }
        words = {
            "name": (run.name,),
            "id": (run.id,),
            "project": (run.project,),
            "trainer": (run.trainer,),
            "status": (run.status, *(("live",) if run.status in LIVE else ())),
            "health": (self.health,),
            "finding": (run.finding,),
            "alert": self.rules,
            "needs": ("attention",) if self.standing == "attention" else (),
            "tag": run.tags,
            "group": (run.group,),
            "note": (run.description, *self.notes),
            "is": put_away(run),
        }
        return Subject(words=words, numbers=numbers, config=run.config)


def put_away(run: RunInfo) -> tuple[str, ...]:
    """Why the run is out of the list: archived, deleted or both; () where it is not."""
    marks: Mapping[str, float | None] = {"archived": run.archived_s, "deleted": run.delete_after_s}
    return tuple(name for name, time_s in marks.items() if time_s is not None)
