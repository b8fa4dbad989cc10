"""`rank_imbalance` (R5): one device works much less than the others of the run."""

from __future__ import annotations

from runvitals.diagnostics.baseline import SortedWindow
from runvitals.diagnostics.rules.definition import NEAR, OK, Definition, RowDetector, bad, is_finite
from runvitals.diagnostics.rules.sources import BYTE_ROBUST, RESILIENCY, SAGEMAKER
from runvitals.diagnostics.signals import Device, device
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample

SPEC = RuleSpec(
    name="rank_imbalance",
    code="R5",
    title="Devices share the work unevenly",
    family="resource",
    summary="Over 120 samples and 10 minutes of training the median utilisation of a device that works at all is half, or less, of the busiest "
    "one's. Information only: other jobs may use the machine's devices, and waiting counts as work; `rank_straggler` reads the ranks' own times.",
    main_signal="gpu_utilization",
    signals=("gpu_utilization",),
    clear=60,
    causes=(
        Cause(text="One rank does more than the others: logging, evaluation, a longer shard"),
        Cause(
            text="A slow node or device that the others wait for: waiting counts as busy, so the slow one shows less"
        ),
        Cause(text="Another job uses one of the devices"),
    ),
    remedies=(
        Remedy(
            text="Compare the ranks' step times",
            detail="A rank below 0.75 of the best one's speed is a straggler",
            **RESILIENCY,
        ),
        Remedy(text="Take the odd node out, and test it apart", **BYTE_ROBUST),
        Remedy(text="Give each rank batches of like length: group_by_length, packing", **SAGEMAKER),
    ),
    false_alarms="Pipeline stages differ by nature; devices of other jobs are seen too.",
    source="SageMaker LoadBalancing; NVRx; rule catalogue R5",
    needs="utilisation of two GPUs or more, 10 minutes",
)

_SAMPLES = 120
_LEAST_S = 600.0
_IDLE = 5.0


class _Detector(RowDetector):
    """The newest utilisations of each device."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._devices: dict[Device, SortedWindow] = {}
        self._since: int | None = None
        self._since_s: float | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a sample of the machine."""
        if self._timeline.step is None:
            return None
        if self._since_s is None:
            self._since_s = sample.time_s
        for key, value in sample.raw.items():
            place = device(key)
            if place is not None and place[0] == "gpu_utilization" and value is not None and is_finite(value):
                self._devices.setdefault(place[1], SortedWindow(_SAMPLES)).add(value)
        middles = {i: w.median() for i, w in self._devices.items() if len(w) == _SAMPLES and w.quantile(0.9) > _IDLE}
        if len(middles) < 2 or sample.time_s - self._since_s < _LEAST_S:
            return Reading(state="unknown", reason="needs 10 minutes of two working GPUs")
        low, high = min(middles, key=middles.__getitem__), max(middles, key=middles.__getitem__)
        if middles[low] > 0.5 * middles[high] or middles[high] < 30.0:
            if middles[low] > 0.7 * middles[high]:
                self._since = None
                return OK
            return NEAR
        if self._since is None:
            self._since = self._timeline.step
        numbers = tuple(
            Number(label=f"GPU {i}, median", value=middles[i], unit="%", expected="alike") for i in (low, high)
        )
        sentence = f"GPU {low} is busy {middles[low]:.0f} % of the time, GPU {high} {middles[high]:.0f} %."
        return bad("info", sentence, numbers, since=self._since, step=self._timeline.step)


def _make(context: RunContext) -> _Detector:
    return _Detector(Timeline.of_run(context))


RULE = Definition(SPEC, _make)
