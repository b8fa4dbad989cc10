"""Turns runs into the rows of the Runs table: what is shown, in which group, and what a query may ask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from runvitals.dashboard.component import plain
from runvitals.dashboard.data import overview, shown_health
from runvitals.dashboard.incidents import counted, group, open_alerts
from runvitals.dashboard.overview import KeptRow
from runvitals.dashboard.query import Query, Subject
from runvitals.dashboard.sparks import LOSS_SPAN, MARGIN_SPAN, POLICY_LOSS_SPAN, spark, spark_json
from runvitals.diagnostics.signal_aliases import ALIASES
from runvitals.diagnostics.signals import SIGNALS, best_key, canonical
from runvitals.store import Store
from runvitals.store.types import LIVE, AlertRow, RunInfo

Group = Literal["attention", "running", "ended"]

SPARK_BUCKETS = 46
"""A spark is 92 px wide: one bucket for two pixels."""

MARGIN_SIGNALS = ("probe_margin", "eval_reward_margin", "reward_margin")
"""Where a run's margin comes from, best first: held-out pairs by the probe, the trainer's own evaluation, its training pairs."""

MARGIN_WORDS = {
    "probe_margin": "held-out pairs",
    "eval_reward_margin": "evaluation pairs",
    "reward_margin": "training pairs",
}
LOSS_SIGNALS = ("loss", "policy_loss")
"""What the loss column draws, best first: a trainer of policy and value logs no loss as a whole."""

QUERYABLE = frozenset(SIGNALS) | {"margin"}

_SEVERITY_RANK = {"critical": 0, "warning": 1, "unknown": 2, "healthy": 3}
_GROUP_RANK: dict[Group, int] = {"attention": 0, "running": 1, "ended": 2}


def latest_keys(query: Query) -> tuple[str, ...]:
    """The keys whose newest values the table and the query need, under every spelling."""
    signals = {*LOSS_SIGNALS, *MARGIN_SIGNALS, *query.signals} - {"margin"}
    return tuple(sorted({key for signal in signals for key in _spellings(signal)}))


def rows(
    store: Store, runs: Sequence[RunInfo], alerts: Iterable[AlertRow], *, query: Query, watched: bool, now_s: float
) -> list[dict[str, Any]]:
    """The rows that answer the query, in their order. A row's `mark` stands for its content."""
    rules: dict[str, list[str]] = {}
    of_run: dict[str, list[AlertRow]] = {}
    for alert in alerts:
        rules.setdefault(alert.run_id, []).append(alert.rule)
        of_run.setdefault(alert.run_id, []).append(alert)
    counts = {run.id: _counts(of_run.get(run.id, ()), now_s=now_s) for run in runs}
    chosen = list(runs)
    if query.groups:
        chosen = [
            run
            for run in runs
            if query.matches(
                subject(run, rules=rules.get(run.id, ()), counts=counts[run.id], watched=watched, now_s=now_s)
            )
        ]
    chosen.sort(key=lambda run: _order(run, counts[run.id], watched))
    kept = overview().rows
    return [_counted(_kept_row(kept, store, run, watched), run, counts[run.id], watched=watched) for run in chosen]


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


_NOTHING = Counts()


def _counts(alerts: Sequence[AlertRow], *, now_s: float) -> Counts:
    if not alerts:
        return _NOTHING
    incidents = group(alerts, now_s=now_s)
    return Counts(
        open=open_alerts(incidents),
        acknowledged=counted(incidents, "acknowledged"),
        muted=counted(incidents, "muted"),
    )


def _counted(row: dict[str, Any], run: RunInfo, counts: Counts, *, watched: bool) -> dict[str, Any]:
    """The row with its counts and its group, which a mute that ends changes without the run changing."""
    group = group_of(run, counts, watched=watched)
    if counts == _NOTHING and group == row["group"]:
        return row
    told = {"alerts": counts.open, "acknowledged": counts.acknowledged, "muted": counts.muted, "group": group}
    return {**row, **told, "mark": " ".join(map(str, (row["mark"], *told.values())))}


def _kept_row(kept: dict[str, KeptRow], store: Store, run: RunInfo, watched: bool) -> dict[str, Any]:
    """The run's row, made anew only where something of it changed."""
    health = shown_health(run, watched=watched)
    found = kept.get(run.id)
    if found is None or found.revision != run.revision or found.health != health:
        row = _row(store, run, watched)
        row["mark"] = blake2b(json.dumps(row).encode(), digest_size=8).hexdigest()
        found = kept[run.id] = KeptRow(run.revision, health, row)
    return found.row


