"""What the live-chart component is told of the series in sight: everything once, then only new points, and finer points for a zoom.

The browser tells which series its page needs now: those of charts in or near sight, and of its axes. No others are read or sent; one that
comes back is told from where it was left, in one message. A message may be overtaken in the browser and never be seen, so each one repeats
the points of the few before it; the browser skips what it holds and asks for everything anew (`resync`) where something is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runvitals.dashboard.envelopes import Columns, joined, of_envelope, of_points, shared
from runvitals.dashboard.sights import Sight, Zoom
from runvitals.store import Store
from runvitals.store.types import Axis, Envelope

BUCKETS = 600
"""Buckets of a series at first: two a pixel on a chart of 300 px; a zoom asks for what its pixels need."""

REPEATED = 3
"""How many messages' points are sent again with each message."""

LEFT_LONG_AGO = 60
"""Messages after which a series that was out of sight is told anew: its buckets are then fewer than the points that it missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One series that the page draws. id: its name on the wire. timed: its rows have no step (samples of GPU and host).

    clock: the name of its run's clock on the page; a zoom has a range for each.
    """

    id: str
    run_id: str
    key: str
    timed: bool
    zero_s: float
    clock: str = "run"


@dataclass(slots=True)
class Feed:
    """The conversation with one browser page. `message` gives what to say next.

    cursors: by run and key, how many points the browser has been told of. sent: how many of them since the whole; a series that is not in
    it was never told. left: the message in which a series was last in sight. told_seq: the last message that no browser may have missed.
    begun: beginnings of series, each sent twice, since the message in which somebody scrolls is easily overtaken by the next one.
    answered: the zoom that was answered last, and for which series.
    """

    epoch: str
    wants: tuple[Want, ...] = ()
    seq: int = 0
    told_seq: int = 0
    cursors: dict[str, dict[str, int]] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    recent: deque[tuple[int, dict[str, tuple[int, Columns]]]] = field(default_factory=deque)
    begun: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)
    answered: tuple[str, int] | None = None
    finer: set[str] = field(default_factory=set)
    generation: int = 0
    stale: bool = True
    file: tuple[int, dict[str, str]] | None = None

    def resync(self) -> None:
        """Makes the next message a whole one."""
        self.stale = True

    def offer(self, file: dict[str, str]) -> None:
        """Tells the browser of a file, with the next message and the few after it."""
        self.file = (self.seq + REPEATED, file)

    def message(
        self, store: Store, wants: Sequence[Want], zoom: Zoom | None, sight: Sight | None = None
    ) -> dict[str, Any]:
        """The next message: everything where the page is new, changed or out of step, else what is new.

        sight: the series that are needed now; None for all of `wants`.
        """
        self.seq += 1
        sighted = {} if sight is None else {"sighted": sight.id}
        message = self._curves(store, tuple(wants), zoom, sight) | sighted | self._offered()
        return message | {"blocks": list(sight.blocks)} if sight is not None and message["whole"] else message

    def _curves(self, store: Store, wants: tuple[Want, ...], zoom: Zoom | None, sight: Sight | None) -> dict[str, Any]:
        seen = wants if sight is None else tuple(want for want in wants if want.id in sight.ids)
        while self.begun and self.begun[0][0] < self.seq - 1:
            self.told_seq = max(self.told_seq, self.begun.popleft()[0])
        base = max(self.told_seq, self.seq - REPEATED - 1)
        known = [want for want in seen if self.seq - self.left.get(want.id, -LEFT_LONG_AGO) <= LEFT_LONG_AGO]
        if self.stale or wants != self.wants or not self._advance(store, known):
            return self._whole(store, wants, seen, zoom)
        message = {"whole": False, "epoch": self._epoch(), "seq": self.seq, "base": base} | self._repeated(known)
        fresh = [want for want in seen if want not in known]
        if fresh:
            self.begun.append((self.seq, self._told(store, fresh)))
        if self.begun:
            message["fresh"] = [told | {"seq": seq} for seq, told in self.begun]
        return message | self._zoomed(store, seen, zoom)

    def _offered(self) -> dict[str, Any]:
        if self.file is None or self.seq > self.file[0]:
            return {}
        return {"file": self.file[1]}

    def _epoch(self) -> str:
        return f"{self.epoch}.{self.generation}"

    def _whole(self, store: Store, wants: tuple[Want, ...], seen: Sequence[Want], zoom: Zoom | None) -> dict[str, Any]:
        self.wants, self.stale, self.answered, self.told_seq = wants, False, None, self.seq
        self.generation += 1
        for told in (self.recent, self.begun, self.sent, self.left, self.cursors):
            told.clear()
        message = {"whole": True, "epoch": self._epoch(), "seq": self.seq, "base": self.seq}
        return message | self._told(store, seen) | self._zoomed(store, seen, zoom)

    def _told(self, store: Store, wants: Sequence[Want]) -> dict[str, Any]:
        """All there is of these series, from where the points that follow are counted."""
        ids = {want.id for want in wants}
        self.sent |= dict.fromkeys(ids, 0)
        self.left |= dict.fromkeys(ids, self.seq)
        for _, new in self.recent:
            for series_id in ids & new.keys():
                del new[series_id]
        return _series(store, wants, n=BUCKETS, cursors=self.cursors)

    def _advance(self, store: Store, wants: Sequence[Want]) -> bool:
        """Takes in what is new; false where the cursor is void, or steps went back and what the browser holds is no longer the curve."""
        new: dict[str, tuple[int, Columns]] = {}
        for run_id, of_run in _by_run(wants).items():
            delta = store.since(run_id, [want.key for want in of_run], self.cursors[run_id])
            if delta.reset or delta.rewound:
                return False
            self.cursors[run_id] |= delta.cursor
            for want in of_run:
                self.left[want.id] = self.seq
                points = delta.points.get(want.key)
                if points is not None and points.values.size:
                    new[want.id] = (self.sent[want.id], of_points(points, zero_s=want.zero_s))
                    self.sent[want.id] += points.values.size
        self.recent.append((self.seq, new))
        while len(self.recent) > REPEATED + 1:
            self.recent.popleft()
        return True

    def _repeated(self, wants: Sequence[Want]) -> dict[str, Any]:
        parts: dict[str, list[tuple[int, Columns]]] = {}
        ids = {want.id for want in wants}
        for _, new in self.recent:
            for series_id, piece in new.items():
                if series_id in ids:
                    parts.setdefault(series_id, []).append(piece)
        columns, grids = shared({name: joined([piece for _, piece in pieces]) for name, pieces in parts.items()})
        points = {name: {"from": parts[name][0][0], "columns": piece} for name, piece in columns.items()}
        return {"points": points, "grids": grids} if grids else {"points": points}

    def _zoomed(self, store: Store, seen: Sequence[Want], zoom: Zoom | None) -> dict[str, Any]:
        if zoom is None:
            return {}
        if self.answered != (zoom.id, zoom.again):
            self.answered, self.finer = (zoom.id, zoom.again), {want.id for want in seen}
            return {"zoom": {"id": zoom.id, **_series(store, seen, n=zoom.n, zoom=zoom)}}
        # An answer may be overtaken, too: the browser asks again where it has not seen what it was sent.
        answered = {"answered": {"id": zoom.id, "again": zoom.again}}
        more = [want for want in seen if want.id not in self.finer]
        if not more:
            return answered
        self.told_seq = self.seq
        self.finer |= {want.id for want in more}
        return answered | {"zoom": {"id": zoom.id, "more": True, **_series(store, more, n=zoom.n, zoom=zoom)}}


