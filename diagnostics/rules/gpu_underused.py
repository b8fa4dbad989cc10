"""`gpu_underused` (R1): the devices wait for most of the time."""

from __future__ import annotations

from dataclasses import dataclass

from runvitals.diagnostics.baseline import SortedWindow, Window
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, is_finite, short
from runvitals.diagnostics.rules.sources import SAGEMAKER
from runvitals.diagnostics.signals import Device, device
from runvitals.diagnostics.types import (
    Cause,
    Evidence,
    Happening,
    Number,
    Pulse,
    Reading,
    Remedy,
    RuleSpec,
    RunContext,
    Sample,
    Severity,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a device has too little to do."""

    low_percent: float = limit(
        70.0, "utilisation that a busy device reaches at least, 95th percentile", least=10.0, most=95.0, unit="%"
    )


SPEC = RuleSpec(
    name="gpu_underused",
    code="R1",
    title="GPU waits",
    family="resource",
    summary="Over the newest 500 samples and at least 10 minutes of training, the 95th percentile of a GPU's utilisation is below 70 % "
    "(warning), or it swings between above 70 % and below 10 % (information). Devices that never did anything are left out.",
    main_signal="gpu_utilization",
    signals=("gpu_utilization", "data_wait_s", "step_time_s"),
    clear=60,
    causes=(
        Cause(text="The data loader is too slow"),
        Cause(text="The batch is too small, or the model too small for the device"),
        Cause(text="Much of the step runs on the CPU: tokenisation, logging, rewards, generation"),
        Cause(text="Ranks wait for each other"),
    ),
    remedies=(
        Remedy(
            text="More data workers, pinned memory, prefetching",
            detail="Look at the data wait beside the step time",
            **SAGEMAKER,
        ),
        Remedy(text="Larger batch per device; pack short samples", **SAGEMAKER),
        Remedy(text="bf16 and flash attention free memory for larger batches"),
        Remedy(text="For GRPO and PPO: generate with vLLM, or shorten the answers"),
    ),
    false_alarms="Utilisation only says that some kernel ran. Small models and generation in RL leave a device idle by nature.",
    source="SageMaker LowGPUUtilization (p95 70 %, p5 10 %, 500 samples)",
    needs="gpu utilisation, 10 minutes",
    limits=described(Limits),
)

_SAMPLES = 500
_LEAST_SAMPLES = 60
_LEAST_S = 600.0
_HIGH_TAIL, _IDLE = 10.0, 5.0
_TRAINING = ("train", "generate")


class _Detector:
    """The newest utilisations of each device while training, and the share of a step that waits for data."""

    def __init__(self, limits: Limits) -> None:
        self._low = limits.low_percent
        self._phase = "train"
        self._devices: dict[Device, SortedWindow] = {}
        self._keys: dict[tuple[str, ...], tuple[tuple[str, Device], ...]] = {}
        self._since_s: float | None = None
        self._stepped = False
        self._wait = Window(64)

    def happen(self, happening: Happening) -> Reading | None:
        """Only training counts: a device may well idle while a checkpoint is written."""
        if happening.kind == "phase":
            self._phase = str(happening.data.get("phase", self._phase))
        return None

    def pulse(self, pulse: Pulse) -> Reading | None:
        return None

    def update(self, sample: Sample) -> Reading | None:
        if sample.step is not None:
            self._take_wait(sample)
        if "gpu_utilization" not in sample.signals or not self._stepped or self._phase not in _TRAINING:
            return None
        if self._since_s is None:
            self._since_s = sample.time_s
        for key, index in self._keys_of(tuple(sample.raw)):
            value = sample.raw[key]
            if value is not None and is_finite(value):
                self._devices.setdefault(index, SortedWindow(_SAMPLES)).add(value)
        return self._judge(sample.time_s - self._since_s)

    def _take_wait(self, sample: Sample) -> None:
        self._stepped = True
        wait, whole = sample.signals.get("data_wait_s"), sample.signals.get("step_time_s")
        if wait is not None and whole is not None and is_finite(wait) and is_finite(whole) and whole > 0.0:
            self._wait.add(wait / whole)

    def _keys_of(self, keys: tuple[str, ...]) -> tuple[tuple[str, Device], ...]:
        """The utilisation keys of a row with their device."""
        found = self._keys.get(keys)
        if found is None:
            places = [(key, device(key)) for key in keys]
            found = tuple(
                (key, place[1]) for key, place in places if place is not None and place[0] == "gpu_utilization"
            )
            self._keys = {keys: found}
        return found

    def _judge(self, watched_s: float) -> Reading:
        busy = {index: window for index, window in self._devices.items() if window.quantile(1.0) > _IDLE}
        if not busy:
            return Reading(state="unknown", reason="needs a GPU that does something")
        fewest = min(len(window) for window in busy.values())
        if watched_s < _LEAST_S or fewest < _LEAST_SAMPLES:
            return Reading(state="unknown", reason=f"needs 10 minutes of training, has {watched_s / 60:.0f}")
        low = {index: window for index, window in busy.items() if window.quantile(0.95) < self._low}
        if low:
            return self._bad("warning", low, "is at most")
        swings = {index: w for index, w in busy.items() if w.quantile(0.05) < _HIGH_TAIL and w.median() < self._low}
        if swings:
            return self._bad("info", swings, "swings up to")
        return OK if all(window.quantile(0.95) > self._low + 5.0 for window in busy.values()) else NEAR

    def _bad(self, severity: Severity, windows: dict[Device, SortedWindow], words: str) -> Reading:
        index, worst = min(windows.items(), key=lambda item: item[1].median())
        names = ", ".join(str(place) for place in sorted(windows))
        numbers = [
            Number(
                label=f"GPU {index}, 95th percentile",
                value=worst.quantile(0.95),
                unit="%",
                expected=f"above {short(self._low)}",
            ),
            Number(label=f"GPU {index}, median", value=worst.median(), unit="%"),
            Number(label=f"GPU {index}, 5th percentile", value=worst.quantile(0.05), unit="%"),
        ]
        causes = SPEC.causes
        if len(self._wait):
            share = self._wait.median()
            numbers.append(
                Number(label="Share of a step that waits for data", value=100 * share, unit="%", expected="below 10")
            )
            because = f"{share:.0%} of a step waits for its batch"
            loader = Cause(text=causes[0].text, likelihood="likely" if share > 0.2 else "unlikely", because=because)
            causes = (loader, *causes[1:]) if share > 0.2 else (*causes[1:], loader)
        return Reading(
            state="bad",
            severity=severity,
            sentence=f"Utilisation of GPU {names} {words} {short(worst.quantile(0.95))} %, "
            f"with a median of {short(worst.median())} %, over {len(worst)} samples.",
            evidence=Evidence(numbers=tuple(numbers), window=(None, None)),
            causes=causes,
        )


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
