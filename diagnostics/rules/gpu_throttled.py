"""`gpu_throttled` (R4): a device slows itself down, for heat or for a lack of power."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.baseline import SortedWindow
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, is_finite
from runvitals.diagnostics.rules.sources import NVML, SAGEMAKER
from runvitals.diagnostics.signals import Device, device
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a device is too hot."""

    hot_c: float = limit(
        90.0, "temperature of the core above which a busy device counts as slowed", least=40.0, most=120.0, unit="°C"
    )


SPEC = RuleSpec(
    name="gpu_throttled",
    code="R4",
    title="GPU slows itself down",
    family="resource",
    summary="In 10 of the last 12 samples a device reports a slow-down for heat or by hardware, or while busy is hotter than 90 °C, or runs "
    "below 70 % of its usual busy clock. A power cap in software is no fault.",
    main_signal="gpu_temperature_c",
    signals=("gpu_throttled", "gpu_temperature_c", "gpu_sm_clock_mhz"),
    clear=24,
    inhibits=("throughput_drop",),
    causes=(
        Cause(text="Cooling: dust, a dead fan, hot air from the neighbour"),
        Cause(text="The power supply, or its cable, gives too little"),
        Cause(text="Someone set a lower clock or power limit", likelihood="unlikely"),
    ),
    remedies=(
        Remedy(text="Read the reasons: nvidia-smi -q -d PERFORMANCE,TEMPERATURE", **NVML),
        Remedy(text="Move the run to another node; the slowest device sets the pace for all"),
        Remedy(
            text="Set one power limit for all devices, a little lower",
            detail="Costs a few percent, and keeps them alike",
            **SAGEMAKER,
        ),
    ),
    false_alarms="Idle devices lower their clock: only busy ones count. Memory of some boards runs hotter than 90 °C; this reads the core.",
    source="NVML clocks event reasons; rule catalogue R4 (12 samples)",
    needs="GPU temperature, clock or throttle reasons: 12 samples",
    limits=described(Limits),
)

_HEAT_OR_HARDWARE = 0x8 | 0x20 | 0x40 | 0x80
"""NVML: hardware slow-down, thermal slow-down in software and in hardware, power brake."""
_SLOW = 0.7
_BUSY = 80.0
_SAMPLES, _OF_THEM = 12, 10
_USUAL = 60


class _Device:
    """One device: whether each of its newest samples was slowed, and its usual clock while busy."""

    def __init__(self, hot_c: float) -> None:
        self._hot_c = hot_c
        self.slowed: deque[bool] = deque(maxlen=_SAMPLES)
        self.clock = SortedWindow(240)
        self.why = ""
        self.value = 0.0

    def take(self, found: dict[str, float]) -> None:
        """Takes a sample: signal → value."""
        busy = found.get("gpu_utilization", 0.0) > _BUSY
        clock, hot = found.get("gpu_sm_clock_mhz", 0.0), found.get("gpu_temperature_c", 0.0)
        reasons = int(found.get("gpu_throttled", 0.0)) & _HEAT_OR_HARDWARE
        slow = busy and len(self.clock) >= _USUAL and 0.0 < clock < _SLOW * self.clock.median()
        self.slowed.append(bool(busy and (reasons or hot > self._hot_c or slow)))
        if reasons or hot > self._hot_c:
            self.why, self.value = f"runs at {hot:.0f} °C" + (" and reports a slow-down" if reasons else ""), hot
        elif slow:
            self.why, self.value = f"runs at {clock:.0f} MHz instead of {self.clock.median():.0f}", clock
        if busy and clock > 0.0 and not self.slowed[-1]:
            self.clock.add(clock)


class _Detector(RowDetector):
    """All devices."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._devices: dict[Device, _Device] = {}
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a sample of the machine."""
        found: dict[Device, dict[str, float]] = {}
        for key, value in sample.raw.items():
            place = device(key)
            if place is not None and value is not None and is_finite(value):
                found.setdefault(place[1], {})[place[0]] = value
        for index, values in found.items():
            self._devices.setdefault(index, _Device(self._limits.hot_c)).take(values)
        slowed = {i: d for i, d in self._devices.items() if sum(d.slowed) >= _OF_THEM}
        if not slowed:
            near = any(sum(d.slowed) > _SAMPLES // 2 for d in self._devices.values())
            if not near:
                self._since = None
            return NEAR if near else OK
        step = self._timeline.step
        if self._since is None:
            self._since = step
        index, worst = next(iter(sorted(slowed.items())))
        names = ", ".join(str(i) for i in sorted(slowed))
        numbers = (
            Number(label="Slowed samples of the last 12", value=float(sum(worst.slowed)), expected="0"),
            Number(label=f"GPU {index}", value=worst.value, unit="°C" if "°C" in worst.why else "MHz"),
        )
        return bad("warning", f"GPU {names} {worst.why}, {at(step)}.", numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
