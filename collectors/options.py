"""How a run is recorded; the defaults are right for training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from runvitals.collectors.run_ids import checked_run_id
from runvitals.collectors.writer import ROTATE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `runvitals.init(options=…)` takes.

    run_id: join this run instead of beginning one: a resume where the process is its training's first (RANK 0 or none), else another rank
    of a run that is alive. sample: take samples of host and GPUs; None: only the first process of each machine does.
    queued: write through a queue and a thread; None: only on network mounts. heartbeat_s, sample_s: seconds between two.
    rotate_bytes: a larger file is followed by another. clock: seconds since 1970.
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
