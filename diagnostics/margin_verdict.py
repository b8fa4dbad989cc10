"""What judging a margin comes to: a ruling, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runvitals.diagnostics.margin_limits import MarginState
from runvitals.diagnostics.types import Number, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A state, how bad it is, and since when."""

    state: MarginState
    severity: Severity | None = None
    onset_step: int | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginVerdict:
    """What the course of a margin amounts to.

    title: the state in a word or two. severity: None where nothing is wrong. finding: one plain sentence, with its numbers, for an
    alert. sentence: the numbers in one line, for the head of a section. numbers: the same, one by one. window: first and last step.
    """

    state: MarginState
    severity: Severity | None
    title: str
    finding: str
    sentence: str
    numbers: Sequence[Number] = ()
    window: tuple[int | None, int | None] = (None, None)
    onset_step: int | None = None
