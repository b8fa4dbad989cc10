"""What the records of a run say of its processes, as far as they were heard."""

from __future__ import annotations

from runvitals.collectors.records import Beat, Event, Start
from runvitals.watch.naming import rank_of

_WORST_FIRST = ("crashed", "stopped", "finished")


class Facts:
    """Processes, ends, signs of life. The first rank speaks for the run's phase; every rank has a part in its end.

    writers: by rank, the newest process of each.
    """

    def __init__(self) -> None:
        self.writers: dict[int, Start] = {}
        self.phase = "init"
        self.stepped = False
        self.ended_s: float | None = None
        self._known: dict[str, Start] = {}
        self._finish: dict[str, str] = {}
        self._heard: dict[int, float] = {}

    def knows(self, start: Start) -> bool:
        """Whether this writer has begun already; rotation repeats its Start."""
        return start.writer_id in self._known

    def begin(self, start: Start) -> None:
        """A process began. It takes the place of the one of its rank before it, which is over whether it said so or not."""
        self._known[start.writer_id] = start
        self.writers[rank_of(start.info)] = start
        self.ended_s = None
        self.hear(start.time_s, rank_of(start.info))

    def hear(self, time_s: float, rank: int) -> bool:
        """A sign of life. True where the rank's clock has gone back since its last one."""
        before_s, self._heard[rank] = self._heard.get(rank, time_s), time_s
        return time_s < before_s

    @property
    def heard_s(self) -> float:
        """Time of the newest record of the rank that is furthest; 0 before the first. A clock that was wrong and goes back does not hide silence."""
        return max(self._heard.values(), default=0.0)

    def beat(self, beat: Beat, rank: int) -> None:
        """A heartbeat."""
        self.hear(beat.time_s, rank)
        if self.is_first(rank):
            self.phase = beat.phase

    def event(self, event: Event, rank: int, writer_id: str) -> None:
        """An event."""
        self.hear(event.time_s, rank)
        if event.kind == "finish":
            self._finish[writer_id] = str(event.data.get("status", "finished"))
            self.ended_s = event.time_s
        if event.kind == "phase" and self.is_first(rank):
            self.phase = str(event.data.get("phase", self.phase))

    def is_first(self, rank: int) -> bool:
        """Whether this rank is the lowest that the run has."""
        return rank <= min(self.writers, default=rank)

    @property
    def ended(self) -> str | None:
        """The worst status that a rank ended with, once the newest process of every rank has ended."""
        if not self.writers or self.unfinished():
            return None
        said = {self._finish[writer.writer_id] for writer in self.present()}
        first = self._finish[self.writers[min(self.writers)].writer_id]
        return next((status for status in _WORST_FIRST if status in said), first)

    def present(self) -> list[Start]:
        """The newest process of each rank that the run still has: a launch that comes back with fewer ranks takes the place of all before it.

        A process by itself (one rank, or none) says nothing of how many the others are.
        """
        newest = max(self.writers.values(), key=lambda writer: writer.time_s, default=None)
        ranks = newest.info.get("world_size") if newest else None
        if newest is None or not isinstance(ranks, int) or ranks < 2 or rank_of(newest.info) >= ranks:
            return list(self.writers.values())
        return [writer for rank, writer in self.writers.items() if rank < ranks]

    def unfinished(self) -> list[Start]:
        """The processes that have not said that they ended."""
        return [writer for writer in self.present() if writer.writer_id not in self._finish]

    def replaced(self) -> list[Start]:
        """The processes that others took the place of, and that have not said that they ended. Most were killed; one may be at work beside its successor."""
        newest = {writer.writer_id for writer in self.present()}
        return [start for name, start in self._known.items() if name not in newest and name not in self._finish]
