"""A run as its training process sees it: log, event, phase, alert, finish. None of them raises for what the training does or the disk."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from runvitals.collectors import endings
from runvitals.collectors.faults import Faults, say
from runvitals.collectors.heartbeat import Ticker
from runvitals.collectors.jsonable import plain, text
from runvitals.collectors.labels import Labels, read_labels
from runvitals.collectors.mounts import on_network
from runvitals.collectors.numbers import as_numbers, as_step
from runvitals.collectors.process_facts import new_writer_id, process_facts, whole
from runvitals.collectors.queued_writer import QueuedWriter
from runvitals.collectors.records import NO_STEP, Phase
from runvitals.collectors.run_ids import checked_run_id, new_run_id
from runvitals.collectors.sampling import Sampling
from runvitals.collectors.writer import ROTATE_BYTES, Writer

Status = Literal["finished", "stopped", "crashed"]

_PHASES = frozenset({"init", "train", "eval", "save", "generate"})
_SIGNAL_WAIT_S = 0.2
"""How long a signal waits for a thread that is writing; where the interrupted thread itself was writing, it comes again right after."""
_TRACEBACK_LETTERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run is recorded; the defaults are right for training.

    run_id: join this run instead of beginning one: a resume where the process is its training's first (RANK 0 or none), else another rank
    of a run that is alive. sample: take samples of host and GPUs; None: only the first
    process of each machine does. clock: seconds since 1970.
    """

    run_id: str | None = None
    heartbeat_s: float = 2.0
    sample_s: float = 5.0
    sample: bool | None = None
    rotate_bytes: int = ROTATE_BYTES
    queued: bool | None = None
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.run_id is not None:
            checked_run_id(self.run_id, "run_id")


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
        self._faults = Faults()
        self._lost_told = 0
        self._loss_said = False
        self._phase: str = "init"
        self._last_step: Any = None
        self._late_signal = 0
        self._inert = False
        self._ending: tuple[Status, int] | None = None
        self._abandoned = False
        self.in_training = False
        """True while a training is under way that records here: a process that ends by then has not finished, whatever the reason."""
        labels = read_labels(tags, group, description)
        self._writer: Writer | QueuedWriter | None = self._opened(config, labels, now_s, options)
        for sentence in labels.refused:
            self._fault(self._writer, "init", f"{sentence}; left out")
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

    def _opened(self, config: Any, labels: Labels, now_s: float, options: Options) -> Writer | QueuedWriter:
        facts = process_facts(os.environ)
        start = {
            "time_s": now_s,
            "run_id": self.id,
            "writer_id": new_writer_id(),
            "project": self.project,
            "name": self.name,
            "config": _as_config(config),
            "tags": labels.tags,
            "group": labels.group,
            "description": labels.description,
            "info": facts,
            # Not whether the folder is there: the watcher removes what it has stored. Other ranks join what rank 0 has begun or resumed.
            "resumed": options.run_id is not None and facts["rank"] == 0,
        }
        if on_network(self.path.absolute()) if options.queued is None else options.queued:
            try:
                return QueuedWriter(self.path, start, rotate_bytes=options.rotate_bytes)
            except RuntimeError as error:
                say(f"no queue before the file system: {error}; where it hangs, so does training")
        writer = Writer(self.path, start, rotate_bytes=options.rotate_bytes)
        if writer.failure:
            say(f"cannot write the journal: {writer.failure}; training goes on, its rows are lost until this works")
        return writer

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Appends one row; when this returns, the kernel has it. Without a step the row lives on the time axis only.

        Values that cannot be a number are refused alone and reported; nested dicts are flattened with "/"; None, NaN and Inf are kept.
        """
        with self._lock:
            writer = self._writer
            if writer is None:
                self._too_late("log")
                return
            try:
                kept = writer.row(values, NO_STEP if step is None else step, self._clock())
                if step is not None:
                    self._last_step = step
            except Exception:  # noqa: BLE001 - a value's own way of becoming a number may raise anything
                kept = self._log_slowly(writer, values, step)
            if not kept or writer.lost != self._lost_told:
                self._account(writer, kept)
        if self._late_signal:
            self._repeat_signal()

    def event(self, kind: str, data: Mapping[str, Any] | None = None, step: int | None = None) -> None:
        """Appends something that happened; see `records.Event` for the kinds that the rooms agree on."""
        with self._held("event") as writer:
            if writer is not None:
                self._event(writer, kind, {} if data is None else _as_object(data), step)

    def phase(self, name: Phase) -> None:
        """Says what the training is busy with from now on; told to the watcher at once where it changes."""
        with self._held("phase") as writer:
            if writer is None:
                return
            if name not in _PHASES:
                self._fault(writer, "phase", f"expected one of {', '.join(sorted(_PHASES))}, got {text(name)[:40]!r}")
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
            if isinstance(error, SystemExit):
                code = error.code if isinstance(error.code, int) else int(error.code is not None)
                self._ending = ("crashed", code) if code else ("finished", 0)
            elif isinstance(error, KeyboardInterrupt):
                self._ending = ("stopped", 128 + signal.SIGINT)
                self._event(writer, "signal", {"name": "SIGINT"}, self._last_step)
            else:
                self._ending = ("crashed", 1)
                lines = "".join(traceback.format_exception(error))[-_TRACEBACK_LETTERS:]
                data = {"type": type(error).__name__, "message": text(error), "traceback": lines}
                self._event(writer, "exception", data, self._last_step)

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
            if self._writer is None and what:
                self._too_late(what)
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
            self._fault(writer, "log", sentence)
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
            self._fault(writer, "event", sentence)
        if not kept or writer.lost != self._lost_told:
            self._account(writer, kept)

    def _fault(self, writer: Writer | QueuedWriter, where: str, message: str) -> None:
        """Counts a fault; the first of its kind is printed and told in the run, the count follows at the end."""
        if self._faults.note(where, message):
            say(f"{where}: {message} (counted, not printed again)")
            self._tell_faults(writer)

    def _account(self, writer: Writer | QueuedWriter, kept: bool) -> None:
        """Takes lost records into account: printed once, told in the run as soon as writing works again."""
        lost = writer.lost - self._lost_told if kept else 0
        if self._faults.note("journal", f"records lost: {writer.failure}", lost) and not self._loss_said:
            self._loss_said = True
            say(f"the journal lost records: {writer.failure}; training goes on, they are counted (not printed again)")
        if kept:
            self._lost_told = writer.lost
            self._tell_faults(writer)

    def _tell_faults(self, writer: Writer | QueuedWriter) -> None:
        for fault in self._faults.untold():
            if writer.event({"time_s": self._clock(), "step": None, "kind": "fault", "data": asdict(fault)}):
                self._faults.told(fault)

    def _too_late(self, what: str) -> None:
        if not self._inert and self._faults.note(what, "called after the run had ended"):
            say(f"{what}: called after run {self.name!r} had ended; what was given is not kept (not printed again)")

    def _failed(self, name: str, error: BaseException) -> None:
        with self._held("") as writer:
            if writer is not None:
                self._fault(writer, name, f"{type(error).__name__}: {text(error)}")

    def _beat(self) -> None:
        with self._held("") as writer:
            if writer is not None and self._abandoned:
                self._close(writer, "crashed", None)
            elif writer is not None:
                writer.check()
                step = as_step(self._last_step)[0]
                kept = writer.beat(self._phase, None if step == NO_STEP else step, self._clock())
                if not kept or writer.lost != self._lost_told:
                    self._account(writer, kept)

    def _sampled(self, values: Mapping[str, float]) -> None:
        """A row from the sampler's thread, which may come when the run has just ended: that is no mistake of anybody's."""
        with self._held("") as writer:
            if writer is not None:
                kept = self._log_slowly(writer, values, None)
                if not kept or writer.lost != self._lost_told:
                    self._account(writer, kept)

    def _absent(self, kind: str, data: Mapping[str, Any]) -> None:
        with self._held("") as writer:
            if writer is not None:
                self._event(writer, kind, data, None)

    def _close(self, writer: Writer | QueuedWriter, status: Status, exit_code: int | None) -> None:
        for ticker in self._tickers:
            ticker.stop()
        writer.retry()
        self._tell_faults(writer)
        self._event(writer, "finish", {"status": status, "exit_code": exit_code}, self._last_step)
        writer.close()
        if writer.lost != self._lost_told:
            say(f"run {self.name!r} ended and {writer.lost} of its records were lost: {writer.failure}")
        self._writer = None
        endings.forget(self)

    def _repeat_signal(self) -> None:
        number, self._late_signal = self._late_signal, 0
        endings.send_again(number)


def _as_config(config: Any) -> dict[str, Any]:
    """The config as a JSON object: a mapping, a namespace or dataclass by its fields, anything else under "value"."""
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        config = getattr(config, "__dict__", None) or config
    made: dict[str, Any] = plain(_as_object(config))
    return made


def _as_object(value: Any) -> Mapping[Any, Any]:
    """The value where it is a mapping, else one that holds it."""
    return value if isinstance(value, Mapping) else {"value": value}