def _by_run(wants: Sequence[Want]) -> dict[str, list[Want]]:
    found: dict[str, list[Want]] = {}
    for want in wants:
        found.setdefault(want.run_id, []).append(want)
    return found


def _series(
    store: Store,
    wants: Sequence[Want],
    *,
    n: int,
    zoom: Zoom | None = None,
    cursors: dict[str, dict[str, int]] | None = None,
) -> dict[str, Any]:
    """Every series over the zoom or over all, and what a later generation of its steps has superseded, where there is any.

    cursors: takes down by run and key how many points that is.
    """
    series: dict[str, Columns] = {}
    superseded: dict[str, Columns] = {}
    for run_id, of_run in _by_run(wants).items():
        if zoom is not None and of_run[0].clock not in zoom.spans:
            continue
        drawn, counts = _drawn(store, run_id, of_run, n=n, zoom=zoom)
        if cursors is not None:
            cursors.setdefault(run_id, {}).update(counts)
        for want, (envelope, older) in drawn.items():
            series[want.id] = of_envelope(envelope, zero_s=want.zero_s)
            if older is not None and older.x.size:
                superseded[want.id] = of_envelope(older, zero_s=want.zero_s)
    series, grids = shared(series)
    told = {"series": series, "grids": grids, "superseded": superseded}
    return {name: part for name, part in told.items() if part or name == "series"}


def _drawn(
    store: Store, run_id: str, wants: Sequence[Want], *, n: int, zoom: Zoom | None
) -> tuple[dict[Want, tuple[Envelope, Envelope | None]], dict[str, int]]:
    """The envelopes of one run's series, each on the axis its rows have, over the zoom or over all, and how many points they hold.

    The second envelope of each is of what was superseded. Envelope and count are of one moment, so nothing has to be told apart by its
    time: a clock may be set back.
    """
    found: dict[Want, tuple[Envelope, Envelope | None]] = {}
    cursor: dict[str, int] = {}
    axes: tuple[tuple[Axis, bool], ...] = (("step", False), ("time", True))
    for axis, timed in axes:
        chosen = [want for want in wants if want.timed is timed]
        if not chosen:
            continue
        start, stop = _span(zoom, chosen[0]) if zoom else (None, None)
        drawn = store.drawn(run_id, [want.key for want in chosen], n=n, axis=axis, start=start, stop=stop)
        older = (
            store.envelope(
                run_id, sorted(drawn.rewound), n=n, axis=axis, start=start, stop=stop, generation="superseded"
            )
            if drawn.rewound
            else {}
        )
        found |= {want: (drawn.envelopes[want.key], older.get(want.key)) for want in chosen}
        cursor |= drawn.cursor
    return found, cursor


def _span(zoom: Zoom, want: Want) -> tuple[float, float]:
    """The zoom with a little on both sides, so that lines reach the edges."""
    span = zoom.spans[want.clock]
    start, stop = (want.zero_s + span.start_s, want.zero_s + span.stop_s) if want.timed else (span.start, span.stop)
    air = max(1.0, 0.02 * (stop - start))
    return start - air, stop + air
