"""Fakes for the engine: rules that say what a row tells them to say, and rules that break."""

from __future__ import annotations

from dataclasses import dataclass

from runvitals.diagnostics.types import Happening, Pulse, Reading, Row, RuleSpec, RunContext, Sample

READINGS = {
    "u": Reading(state="unknown", reason="needs more"),
    "o": Reading(state="ok"),
    "n": Reading(state="ok", clear=False),
    "i": Reading(state="bad", severity="info", sentence="info"),
    "w": Reading(state="bad", severity="warning", sentence="warning"),
    "c": Reading(state="bad", severity="critical", sentence="critical"),
    "-": None,
}


def spec(name: str, **changes: object) -> RuleSpec:
    """A spec that reads the loss."""
    values: dict[str, object] = {
        "code": "T1",
        "title": name,
        "family": "test",
        "summary": "",
        "main_signal": "loss",
        "signals": ("loss",),
        "clear": 2,
        **changes,
    }
    return RuleSpec(name=name, **values)  # type: ignore[arg-type]


@dataclass(slots=True)
class Scripted:
    """A rule whose n-th row gives the n-th letter's reading; see READINGS. After the script it says nothing."""

    spec: RuleSpec
    script: str

    def start(self, context: RunContext) -> _Playing:
        return _Playing(self.script)


class _Playing:
    def __init__(self, script: str) -> None:
        self._script = script
        self._place = 0

    def update(self, sample: Sample) -> Reading | None:
        letter = self._script[self._place] if self._place < len(self._script) else "-"
        self._place += 1
        if letter == "!":
            raise ZeroDivisionError("on purpose")
        return READINGS[letter]

    def happen(self, happening: Happening) -> Reading | None:
        return None

    def pulse(self, pulse: Pulse) -> Reading | None:
        return None


def loss_row(step: int, loss: float = 1.0) -> Row:
    """A row with a loss, one second after the one before."""
    return Row(time_s=1000.0 + step, step=step, values={"loss": loss})
