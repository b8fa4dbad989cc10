"""Samples of host and GPUs. There is no GPU where these tests run: NVML is a fake with the library's functions and errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from runvitals.collectors.heartbeat import Ticker
from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.collectors.samplers_gpu import GpuSampler
from runvitals.collectors.samplers_host import HostSampler
from runvitals.collectors.samples import GIB, MIB, Absence, Sample
from runvitals.collectors.sampling import Sampling


class NVMLError(Exception):
    """As in pynvml: the family of its errors."""


class NVMLError_NotSupported(NVMLError):
    """As in pynvml: the device has no such reading."""

    def __str__(self) -> str:
        return "Not Supported"


@dataclass
class FakeNvml:
    """The functions of pynvml that we call, with its units: mW, bytes, MHz, percent. refuse: functions that a device does not support."""

    devices: int = 1
    refuse: frozenset[str] = frozenset()
    broken: str = ""
    calls: list[str] = field(default_factory=list)
    NVMLError: type[Exception] = NVMLError
    NVML_TEMPERATURE_GPU: int = 0
    NVML_CLOCK_SM: int = 1

    def _answer(self, function: str, value: Any) -> Any:
        self.calls.append(function)
        if function in self.refuse:
            raise NVMLError_NotSupported
        return value

    def nvmlInit(self) -> None:
        self.calls.append("nvmlInit")
        if self.broken:
            raise NVMLError(self.broken)

    def nvmlDeviceGetCount(self) -> int:
        return self.devices

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUUID(self, device: int) -> str:
        return f"GPU-{device}000-aaaa"

    def nvmlDeviceGetUtilizationRates(self, device: int) -> Any:
        return self._answer("utilization", SimpleNamespace(gpu=90 + device, memory=10))

    def nvmlDeviceGetMemoryInfo(self, device: int) -> Any:
        return self._answer("memory", SimpleNamespace(total=80 * GIB, used=20 * GIB, free=60 * GIB))

    def nvmlDeviceGetPowerUsage(self, device: int) -> int:
        return int(self._answer("power", 350_500))

    def nvmlDeviceGetEnforcedPowerLimit(self, device: int) -> int:
        return int(self._answer("limit", 700_000))

    def nvmlDeviceGetTemperature(self, device: int, sensor: int) -> int:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return int(self._answer("temperature", 61))

    def nvmlDeviceGetClockInfo(self, device: int, clock: int) -> int:
        assert clock == self.NVML_CLOCK_SM
        return int(self._answer("clock", 1980))

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, device: int) -> int:
        return int(self._answer("throttle", 0x4))


def test_the_fake_has_only_functions_that_the_library_has() -> None:
    pynvml = pytest.importorskip("pynvml")
    names = [name for name in dir(FakeNvml) if name.startswith(("nvml", "NVML"))]
    assert len(names) > 10
    assert [name for name in names if not hasattr(pynvml, name)] == []
    assert issubclass(pynvml.NVMLError_NotSupported, pynvml.NVMLError)


def test_a_gpu_is_read_in_our_units() -> None:
    sample = GpuSampler(FakeNvml, {}).sample()
    assert sample.values == {
        "gpu/0/utilization": 90,
        "gpu/0/memory_used_gib": 20,
        "gpu/0/memory_total_gib": 80,
        "gpu/0/power_w": 350.5,
        "gpu/0/power_limit_w": 700,
        "gpu/0/temperature_c": 61,
        "gpu/0/sm_clock_mhz": 1980,
        "gpu/0/throttled": 4,
    }
    assert sample.absent == ()


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, {0, 1, 2}),
        ("1", {1}),
        ("2,0", {0, 2}),
        ("GPU-1000", {1}),
        ("", set()),
        ("-1", set()),
        ("MIG-abc", {0, 1, 2}),
    ],
)
def test_only_devices_that_the_process_may_use_are_read(visible: str | None, expected: set[int]) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    sample = GpuSampler(lambda: FakeNvml(devices=3), environ).sample()
    assert {int(key.split("/")[1]) for key in sample.values} == expected
    assert bool(sample.absent) == (not expected)


def test_a_reading_that_a_device_refuses_is_absent_and_the_others_stay() -> None:
    sample = GpuSampler(lambda: FakeNvml(refuse=frozenset({"power", "memory"})), {}).sample()
    assert {absence.what for absence in sample.absent} == {
        "gpu/0/power_w",
        "gpu/0/memory_used_gib",
        "gpu/0/memory_total_gib",
    }
    assert {absence.why for absence in sample.absent} == {"Not Supported"}
    assert sample.values["gpu/0/utilization"] == 90 and len(sample.values) == 5


def test_without_a_driver_gpus_are_absent_and_the_library_is_asked_once() -> None:
    nvml = FakeNvml(broken="NVML Shared Library Not Found")
    sampler = GpuSampler(lambda: nvml, {})
    assert sampler.sample().absent == (Absence(what="gpu", why="NVML Shared Library Not Found"),)
    assert sampler.sample() == Sample()
    assert nvml.calls == ["nvmlInit"]


def test_without_the_library_gpus_are_absent() -> None:
    def missing() -> Any:
        raise ImportError("No module named 'pynvml'")

    [absence] = GpuSampler(missing, {}).sample().absent
    assert absence.what == "gpu" and "nvidia-ml-py" in absence.why


def test_the_real_host_has_memory_at_once_and_rates_from_the_second_sample_on() -> None:
    now = [0.0]
    sampler = HostSampler(clock=lambda: now[0])
    first = sampler.sample().values
    assert 0 < first["host/memory_used_gib"] < first["host/memory_total_gib"]
    assert first["host/process_memory_gib"] == pytest.approx(psutil.Process().memory_info().rss / GIB, rel=0.2)
    assert not any("mib_s" in key or "percent" in key for key in first)
    now[0] = 5.0
    second = sampler.sample().values
    assert {"host/cpu_percent", "host/process_cpu_percent", "host/net_sent_mib_s", "host/net_received_mib_s"} <= set(
        second
    )
    assert all(value >= 0 for value in second.values())


class FakePsutil:
    """psutil where the system tells little: no disk counters, and a network that has sent `sent` bytes."""

    Error = psutil.Error
    Process = psutil.Process
    virtual_memory = staticmethod(psutil.virtual_memory)

    def __init__(self) -> None:
        self.sent = 0

    def cpu_percent(self, interval: float | None) -> float:
        raise psutil.AccessDenied

    def disk_io_counters(self) -> None:
        return None

    def net_io_counters(self) -> Any:
        return SimpleNamespace(bytes_sent=self.sent, bytes_recv=7)


def test_rates_are_means_since_the_last_sample_and_a_counter_that_goes_back_gives_none() -> None:
    now, library = [0.0], FakePsutil()
    sampler = HostSampler(library, clock=lambda: now[0])
    sampler.sample()
    now[0], library.sent = 2.0, 10 * MIB
    assert sampler.sample().values["host/net_sent_mib_s"] == 5.0
    now[0], library.sent = 4.0, 0
    assert "host/net_sent_mib_s" not in sampler.sample().values


def test_what_the_system_does_not_tell_is_absent_and_never_an_error() -> None:
    sample = HostSampler(FakePsutil(), clock=lambda: 0.0).sample()
    assert {absence.what for absence in sample.absent} == {"host/cpu", "host/disk_read_mib_s", "host/disk_write_mib_s"}
    assert "host/memory_total_gib" in sample.values


def test_an_absence_is_told_once_and_samples_become_rows() -> None:
    rows: list[Mapping[str, float]] = []
    events: list[tuple[str, Mapping[str, Any]]] = []
    sampler = GpuSampler(lambda: FakeNvml(refuse=frozenset({"power"})), {})
    sampling = Sampling(rows.append, lambda kind, data: events.append((kind, data)), [sampler])
    for _ in range(3):
        sampling.tick()
    assert len(rows) == 3
    assert events == [("absent", {"what": "gpu/0/power_w", "why": "Not Supported"})]


def test_a_run_samples_its_host_without_a_step(tmp_path: Path, told: Callable[[Path], Any]) -> None:
    run = Run(tmp_path, "p", options=Options(sample=True, sample_s=0.05))
    waiting = threading.Event()
    for _ in range(100):
        if sum("host/cpu_percent" in row[3] for row in told(run.path).rows) >= 2:
            break
        waiting.wait(0.05)
    run.finish()
    say = told(run.path)
    assert sum("host/cpu_percent" in row[3] for row in say.rows) >= 2
    assert {row[2] for row in say.rows} == {-1}
    assert say.of("fault") == []


@pytest.mark.parametrize(("rank", "samples"), [("0", True), ("1", False)])
def test_only_the_first_process_of_a_machine_samples(
    tmp_path: Path, told: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch, rank: str, samples: bool
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    run = Run(tmp_path, "p", options=Options(heartbeat_s=0.05))
    waiting = threading.Event()
    for _ in range(40):
        if told(run.path).rows or (not samples and len(told(run.path).beats) > 3):
            break
        waiting.wait(0.05)
    run.finish()
    assert bool(told(run.path).rows) == samples
    assert told(run.path).starts[0].info["local_rank"] == int(rank)


def test_a_ticker_that_fails_says_so_and_ticks_on() -> None:
    failures: list[str] = []
    enough = threading.Event()

    def action() -> None:
        if len(failures) >= 3:
            enough.set()
        raise ValueError(f"{len(failures)}")

    ticker = Ticker("test", 0.001, action, failed=lambda name, error: failures.append(f"{name} {error}"))
    ticker.start()
    assert enough.wait(5)
    ticker.stop(timeout_s=5)
    assert failures[:3] == ["test 0", "test 1", "test 2"]
    count = len(failures)
    assert not any(thread.name == "runvitals-test" for thread in threading.enumerate())
    assert len(failures) == count


def test_a_sampler_that_breaks_is_a_fault_of_the_run_that_goes_on(tmp_path: Path, told: Callable[[Path], Any]) -> None:
    run = Run(tmp_path, "p", options=Options(sample=False, heartbeat_s=1000.0))
    run._failed("sampler", RuntimeError("driver gone"))
    run._failed("sampler", RuntimeError("driver gone"))
    run.log({"loss": 1}, step=1)
    run.finish()
    say = told(run.path)
    assert [fault["count"] for fault in say.of("fault")] == [1, 2]
    assert say.of("fault")[0] == {"where": "sampler", "count": 1, "message": "RuntimeError: driver gone"}
    assert len(say.training) == 1


def test_a_sample_that_comes_when_the_run_has_just_ended_is_dropped_in_silence(
    tmp_path: Path, told: Callable[[Path], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, "p", options=Options(sample=False, heartbeat_s=1000.0))
    late = Sampling(run._sampled, run._absent, [GpuSampler(lambda: FakeNvml(refuse=frozenset({"power"})), {})])
    run.finish()
    late.tick()
    assert capfd.readouterr().err == ""
    assert told(run.path).rows == [] and told(run.path).of("absent") == []
