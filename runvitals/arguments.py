"""What callers of the notebook's methods give, checked: names, one or several, choices, ends of a range."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from runvitals.errors import SettingsError

if TYPE_CHECKING:
    from runvitals.store.types import Axis


def listed(names: str | Collection[str]) -> list[str]:
    """One name or several as a list."""
    return [names] if isinstance(names, str) else list(names)


def check(argument: str, given: str | Collection[str] | None, legal: Collection[str]) -> None:
    """Raises SettingsError where an argument is none of the legal ones; None is one that was not given."""
    wrong = [] if given is None else [one for one in listed(given) if one not in legal]
    if wrong:
        raise SettingsError(f"{argument}: expected one of {', '.join(legal)}; got {', '.join(map(repr, wrong))}")


def edge(given: Any, axis: Axis) -> float | None:
    """An end of a range as the store takes it. Raises SettingsError where it is no number or, on the time axis, no time."""
    if given is None:
        return None
    try:
        if axis != "time" or isinstance(given, int | float):
            number = float(given)
        else:
            import pandas as pd

            moment = pd.Timestamp(given)
            number = (moment.tz_localize("UTC") if moment.tzinfo is None else moment).timestamp()
    except (TypeError, ValueError) as error:
        raise SettingsError(f"start or stop: expected a number, or a time on the time axis; got {given!r}") from error
    if number != number:
        raise SettingsError("start or stop: expected a number, got NaN")
    return number
