"""The guard between training and us: whatever fails on our side is counted and reported, and training goes on."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar, cast

Hook = TypeVar("Hook", bound=Callable[..., None])

FAILURES_TO_DISABLE = 3
"""Failures in a row after which a part is switched off; a success in between starts the count anew."""

_MESSAGE_CHARACTERS = 500


class Guard:
    """Counts failures by part, reports each kind once, and says which parts are switched off.

    report: called with the data of a `fault` event; it may itself fail, silently, for there is nobody left to tell.
    """

    def __init__(self, report: Callable[[dict[str, Any]], None]) -> None:
        self._report = report
        self._in_a_row: Counter[str] = Counter()
        self._reported: set[tuple[str, str]] = set()
        self.counts: Counter[str] = Counter()
        self.disabled: set[str] = set()

    def call(self, part: str, function: Callable[[], Any], *, tolerated: int = FAILURES_TO_DISABLE) -> Any:
        """What `function` returns; None where it failed or the part is switched off."""
        if part in self.disabled:
            return None
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 (the one place that keeps training alive, whatever broke on our side)
            self._note(part, error, tolerated)
            return None
        self._in_a_row.pop(part, None)
        return result

    def _note(self, part: str, error: Exception, tolerated: int) -> None:
        self.counts[part] += 1
        self._in_a_row[part] += 1
        off = self._in_a_row[part] >= tolerated
        if off:
            self.disabled.add(part)
        kind = (part, type(error).__name__)
        if kind in self._reported and not off:
            return
        self._reported.add(kind)
        message = f"{type(error).__name__}: {error}"[:_MESSAGE_CHARACTERS]
        fault = {"where": part, "count": self.counts[part], "message": message, "disabled": off}
        try:
            self._report(fault)
        except Exception:  # noqa: BLE001 (the report of a failure must not become one)
            self.counts["report"] += 1


def guarded(part: str) -> Callable[[Hook], Hook]:
    """A decorator for hooks of an object with a `guard`: an exception inside is the guard's business and never the trainer's."""

    def decorate(method: Hook) -> Hook:
        @functools.wraps(method)
        def hook(self: Any, *arguments: Any, **named: Any) -> None:
            self.guard.call(part, functools.partial(method, self, *arguments, **named))

        return cast(Hook, hook)

    return decorate
