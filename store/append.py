"""One batch of one writer into the store, in one transaction with how far the writer's journal has been read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from runvitals.collectors.labels import read_labels
from runvitals.errors import OverlappingBatch, StoreError, UnknownRun
from runvitals.store import told
from runvitals.store.clean_text import clean
from runvitals.store.database import Database
from runvitals.store.grow import grow
from runvitals.store.json_text import dumps, loads
from runvitals.store.schema import events, runs, writers
from runvitals.store.types import LIVE, Batch, SeriesPoints

COLORS = 10
"""Series colours; the eleventh run has the first one's."""

_RUN = select(runs).where(runs.c.id == bindparam("run")).with_for_update()
_WRITER = select(writers).where((writers.c.run_id == bindparam("run")) & (writers.c.writer_id == bindparam("writer")))
_CHANGEABLE = (
    *("status", "phase", "trainer", "config", "info"),
    *("ended_s", "beat_s", "last_step", "last_step_s", "max_steps", "delete_after_s"),
)
"""Columns of a run that a batch may change."""
_CHANGE_RUN = (
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGEABLE} | {"revision": runs.c.revision + 1})
)


def append(database: Database, batch: Batch) -> int:
    """Rows committed; 0 for a replay.

    Raises OverlappingBatch where part of the batch is stored, UnknownRun where neither the store nor the batch knows its run.
    """
    _check(batch)
    with database.writing() as connection:
        run = _locked_run(database, connection, batch)
        writer = connection.execute(_WRITER, {"run": batch.run_id, "writer": batch.writer_id}).first()
        if writer is not None and batch.last_seq <= writer.last_seq:
            return 0
        if writer is not None and batch.first_seq <= writer.last_seq:
            raise OverlappingBatch(
                f"run {batch.run_id}, writer {batch.writer_id}: expected records after {writer.last_seq}, "
                f"got {batch.first_seq} to {batch.last_seq}; cut the batch",
                last_seq=writer.last_seq,
            )
        changes = dict(_taken_over(run, batch)) if writer is None and _takes_over(connection, run, batch) else {}
        changes |= _moved(run, batch)
        changes |= _happened(run, batch, changes)
        grown = {clean(key): points for key, points in batch.series.items()}
        grow(connection, batch.run_id, clean(batch.writer_id), grown)
        _add_events(connection, batch)
        database.upsert(connection, writers, [_writer_row(writer, batch)])
        after = {f"new_{name}": changes.get(name, run._mapping[name]) for name in _CHANGEABLE}
        connection.execute(_CHANGE_RUN, {"run": batch.run_id, **after})
    return batch.rows


def _check(batch: Batch) -> None:
    """Raises StoreError where a batch contradicts itself."""
    if batch.first_seq > batch.last_seq:
        raise StoreError(f"batch of run {batch.run_id}: first_seq {batch.first_seq} is after last_seq {batch.last_seq}")
    for key, points in batch.series.items():
        if not points.steps.shape == points.times_s.shape == points.values.shape or points.values.ndim != 1:
            raise StoreError(f"batch of run {batch.run_id}: steps, times and values of {key!r} differ in length")
        if points.steps.dtype.str != "<i8" or {points.times_s.dtype.str, points.values.dtype.str} != {"<f8"}:
            raise StoreError(f"batch of run {batch.run_id}: {key!r} must have int64 steps, float64 times and values")


def _locked_run(database: Database, connection: Connection, batch: Batch) -> Row[Any]:
    """The run's row, locked until the transaction ends; created from the batch's start where it is not there."""
    run = connection.execute(_RUN, {"run": batch.run_id}).first()
    if run is None and batch.start is not None:
        database.lock_creation(connection)
        run = connection.execute(_RUN, {"run": batch.run_id}).first()
        if run is None:
            _create(connection, batch, batch.start)
            run = connection.execute(_RUN, {"run": batch.run_id}).first()
    if run is None:
        raise UnknownRun(f"run {batch.run_id}: not in the store, and the batch does not hold its start")
    return run


def _create(connection: Connection, batch: Batch, start: Mapping[str, Any]) -> None:
    """Inserts the run's row."""
    ordinal = connection.execute(select(func.coalesce(func.max(runs.c.ordinal) + 1, 0))).scalar_one()
    # The process says so on the recording side, where somebody reads it; a journal of another hand is judged here once more.
    labels = read_labels(start.get("tags"), start.get("group"), start.get("description"))
    connection.execute(
        insert(runs).values(
            id=batch.run_id,
            ordinal=ordinal,
            project=told.text(start.get("project"), ""),
            name=told.text(start.get("name"), batch.run_id),
            trainer="custom",
            status="starting",
            phase="init",
            health="unknown",
            created_s=_began_s(batch, start),
            color=ordinal % COLORS,
            config=dumps(told.mapping(start.get("config"))),
            info=dumps(told.mapping(start.get("info"))),
            tags=dumps([clean(tag) for tag in labels.tags]),
            group=labels.group,
            description=labels.description,
            rules="[]",
            finding="",
            alerts=0,
            revision=0,
        )
    )


