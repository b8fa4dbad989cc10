"""What goes into the store and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Axis = Literal["step", "time", "tokens"]
Generation = Literal["current", "superseded", "all"]
"""Which points: those that no later generation of steps has taken the place of, the others, or both."""
Status = Literal["starting", "running", "stalled", "hung", "crashed", "stopped", "finished"]
Health = Literal["unknown", "healthy", "warning", "critical"]

LIVE: frozenset[str] = frozenset({"starting", "running", "stalled", "hung"})
"""Statuses of runs whose process may still write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoints:
    """Points of one series. steps: (n,) int64, NO_STEP (-1) where a row had none. times_s, values: (n,) float64. NaN and Inf are kept."""

    steps: Ints
    times_s: Floats
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event of a run; see `runvitals.collectors.records.Event` for the kinds.

    id: given by the store, rising; 0 for an event on its way in.
    """

    run_id: str
    writer_id: str
    seq: int
    time_s: float
    step: int | None
    kind: str
    data: Mapping[str, Any]
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What ingest read of one writer, to be committed in one transaction together with how far it got.

    first_seq, last_seq: the records that the batch holds. A batch at or below the writer's stored `last_seq` is a replay and changes
    nothing; one that overlaps is refused (the reader must cut it).
    position: where the reader stands after the batch, opaque to the store (JSON).
    start: the writer's Start record as a dict where the batch holds one: project, name, config, info, time_s, resumed,
        tags, group, description. These three count where the run is new to the store: afterwards they are people's.
    """

    run_id: str
    writer_id: str
    first_seq: int
    last_seq: int
    position: Mapping[str, Any]
    series: Mapping[str, SeriesPoints] = field(default_factory=dict)
    events: Sequence[EventRow] = ()
    start: Mapping[str, Any] | None = None
    beat_s: float | None = None
    phase: str | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterState:
    """How far one writer's journal has been taken in."""

    run_id: str
    writer_id: str
    last_seq: int
    position: Mapping[str, Any]
    info: Mapping[str, Any]
    beat_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest point of a series and its extremes. `best_min`, `best_max` skip non-finite values; `nonfinite` counts them."""

    step: int
    time_s: float
    value: float
    best_min: float
    best_max: float
    count: int
    nonfinite: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One run as lists show it.

    color: index into the ten series colours, given in order of creation, reused from the eleventh on.
    last_step, last_step_s: the newest training step and when it was logged; None before the first.
    finding: title of the worst firing alert's root cause, or "".
    alerts: number of firing, unmuted alerts. revision: rises with every change of the run; a cheap "did anything change".
    rules: per rule its state and, where unknown, what is missing: [{rule, state, reason, error}].
    tags, group, description: what people call it. archived_s: since when it is out of the list. delete_after_s: when it will be deleted,
    unless somebody takes that back or the run goes on.
    """

    id: str
    project: str
    name: str
    trainer: str
    status: Status
    phase: str
    health: Health
    created_s: float
    ended_s: float | None
    beat_s: float | None
    last_step: int | None
    last_step_s: float | None
    max_steps: int | None
    color: int
    config: Mapping[str, Any]
    info: Mapping[str, Any]
    rules: Sequence[Mapping[str, Any]]
    finding: str
    alerts: int
    revision: int
    tags: Sequence[str] = ()
    group: str = ""
    description: str = ""
    archived_s: float | None = None
    delete_after_s: float | None = None
    latest: Mapping[str, Latest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A series reduced to at most n buckets along an axis; exact points where there are few (`exact` is true and min == max == mean).

    x: (m,) bucket position on the asked axis (mean of its points). steps, times_s: (m,) of the bucket's last point.
    low, high, mean, last: (m,) over finite values, NaN where a bucket has none. count, nonfinite: (m,) int64;
    nonfinite counts NaN, Inf, -Inf and None. `kinds`: (m,) uint8 bit set: 1 NaN, 2 +Inf, 4 -Inf, 8 None.
    """

    x: Floats
    steps: Ints
    times_s: Floats
    low: Floats
    high: Floats
    mean: Floats
    last: Floats
    count: Ints
    nonfinite: Ints
    kinds: NDArray[np.uint8]
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Envelopes by key, and how many points of each series the store held when they were made: the cursor for `since`.

    rewound: the keys of which a later generation has superseded points.
    """

    envelopes: dict[str, Envelope]
    cursor: Mapping[str, int]
    rewound: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """Points that arrived since a cursor, and the cursor to ask with next time. `reset` says that the cursor was void: read anew.

    rewound: the keys whose new points supersede earlier ones; what was drawn of them is to be drawn anew.
    """

    cursor: Mapping[str, int]
    points: Mapping[str, SeriesPoints]
    reset: bool = False
    rewound: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One episode of one rule on one run, as stored.

    id: stable under replay: made of run, rule, subject and the onset's number. state: pending, firing or resolved.
    detail: what the diagnostics engine said, as JSON: title, sentence, verdict, evidence (numbers, window, frozen curve), causes, remedies.
    incident: id of the alert that is the root of the incident (its own id where it is the root itself).
    muted_until_s: the latest end of the mutes that cover the alert and that nobody ended; it may have passed. None without any.
    """

    id: str
    run_id: str
    rule: str
    signal: str
    severity: Literal["info", "warning", "critical"]
    state: Literal["pending", "firing", "resolved"]
    incident: str
    onset_step: int | None
    onset_s: float
    fired_step: int | None
    fired_s: float | None
    resolved_step: int | None
    resolved_s: float | None
    detail: Mapping[str, Any]
    acknowledged_s: float | None = None
    acknowledged_note: str = ""
    acknowledged_by: str = ""
    muted_until_s: float | None = None
    feedback: str = ""
    ticked: Sequence[int] = ()
    history: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """Silence until a time, for every alert that matches all that is named: this alert, its run, its rule, its run's project.

    id: given by the store; 0 for a mute on its way in. ended_s, ended_by: where somebody ended it before its time.
    """

    alert_id: str | None = None
    run_id: str | None = None
    rule: str | None = None
    project: str | None = None
    since_s: float
    until_s: float
    who: str = ""
    note: str = ""
    ended_s: float | None = None
    ended_by: str = ""
    id: int = 0

    def covers(self, alert: AlertRow, project: str) -> bool:
        """True where all that the mute names is the alert's. project: of the alert's run. Whether it still holds is not asked."""
        pairs = (
            (self.alert_id, alert.id),
            (self.run_id, alert.run_id),
            (self.rule, alert.rule),
            (self.project, project),
        )
        return all(wanted is None or wanted == have for wanted, have in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRow:
    """A saved view: the query of a page, which the store does not read, under a name that people gave it."""

    page: str
    name: str
    query: str
    created_s: float
    changed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A person's note on a run."""

    id: int
    run_id: str
    time_s: float
    step: int | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherInfo:
    """A watcher's sign of life. `behind_bytes`: journal bytes not yet stored after its last pass.

    receivers: whom it tells and how that goes, as JSON without addresses.
    """

    id: str
    host: str
    pid: int
    started_s: float
    pass_s: float
    behind_bytes: int
    rules: int
    message: str = ""
    receivers: Sequence[Mapping[str, Any]] = ()
