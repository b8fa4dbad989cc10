"""Samples into rows, and each absence into one event."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from runvitals.collectors.samplers_gpu import GpuSampler
from runvitals.collectors.samplers_host import HostSampler
from runvitals.collectors.samples import Sampler


class EventSink(Protocol):
    """Takes an event, as `Run.event` does."""

    def __call__(self, kind: str, data: Mapping[str, Any]) -> None: ...


class Sampling:
    """Asks every sampler once a tick. log, event: where rows and `absent` events go."""

    def __init__(
        self, log: Callable[[Mapping[str, float]], None], event: EventSink, samplers: Sequence[Sampler] | None = None
    ) -> None:
        self._log = log
        self._event = event
        self._samplers = machine_samplers(os.environ) if samplers is None else samplers
        self._noted: set[str] = set()

    def tick(self) -> None:
        """One row from each sampler that has something to say."""
        for sampler in self._samplers:
            sample = sampler.sample()
            if sample.values:
                self._log(sample.values)
            for absence in sample.absent:
                if absence.what not in self._noted:
                    self._noted.add(absence.what)
                    self._event("absent", {"what": absence.what, "why": absence.why})


def machine_samplers(environ: Mapping[str, str]) -> Sequence[Sampler]:
    """The samplers of this machine: the host, then its GPUs (whose driver may take seconds to answer the first time)."""
    return (HostSampler(), GpuSampler(lambda: importlib.import_module("pynvml"), environ))
