"""Samples of the machine and of this process, by psutil."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psutil

from runvitals.collectors.samples import GIB, MIB, Absence, Sample

_RATES = {
    "host/disk_read_mib_s": ("disk_io_counters", "read_bytes"),
    "host/disk_write_mib_s": ("disk_io_counters", "write_bytes"),
    "host/net_sent_mib_s": ("net_io_counters", "bytes_sent"),
    "host/net_received_mib_s": ("net_io_counters", "bytes_recv"),
}


class HostSampler:
    """CPU, memory, disk and network of the machine; CPU and memory of this process, its children not counted.

    Rates are means since the last sample, so the first sample has none. library: psutil. clock: seconds that never go back.
    """

    def __init__(self, library: Any = psutil, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._clock = clock
        self._process: Any = None
        self._before: dict[str, tuple[float, float]] = {}

    def sample(self) -> Sample:
        """The machine now. What the system does not tell (a container without disk counters, say) is absent."""
        values: dict[str, float] = {}
        absent: list[Absence] = []
        for what, part in (("host/memory", self._memory), ("host/cpu", self._cpu), ("host/process", self._of_process)):
            try:
                values.update(part())
            except (OSError, self._library.Error) as error:
                absent.append(Absence(what=what, why=str(error)))
        self._rates(values, absent)
        return Sample(values=values, absent=tuple(absent))

    def _memory(self) -> dict[str, float]:
        memory = self._library.virtual_memory()
        return {
            "host/memory_used_gib": (memory.total - memory.available) / GIB,
            "host/memory_total_gib": memory.total / GIB,
        }

    def _cpu(self) -> dict[str, float]:
        percent = self._library.cpu_percent(None)
        return {"host/cpu_percent": percent} if self._seen("cpu") else {}

    def _of_process(self) -> dict[str, float]:
        if self._process is None:
            self._process = self._library.Process()
        percent = self._process.cpu_percent(None)
        values = {"host/process_memory_gib": self._process.memory_info().rss / GIB}
        return {"host/process_cpu_percent": percent, **values} if self._seen("process") else values

    def _seen(self, what: str) -> bool:
        """False the first time: psutil's percentages count from the call before."""
        seen = what in self._before
        self._before[what] = (0.0, 0.0)
        return seen

    def _rates(self, values: dict[str, float], absent: list[Absence]) -> None:
        for key, (source, field) in _RATES.items():
            try:
                counters = getattr(self._library, source)()
            except (OSError, RuntimeError, NotImplementedError, self._library.Error) as error:
                absent.append(Absence(what=key, why=str(error)))
                continue
            if counters is None:
                absent.append(Absence(what=key, why="the system has no such counter"))
                continue
            now_s, total = self._clock(), float(getattr(counters, field))
            then_s, before = self._before.get(key, (now_s, total))
            if now_s > then_s and total >= before:  # counters go back where a device goes away
                values[key] = (total - before) / MIB / (now_s - then_s)
            self._before[key] = (now_s, total)
