"""What went wrong while a run was recorded, told: each kind printed once, counted, and written into the run as soon as that works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from runvitals.collectors.faults import Faults, say
from runvitals.collectors.queued_writer import QueuedWriter
from runvitals.collectors.writer import Writer


class FaultReport:
    """The faults of one run. `lost_told`: lost records that the run knows of. It has no lock; `Run` holds one around it."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._faults = Faults()
        self._loss_said = False
        self.lost_told = 0

    def fault(self, writer: Writer | QueuedWriter, where: str, message: str) -> None:
        """Counts a fault; the first of its kind is printed and told in the run, the count follows at the end."""
        if self._faults.note(where, message):
            say(f"{where}: {message} (counted, not printed again)")
            self.tell(writer)

    def account(self, writer: Writer | QueuedWriter, kept: bool) -> None:
        """Takes lost records into account: printed once, told in the run as soon as writing works again."""
        lost = writer.lost - self.lost_told if kept else 0
        if self._faults.note("journal", f"records lost: {writer.failure}", lost) and not self._loss_said:
            self._loss_said = True
            say(f"the journal lost records: {writer.failure}; training goes on, they are counted (not printed again)")
        if kept:
            self.lost_told = writer.lost
            self.tell(writer)

    def tell(self, writer: Writer | QueuedWriter) -> None:
        """Writes into the run what it has not been told of yet."""
        for fault in self._faults.untold():
            if writer.event({"time_s": self._clock(), "step": None, "kind": "fault", "data": asdict(fault)}):
                self._faults.told(fault)

    def too_late(self, what: str) -> None:
        """Prints once that something came after the end."""
        if self._faults.note(what, "called after the run had ended"):
            say(f"{what}: called after run {self._name!r} had ended; what was given is not kept (not printed again)")
