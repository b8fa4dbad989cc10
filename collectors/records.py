"""What a journal holds: the records that a training process writes and the watcher reads.

A run has one or more writers (one a process); a writer has one or more files; a record has a sequence number
that rises by one within its writer. (writer_id, seq) names a record for good, which is what makes ingest idempotent.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["init", "train", "eval", "save", "generate"]
"""What the training process is busy with, as far as it told us."""

NO_STEP = -1
"""The step of a row that has none (GPU and host samples): such rows live on the time axis only."""

NONE_BITS = 0x7FF8_0000_4E4F_4E45
"""The bits of the quiet NaN that stands for a logged `None`, so that it survives float64 columns apart from NaN."""

NONE_VALUE: float = struct.unpack("<d", struct.pack("<Q", NONE_BITS))[0]


def is_none(value: float) -> bool:
    """True for the NaN that stands for a logged `None`, false for any other NaN."""
    return math.isnan(value) and struct.unpack("<Q", struct.pack("<d", value))[0] == NONE_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A writer began: who it is and which run it writes. The first record of every journal file.

    info: what the process knows of itself: host, pid, process_start_s, argv, python, user, cwd, versions, rank, world_size.
    tags, group, description: what the run is to be found by from its beginning on; people may change it in the app.
    """

    seq: int
    time_s: float
    run_id: str
    writer_id: str
    project: str
    name: str
    config: Mapping[str, Any]
    info: Mapping[str, Any]
    resumed: bool = False
    tags: Sequence[str] = ()
    group: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Consecutive rows with the same keys, still packed: `body` holds `count` times (time_s f64, step i64, values k×f64), little-endian.

    keys: (k,) in logged order. Row i has sequence number `first_seq + i`. `step` is NO_STEP where none was given.
    """

    first_seq: int
    count: int
    keys: tuple[str, ...]
    body: bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of one packed row."""
        return 16 + 8 * len(self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a moment; `kind` says what, `data` is JSON.

    Kinds that the rooms agree on:
      config     {…}                          settings learnt after the start; merged into the run's config
      trainer    {kind, max_steps, …}         which trainer runs: pretrain, sft, reward, dpo, kto, orpo, ppo, grpo, rloo or custom
      checkpoint {path}                       a checkpoint was written at `step`
      eval       {}                           an evaluation ended at `step`
      summary    {train_loss, …}              the trainer's sums over the whole run, logged once at its end
      resume     {from_step}                  training went back to `from_step`
      phase      {phase}                      the phase changed
      alert      {title, text, severity}      the user's own `runvitals.alert`
      completions {rows: [{prompt, completion, …}]}
      exception  {type, message, traceback}   an exception left the training loop
      signal     {name}                       SIGTERM or SIGINT arrived
      absent     {what, why}                  a device or library is not there; noted once
      fault      {where, count, message}      runvitals itself failed at something; counted, training goes on
      finish     {status, exit_code}          the run ended: status is finished, stopped or crashed
    """

    seq: int
    time_s: float
    step: int | None
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The process is alive: its phase and last step. Written every `heartbeat_s` (2 s) by a small thread."""

    seq: int
    time_s: float
    phase: Phase
    step: int | None


Record = Start | Rows | Event | Beat
