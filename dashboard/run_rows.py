"""Turns runs into the Runs table: which answer the query, in which groups, and a row for each that is on the screen."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from runvitals.dashboard.component import plain
from runvitals.dashboard.data import overview, shown_health
from runvitals.dashboard.overview import KeptRow
from runvitals.dashboard.query import Query
from runvitals.dashboard.run_order import GROUPINGS, Section, sections, sort_signals
from runvitals.dashboard.run_subject import MARGIN_SIGNALS, NOTHING, Known, counts_of, put_away
from runvitals.dashboard.sparks import LOSS_SPAN, MARGIN_SPAN, POLICY_LOSS_SPAN, spark, spark_json
from runvitals.diagnostics.signal_aliases import ALIASES
from runvitals.diagnostics.signals import SIGNALS, best_key
from runvitals.store import Store
from runvitals.store.types import AlertRow, RunInfo

SPARK_BUCKETS = 46
"""A spark is 92 px wide: one bucket for two pixels."""

MARGIN_WORDS = {
    "probe_margin": "held-out pairs",
    "eval_reward_margin": "evaluation pairs",
    "reward_margin": "training pairs",
}
LOSS_SIGNALS = ("loss", "policy_loss")
"""What the loss column draws, best first: a trainer of policy and value logs no loss as a whole."""

QUERYABLE = frozenset(SIGNALS) | {"margin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a table is asked for.

    group, sort: as `run_order.sections` takes them. folded: keys of the groups whose rows are hidden. limit: at most so many rows and
    group heads are made: curves of rows that nobody sees would be most of what a page of a thousand runs costs.
    """

    query: Query
    group: str = "attention"
    sort: str = ""
    folded: frozenset[str] = frozenset()
    limit: int = 1_000_000

    @property
    def signals(self) -> frozenset[str]:
        """The signals that query and order ask for."""
        return self.query.signals | sort_signals(self.sort)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The groups with the ids of their rows, the rows by id, and how many rows answer but are not made. ids: of all that answer."""

    groups: list[dict[str, Any]]
    rows: dict[str, dict[str, Any]]
    rest: int
    ids: list[str]


def latest_keys(signals: Collection[str]) -> tuple[str, ...]:
    """The keys whose newest values the table needs for its columns and for these signals, under every spelling."""
    signals = {*LOSS_SIGNALS, *MARGIN_SIGNALS, *signals} - {"margin"}
    return tuple(sorted({key for signal in signals for key in _spellings(signal)}))


def answering(
    runs: Sequence[RunInfo],
    alerts: Iterable[AlertRow],
    *,
    query: Query,
    watched: bool,
    now_s: float,
    notes: Mapping[str, Sequence[str]] | None = None,
) -> list[Known]:
    """The runs that answer the query. Archived and deleted ones only where the query asks for such. notes: texts by run."""
    of_run: dict[str, list[AlertRow]] = {}
    for alert in alerts:
        of_run.setdefault(alert.run_id, []).append(alert)
    wanted = query.words.get("is", frozenset())
    found = []
    for run in runs:
        if not wanted.issuperset(put_away(run)):
            continue
        mine = of_run.get(run.id, ())
        known = Known(
            run=run,
            counts=counts_of(mine, now_s=now_s),
            watched=watched,
            now_s=now_s,
            rules=[alert.rule for alert in mine],
            notes=(notes or {}).get(run.id, ()),
        )
        if not query.groups or query.matches(known.subject()):
            found.append(known)
    return found


def table(store: Store, found: Sequence[Known], asked: Asked) -> Table:
    """The table of the runs that answer. A row's `mark` stands for its content."""
    kept = overview().rows
    groups: list[dict[str, Any]] = []
    rows: dict[str, dict[str, Any]] = {}
    spent = left = 0
    for section in sections(found, group=asked.group, sort=asked.sort):
        folded = section.key in asked.folded
        room = max(0, asked.limit - spent)
        shown = [] if folded else section.runs[: max(0, room - 1)]
        left += 0 if folded else len(section.runs) - len(shown)
        if not room:
            continue
        spent += 1 + len(shown)
        groups.append(_head(section, [known.run.id for known in shown], folded=folded))
        rows |= {known.run.id: _counted(_kept_row(kept, store, known), known) for known in shown}
    return Table(groups=groups, rows=rows, rest=left, ids=[known.run.id for known in found])


def grouping(text: str) -> str:
    """The grouping that an address asks for; the usual one where it is none."""
    return text if text in GROUPINGS or text.startswith("config.") else "attention"


def _head(section: Section, ids: list[str], *, folded: bool) -> dict[str, Any]:
    """What stands over a group: how many runs it has, and how many of them need attention."""
    needing = sum(known.standing == "attention" for known in section.runs)
    head = {"key": section.key, "label": section.label, "count": len(section.runs), "needing": needing}
    return {**head, "folded": folded, "ids": ids}


def _counted(row: dict[str, Any], known: Known) -> dict[str, Any]:
    """The row with its counts, which a mute that ends changes without the run changing."""
    counts = known.counts
    if counts == NOTHING:
        return row
    told = {"alerts": counts.open, "acknowledged": counts.acknowledged, "muted": counts.muted}
    return {**row, **told, "mark": " ".join(map(str, (row["mark"], *told.values())))}


def _kept_row(kept: dict[str, KeptRow], store: Store, known: Known) -> dict[str, Any]:
    """The run's row, made anew only where something of it changed."""
    run, health = known.run, known.health
    found = kept.get(run.id)
    if found is None or found.revision != run.revision or found.health != health:
        row = _row(store, run, known.watched)
        row["mark"] = blake2b(json.dumps(row).encode(), digest_size=8).hexdigest()
        found = kept[run.id] = KeptRow(run.revision, health, row)
    return found.row


def _row(store: Store, run: RunInfo, watched: bool) -> dict[str, Any]:
    loss_signal, loss_key = _first_logged(LOSS_SIGNALS, run.latest)
    margin_signal, margin_key = _first_logged(MARGIN_SIGNALS, run.latest)
    keys = [key for key in (loss_key, margin_key) if key is not None]
    curves = store.envelope(run.id, keys, n=SPARK_BUCKETS) if keys else {}
    latest_margin = run.latest[margin_key].value if margin_key is not None else None
    loss_span = LOSS_SPAN if loss_signal == "loss" else POLICY_LOSS_SPAN
    return {
        "id": run.id,
        "name": run.name,
        "project": run.project,
        "color": run.color,
        "trainer": run.trainer,
        "health": shown_health(run, watched=watched),
        "finding": run.finding,
        "status": run.status,
        "step": run.last_step,
        "max_steps": run.max_steps,
        "last_step_s": plain(run.last_step_s),
        "tags": list(run.tags),
        "set": run.group,
        "description": run.description,
        "archived": run.archived_s is not None,
        "delete_after_s": run.delete_after_s,
        "alerts": 0,
        "acknowledged": 0,
        "muted": 0,
        "loss_of": SIGNALS[loss_signal].title if loss_signal else "",
        "loss": spark_json(spark(curves.get(loss_key or ""), span=loss_span)),
        "margin": spark_json(spark(curves.get(margin_key or ""), span=MARGIN_SPAN)),
        "margin_now": plain(latest_margin),
        "margin_of": MARGIN_WORDS.get(margin_signal or ""),
    }


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
