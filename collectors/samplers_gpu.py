"""Samples of NVIDIA GPUs, by the management library that comes with the driver (NVML, as `pynvml` from nvidia-ml-py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runvitals.collectors.samples import GIB, Absence, Sample


class GpuSampler:
    """Utilisation, memory, power, temperature, SM clock and throttle reasons of each GPU that this process may use.

    Devices bear NVML's numbers (the order of the PCI bus, as in nvidia-smi). Where CUDA_VISIBLE_DEVICES is set, only those it names are
    sampled: another user's idle GPU says nothing about this run.

    nvml: gives the module `pynvml`; called once, at the first sample, because it loads the driver's library.
    """

    def __init__(self, nvml: Callable[[], Any], environ: Mapping[str, str]) -> None:
        self._load = nvml
        self._visible = environ.get("CUDA_VISIBLE_DEVICES")
        self._nvml: Any = None
        self._devices: dict[int, Any] | None = None

    def sample(self) -> Sample:
        """All devices now; a reading that a device does not give is absent, and so is everything on a machine without a driver."""
        absent: list[Absence] = []
        if self._devices is None:
            self._devices = self._found(absent)
        values: dict[str, float] = {}
        for index, device in self._devices.items():
            for names, reading in self._readings(device):
                try:
                    values.update(zip((f"gpu/{index}/{name}" for name in names), reading(), strict=True))
                except self._nvml.NVMLError as error:
                    absent.extend(Absence(what=f"gpu/{index}/{name}", why=str(error)) for name in names)
        return Sample(values=values, absent=tuple(absent))

    def _found(self, absent: list[Absence]) -> dict[int, Any]:
        try:
            self._nvml = self._load()
        except ImportError as error:
            absent.append(Absence(what="gpu", why=f"nvidia-ml-py: {error}"))
            return {}
        try:
            self._nvml.nvmlInit()
            devices = {i: self._nvml.nvmlDeviceGetHandleByIndex(i) for i in range(self._nvml.nvmlDeviceGetCount())}
            visible = {i: device for i, device in devices.items() if self._is_visible(i, device)}
        except self._nvml.NVMLError as error:
            absent.append(Absence(what="gpu", why=str(error)))
            return {}
        if not visible:
            absent.append(Absence(what="gpu", why=f"none of {len(devices)} devices is visible to this process"))
        return visible

    def _is_visible(self, index: int, device: Any) -> bool:
        """True where CUDA_VISIBLE_DEVICES names the device, by number or by (the beginning of) its UUID, or is not set."""
        if self._visible is None:
            return True
        words = [word.strip() for word in self._visible.split(",") if word.strip()]
        if any(
            word.startswith("MIG-") for word in words
        ):  # a slice: NVML's devices are whole cards, we cannot tell which one it is on
            return True
        uuid = self._nvml.nvmlDeviceGetUUID(device)
        return any(word == str(index) or (word.startswith("GPU-") and uuid.startswith(word)) for word in words)

    def _readings(self, device: Any) -> list[tuple[tuple[str, ...], Callable[[], tuple[float, ...]]]]:
        """What is asked of a device: the names, and the call that gives their values."""
        nvml = self._nvml

        def memory() -> tuple[float, ...]:
            info = nvml.nvmlDeviceGetMemoryInfo(device)
            return info.used / GIB, info.total / GIB

        return [
            (("utilization",), lambda: (nvml.nvmlDeviceGetUtilizationRates(device).gpu,)),
            (("memory_used_gib", "memory_total_gib"), memory),
            (("power_w",), lambda: (nvml.nvmlDeviceGetPowerUsage(device) / 1000,)),
            (("power_limit_w",), lambda: (nvml.nvmlDeviceGetEnforcedPowerLimit(device) / 1000,)),
            (("temperature_c",), lambda: (nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),)),
            (("sm_clock_mhz",), lambda: (nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM),)),
            (("throttled",), lambda: (nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device),)),
        ]
