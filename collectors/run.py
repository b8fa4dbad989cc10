"""A run as its training process sees it: log, event, phase, alert, finish. None of them raises for what the training does or the disk."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runvitals.collectors import endings
from runvitals.collectors.fault_report import FaultReport
from runvitals.collectors.faults import say
from runvitals.collectors.heartbeat import Ticker
from runvitals.collectors.jsonable import plain, text
from runvitals.collectors.labels import read_labels
from runvitals.collectors.last_exception import Status, ending_of, event_of
from runvitals.collectors.numbers import as_numbers, as_step
from runvitals.collectors.opening import as_config, as_object, opened_writer
from runvitals.collectors.options import Options
from runvitals.collectors.process_facts import whole
from runvitals.collectors.queued_writer import QueuedWriter
from runvitals.collectors.records import NO_STEP, Phase
from runvitals.collectors.run_ids import new_run_id
from runvitals.collectors.sampling import Sampling
from runvitals.collectors.writer import Writer

_PHASES = frozenset({"init", "train", "eval", "save", "generate"})
_SIGNAL_WAIT_S = 0.2
"""How long a signal waits for a thread that is writing; where the interrupted thread itself was writing, it comes again right after."""


class Run:
    """A run that is being recorded to `journals/<id>/`. Safe to use from several threads; silent in a forked child.

    name: the run's id where empty. id, project, name, path: what it is called and where its journal lies.
    tags, group, description: as `runvitals.init` takes them; what is none is left out and told of.
    """

    def __init__(
        self,
        journals: Path,
        project: str,
        *,
        name: str | None = None,
        config: Any = None,
        tags: str | Iterable[str] = (),
        group: str = "",
        description: str = "",
        options: Options | None = None,
    ) -> None:
        options = options or Options()
        self._clock = options.clock
        now_s = options.clock()
        self.id = options.run_id or new_run_id(now_s)
        self.project = plain(text(project))
        self.name = plain(text(name or self.id))
        self.path = journals / self.id
        self._lock = threading.Lock()
        self._report = FaultReport(self.name, options.clock)
        self._phase: str = "init"
        self._last_step: Any = None
        self._late_signal = 0
        self._inert = False
        self._ending: tuple[Status, int] | None = None
        self._abandoned = False
        self.in_training = False
        """True while a training is under way that records here: a process that ends by then has not finished, whatever the reason."""
        labels = read_labels(tags, group, description)
        self._writer: Writer | QueuedWriter | None = opened_writer(
            self.path,
            {
                "time_s": now_s,
                "run_id": self.id,
                "project": self.project,
                "name": self.name,
                "config": as_config(config),
                "tags": labels.tags,
                "group": labels.group,
                "description": labels.description,
            },
            options,
        )
        for sentence in labels.refused:
            self._report.fault(self._writer, "init", f"{sentence}; left out")
        endings.watch(self)
        self._tickers = [Ticker("heartbeat", options.heartbeat_s, self._beat, failed=self._failed)]
        if whole(os.environ, "LOCAL_RANK", 0) == 0 if options.sample is None else options.sample:
            self._tickers.append(
                Ticker("sampler", options.sample_s, Sampling(self._sampled, self._absent).tick, failed=self._failed)
            )
        for ticker in self._tickers:
            try:
                ticker.start()
            except RuntimeError as error:  # the system gives no more threads
                self._failed(ticker.name, error)

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Appends one row; when this returns, the kernel has it. Without a step the row lives on the time axis only.

        Values that cannot be a number are refused alone and reported; nested dicts are flattened with "/"; None, NaN and Inf are kept.
        """
        with self._lock:
            writer = self._writer
            if writer is None:
                if not self._inert:
                    self._report.too_late("log")
                return
            try:
                kept = writer.row(values, NO_STEP if step is None else step, self._clock())
                if step is not None:
                    self._last_step = step
            except Exception:  # noqa: BLE001 - a value's own way of becoming a number may raise anything
                kept = self._log_slowly(writer, values, step)
            if not kept or writer.lost != self._report.lost_told:
                self._report.account(writer, kept)
        if self._late_signal:
            self._repeat_signal()

    def event(self, kind: str, data: Mapping[str, Any] | None = None, step: int | None = None) -> None:
        """Appends something that happened; see `records.Event` for the kinds that the rooms agree on."""
        with self._held("event") as writer:
            if writer is not None:
                self._event(writer, kind, {} if data is None else as_object(data), step)

    def phase(self, name: Phase) -> None:
        """Says what the training is busy with from now on; told to the watcher at once where it changes."""
        with self._held("phase") as writer:
            if writer is None:
                return
            if name not in _PHASES:
                self._report.fault(
                    writer, "phase", f"expected one of {', '.join(sorted(_PHASES))}, got {text(name)[:40]!r}"
                )
            elif name != self._phase:
                self._phase = name
                self._event(writer, "phase", {"phase": name}, self._last_step)

    def alert(self, title: str, text: str = "", severity: str = "warning") -> None:
        """Raises an alert of the user's own."""
        self.event("alert", {"title": title, "text": text, "severity": severity}, self._last_step)

    def finish(self, status: Status = "finished", *, exit_code: int | None = None) -> None:
        """Ends the run; a second call changes nothing."""
        with self._held("") as writer:
            if writer is not None:
                self._close(writer, status, exit_code)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.note_exception(error)
        self.end()

    def note_exception(self, error: BaseException) -> None:
        """Keeps in mind that this exception is about to end the process, and tells it in the run."""
        with self._held("") as writer:
            if writer is None or self._ending is not None:
                return
            self._ending = ending_of(error)
            told = event_of(error)
            if told is not None:
                self._event(writer, *told, self._last_step)

    def note_signal(self, number: int, *, deadly: bool) -> bool:
        """True once the signal is told in the run, which ends with it where it is deadly; false where it must come again.

        Called in the main thread by a signal handler, which may have interrupted this very thread while it held the lock.
        """
        if not self._lock.acquire(timeout=_SIGNAL_WAIT_S):
            self._late_signal = number
            return False
        try:
            writer = self._writer
            if writer is not None and self._ending is None:
                self._ending = ("stopped", 128 + number)
                self._event(writer, "signal", {"name": signal.Signals(number).name}, self._last_step)
            if writer is not None and deadly:
                self._close(writer, "stopped", 128 + number)
        finally:
            self._lock.release()
        return True

    def end(self) -> None:
        """Ends the run as the process ends: as what was noted, else as crashed in the middle of a training, else as finished."""
        status, exit_code = self._ending or ("crashed" if self.in_training else "finished", None)
        self.finish(status, exit_code=exit_code)

    def abandon(self) -> None:
        """Lets the next heartbeat end the run as crashed: its training is gone and has not come to its end.

        Takes no lock, for garbage collection may call it in the middle of anything, our own writing included.
        """
        self._abandoned = True

    def go_inert(self) -> None:
        """In a forked child: nothing here writes any more; the parent's run goes on."""
        self._lock = threading.Lock()  # the parent's may have been held by a thread that this child does not have
        self._inert = True
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.forget()

    @property
    def ended(self) -> bool:
        """True once nothing more can be recorded: after `finish`, and in a forked child."""
        return self._writer is None

    @contextmanager
    def _held(self, what: str) -> Iterator[Writer | QueuedWriter | None]:
        """The writer, with the lock held; None after the end, which is reported where `what` names a caller."""
        with self._lock:
            if self._writer is None and what and not self._inert:
                self._report.too_late(what)
            yield self._writer
        if self._late_signal:
            self._repeat_signal()

    def _log_slowly(self, writer: Writer | QueuedWriter, values: Any, step: Any) -> bool:
        """Appends what can be made numbers of; false where there were numbers and they were lost."""
        numbers, refused = as_numbers(values)
        whole, refused_step = as_step(step)
        if whole != NO_STEP:
            self._last_step = whole
        kept = not numbers or writer.row(numbers, whole, self._clock())
        for sentence in refused + refused_step:
            self._report.fault(writer, "log", sentence)
        return kept

    def _event(self, writer: Writer | QueuedWriter, kind: str, data: Mapping[str, Any], step: Any) -> None:
        whole, refused = as_step(step)
        record = {
            "time_s": self._clock(),
            "step": None if whole == NO_STEP else whole,
            "kind": text(kind),
            "data": data,
        }
        kept = writer.event(record)
        for sentence in refused:
            self._report.fault(writer, "event", sentence)
        if not kept or writer.lost != self._report.lost_told:
            self._report.account(writer, kept)

    def _failed(self, name: str, error: BaseException) -> None:
        with self._held("") as writer:
            if writer is not None:
                self._report.fault(writer, name, f"{type(error).__name__}: {text(error)}")

    def _beat(self) -> None:
        with self._held("") as writer:
            if writer is not None and self._abandoned:
                self._close(writer, "crashed", None)
            elif writer is not None:
                writer.check()
                step = as_step(self._last_step)[0]
                kept = writer.beat(self._phase, None if step == NO_STEP else step, self._clock())
                if not kept or writer.lost != self._report.lost_told:
                    self._report.account(writer, kept)

    def _sampled(self, values: Mapping[str, float]) -> None:
        """A row from the sampler's thread, which may come when the run has just ended: that is no mistake of anybody's."""
        with self._held("") as writer:
            if writer is not None:
                kept = self._log_slowly(writer, values, None)
                if not kept or writer.lost != self._report.lost_told:
                    self._report.account(writer, kept)

    def _absent(self, kind: str, data: Mapping[str, Any]) -> None:
        with self._held("") as writer:
            if writer is not None:
                self._event(writer, kind, data, None)

    def _close(self, writer: Writer | QueuedWriter, status: Status, exit_code: int | None) -> None:
        for ticker in self._tickers:
            ticker.stop()
        writer.retry()
        self._report.tell(writer)
        self._event(writer, "finish", {"status": status, "exit_code": exit_code}, self._last_step)
        writer.close()
        if writer.lost != self._report.lost_told:
            say(f"run {self.name!r} ended and {writer.lost} of its records were lost: {writer.failure}")
        self._writer = None
        endings.forget(self)

    def _repeat_signal(self) -> None:
        number, self._late_signal = self._late_signal, 0
        endings.send_again(number)