def _began_s(batch: Batch, start: Mapping[str, Any]) -> float:
    """When the writer began; its first sign of life where it did not say so."""
    said = (told.moment(start.get("time_s")), told.moment(batch.beat_s))
    return next((time_s for time_s in said if time_s is not None), 0.0)


def _takes_over(connection: Connection, run: Row[Any], batch: Batch) -> bool:
    """True where a new writer carries the run on in place of an earlier one: a resume, or a process of a run that had ended.

    Only the run's first rank does so. Another rank joins a run that is there, whatever it says of itself, and changes nothing.
    """
    if batch.start is None or run.revision == 0:
        return False
    infos = connection.execute(select(writers.c.info).where(writers.c.run_id == batch.run_id)).scalars()
    rank, ranks = told.rank(batch.start.get("info")), {told.rank(loads(info)) for info in infos}
    if not ranks or rank != min(ranks):
        return False
    if batch.start.get("resumed"):
        return True
    # A writer older than the run's beginning was only found late; it carries nothing on.
    return run.status not in LIVE and _began_s(batch, batch.start) >= run.created_s


def _taken_over(run: Row[Any], batch: Batch) -> Mapping[str, Any]:
    """Changed columns where a process carries the run on: it lives again, under the new process and its settings."""
    start = batch.start or {}
    config = {**loads(run.config), **told.mapping(start.get("config"))}
    info = dumps(told.mapping(start.get("info")))
    living: dict[str, Any] = {"status": "starting", "phase": "init", "ended_s": None, "delete_after_s": None}
    return {**living, "config": dumps(config), "info": info}


def _moved(run: Row[Any], batch: Batch) -> Mapping[str, Any]:
    """Changed columns for heartbeat, phase and newest step."""
    changes: dict[str, Any] = {}
    if batch.beat_s is not None:
        changes["beat_s"] = max(batch.beat_s, run.beat_s or batch.beat_s)
    if batch.phase is not None:
        changes["phase"] = told.text(batch.phase, run.phase)
    # The first rank counts the run's steps; others may be ahead of it or behind.
    own = [points for key, points in batch.series.items() if not key.startswith("rank/")]
    apart = {(id(points.steps), id(points.times_s)): points for points in own}
    newest = max((found for found in map(_newest_step, apart.values()) if found), default=None)
    if newest is not None:  # later batches are newer, even where the clock of the training host went back
        changes["last_step_s"], changes["last_step"] = newest
    return changes


def _newest_step(points: SeriesPoints) -> tuple[float, int] | None:
    """Time and step of the last point that has a step."""
    stepped = np.flatnonzero(points.steps >= 0)
    if not stepped.size:
        return None
    return float(points.times_s[stepped[-1]]), int(points.steps[stepped[-1]])


def _happened(run: Row[Any], batch: Batch, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Changed columns for the events that say something of the run itself."""
    found: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for event in batch.events:
        data = told.mapping(event.data)
        if event.kind == "config":
            config |= data
        elif event.kind == "trainer":
            kind, max_steps = told.text(data.get("kind"), ""), told.positive(data.get("max_steps"))
            found |= {"trainer": kind} if kind else {}
            found |= {"max_steps": max_steps} if max_steps else {}
        elif event.kind == "finish":
            found |= {"status": told.ended_status(data.get("status")), "ended_s": event.time_s}
    if config:
        found["config"] = dumps({**loads(changes.get("config", run.config)), **config})
    return found


def _add_events(connection: Connection, batch: Batch) -> None:
    """Inserts the batch's events."""
    if not batch.events:
        return
    rows = [
        {
            "run_id": batch.run_id,
            "writer_id": batch.writer_id,
            "seq": event.seq,
            "time_s": event.time_s,
            "step": told.integer(event.step),
            "kind": event.kind,
            "data": dumps(told.mapping(event.data)),
        }
        for event in batch.events
    ]
    connection.execute(insert(events), rows)


def _writer_row(writer: Row[Any] | None, batch: Batch) -> dict[str, Any]:
    """The writer's row after the batch."""
    info = "{}" if writer is None else writer.info
    if batch.start is not None:
        info = dumps(told.mapping(batch.start.get("info")))
    beats = [beat for beat in (batch.beat_s, writer.beat_s if writer is not None else None) if beat is not None]
    return {
        "run_id": batch.run_id,
        "writer_id": batch.writer_id,
        "last_seq": batch.last_seq,
        "position": dumps(dict(batch.position)),
        "info": info,
        "beat_s": max(beats, default=None),
    }