def subject(run: RunInfo, *, rules: Sequence[str], counts: Counts, watched: bool, now_s: float) -> Subject:
    """What a query may ask about a run. rules: names of the rules that fire on it, muted ones too."""
    numbers: dict[str, float | None] = {
        "step": run.last_step,
        "alerts": counts.open,
        "age": None if run.last_step_s is None else now_s - run.last_step_s,
        "started": now_s - run.created_s,
        "ended": None if run.ended_s is None else now_s - run.ended_s,
    }
    for signal in {canonical(key) for key in run.latest} - {None, *numbers}:
        key = best_key(signal or "", run.latest)
        if signal is not None and key is not None:
            numbers[signal] = run.latest[key].value
    margin = next((numbers[signal] for signal in MARGIN_SIGNALS if signal in numbers), None)
    words = {
        "name": (run.name,),
        "id": (run.id,),
        "project": (run.project,),
        "trainer": (run.trainer,),
        "status": (run.status, *(("live",) if run.status in LIVE else ())),
        "health": (shown_health(run, watched=watched),),
        "finding": (run.finding,),
        "alert": rules,
        "needs": ("attention",) if group_of(run, counts, watched=watched) == "attention" else (),
    }
    return Subject(words=words, numbers={**numbers, "margin": margin}, config=run.config)


def group_of(run: RunInfo, counts: Counts, *, watched: bool) -> Group:
    """Where the run stands in the table. What was muted needs nobody's attention, also where it makes the run's health."""
    sick = run.status in ("stalled", "hung", "crashed") or shown_health(run, watched=watched) in ("critical", "warning")
    if counts.open or (sick and not counts.quiet):
        return "attention"
    return "running" if run.status in LIVE else "ended"


def _order(run: RunInfo, counts: Counts, watched: bool) -> tuple[int, int, float]:
    severity = _SEVERITY_RANK[shown_health(run, watched=watched)]
    group = group_of(run, counts, watched=watched)
    # Without a finding there is nothing to rank by: newest first, so that rows do not move when a verdict comes in.
    return _GROUP_RANK[group], severity if group == "attention" else 0, -run.created_s


def _row(store: Store, run: RunInfo, watched: bool) -> dict[str, Any]:
    loss_signal, loss_key = _first_logged(LOSS_SIGNALS, run.latest)
    margin_signal, margin_key = _first_logged(MARGIN_SIGNALS, run.latest)
    keys = [key for key in (loss_key, margin_key) if key is not None]
    curves = store.envelope(run.id, keys, n=SPARK_BUCKETS) if keys else {}
    latest_margin = run.latest[margin_key].value if margin_key is not None else None
    row = {
        "id": run.id,
        "name": run.name,
        "project": run.project,
        "color": run.color,
        "trainer": run.trainer,
        "health": shown_health(run, watched=watched),
        "finding": run.finding,
        "status": run.status,
        "group": group_of(run, _NOTHING, watched=watched),
        "step": run.last_step,
        "max_steps": run.max_steps,
        "last_step_s": run.last_step_s,
        "alerts": 0,
        "acknowledged": 0,
        "muted": 0,
        "loss_of": SIGNALS[loss_signal].title if loss_signal else "",
        "loss": spark_json(
            spark(curves.get(loss_key or ""), span=LOSS_SPAN if loss_signal == "loss" else POLICY_LOSS_SPAN)
        ),
        "margin": spark_json(spark(curves.get(margin_key or ""), span=MARGIN_SPAN)),
        "margin_now": latest_margin,
        "margin_of": MARGIN_WORDS.get(margin_signal or ""),
    }
    cleaned: dict[str, Any] = plain(row)
    return cleaned


def _first_logged(signals: Sequence[str], latest: Mapping[str, object]) -> tuple[str | None, str | None]:
    """The first of the signals that was logged, and its key."""
    for signal in signals:
        key = best_key(signal, latest)
        if key is not None:
            return signal, key
    return None, None


def _spellings(signal: str) -> tuple[str, ...]:
    """The keys under which a signal may be logged and that are worth asking for; eval spellings by their prefixes."""
    plain_keys = (signal, *ALIASES.get(signal, ()))
    base = ALIASES.get(signal.removeprefix("eval_"), ()) if signal.startswith("eval_") else ()
    prefixed = [prefix + key for key in base for prefix in ("eval_", "eval/")]
    return (*plain_keys, *prefixed, *(prefix + key for key in plain_keys for prefix in ("train/", "corrected/")))
