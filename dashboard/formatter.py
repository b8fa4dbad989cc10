"""The one formatter: the same number looks the same everywhere. Its twin for the browser is `components/format.js`.

Three significant digits, a real minus, a thin space in thousands, "—" for what is missing. `tests/dashboard/test_formatter.py`
proves that both give the same text.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal

MISSING = "—"
MINUS = "−"
THIN_SPACE = "\u2009"
"""Between thousands. Not a comma or a point, which mean different things in different countries."""

_LARGEST_PLAIN = Decimal("1e7")
_SMALLEST_PLAIN = Decimal("1e-3")
_LARGEST_EXACT = 1e15
"""From here on a float no longer holds every whole number, so counts and times are written as powers."""


def number(value: float | None, *, digits: int = 3) -> str:
    """The number with `digits` significant digits: 0.689, 16.0, 7 580, 4.32e-5."""
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    if value == 0:
        return "0"
    rounded = _significant(abs(value), digits)
    if not _SMALLEST_PLAIN <= rounded < _LARGEST_PLAIN:
        return _sign(value) + _exponent(rounded, digits)
    decimals = max(0, digits - 1 - rounded.adjusted())
    return _sign(value) + _grouped(rounded, decimals)


def signed(value: float | None, *, digits: int = 3) -> str:
    """A margin or a difference, always with its sign and at most four decimals: +0.447, −3.08, +0.0091."""
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    if abs(value) < 0.5 * 10.0 ** -(digits + 1):
        # Rounds to zero, and zero has one look.
        return "+" + _grouped(Decimal(0), digits)
    sign = MINUS if value < 0 else "+"
    rounded = _significant(abs(value), digits)
    if rounded >= _LARGEST_PLAIN:
        return sign + _exponent(rounded, digits)
    decimals = min(digits + 1, max(0, digits - 1 - rounded.adjusted()))
    return sign + _grouped(_fixed(abs(value), decimals) if rounded < 1 else rounded, decimals)


def rate(value: float | None) -> str:
    """A learning rate: 5.0e-5; from 0.01 on like any number."""
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    if value == 0 or abs(value) >= 0.01:
        return number(value)
    return _sign(value) + _exponent(_significant(abs(value), 2), 2)


def count(value: float | None) -> str:
    """A whole number in full: 7 583."""
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    if abs(value) >= _LARGEST_EXACT:
        return number(value)
    return _signed_unless_zero(value, _fixed(abs(value), 0), 0)


def percent(fraction: float | None, *, decimals: int = 0) -> str:
    """A share of one as percent: 0.516 is "52 %", with one decimal "51.6 %"."""
    special = _special(fraction)
    if special is not None or fraction is None:
        return special or MISSING
    # Through the shortest decimal text, so that 0.285 is 28.5 and not 28.499999999999996.
    scaled = float(Decimal(repr(abs(float(fraction)))) * 100)
    if scaled >= _LARGEST_EXACT:
        return _sign(fraction) + number(scaled) + " %"
    return _signed_unless_zero(fraction, _fixed(scaled, decimals), decimals) + " %"


def quantity(value: float | None, unit: str, *, digits: int = 3) -> str:
    """A number and its unit with a space between; the unit is left out where the number is missing."""
    text = number(value, digits=digits)
    return f"{text} {unit}" if unit and text != MISSING else text


def data_size(value: float | None) -> str:
    """An amount of data in bytes: 0 B, 12.3 KiB, 1.50 GiB."""
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    amount = value
    for unit in ("B", "KiB", "MiB"):
        if abs(amount) < 1000:
            return f"{count(amount) if unit == 'B' else number(amount)} {unit}"
        amount /= 1024
    return f"{number(amount)} GiB"


def data_rate(mib_s: float | None) -> str:
    """How fast data flows, from MiB a second: 819 B/s, 12.3 KiB/s, 1.50 GiB/s."""
    special = _special(mib_s)
    if special is not None or mib_s is None:
        return special or MISSING
    return f"{data_size(mib_s * 1024 * 1024)}/s"


def duration(seconds: float | None) -> str:
    """How long something takes: 0.42 s, 4.2 s, 38 s, 3 min 38 s, 49 min, 5 h 02 min, 1 d 3 h."""
    special = _special(seconds)
    if special is not None or seconds is None:
        return special or MISSING
    length_s = max(0.0, seconds)
    if length_s >= _LARGEST_EXACT:
        return f"{number(length_s)} s"
    if length_s < 1:
        return f"{_fixed(length_s, 2)} s"
    if length_s < 9.95:
        return f"{_fixed(length_s, 1)} s"
    whole_s = int(_fixed(length_s, 0))
    if 60 <= whole_s < 600:
        return f"{whole_s // 60} min {whole_s % 60:02d} s"
    return _coarse(whole_s)


def age(seconds: float | None) -> str:
    """How long ago, in whole units: 2 s, 14 min, 2 h 10 min, 1 d 3 h. Nothing is younger than 0 s."""
    special = _special(seconds)
    if special is not None or seconds is None:
        return special or MISSING
    if seconds >= _LARGEST_EXACT:
        return f"{number(seconds)} s"
    return _coarse(math.floor(max(0.0, seconds)))


def clock(time_s: float | None, *, utc_offset_s: float) -> str:
    """The time of day as 20:41:07, `utc_offset_s` east of UTC."""
    special = _special(time_s)
    if special is not None or time_s is None:
        return special or MISSING
    return f"{_moment(time_s, utc_offset_s):%H:%M:%S}"


def _special(value: float | None) -> str | None:
    """The text of a value that is no finite number, None for one that is."""
    if value is None:
        return MISSING
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else MINUS + "Inf"
    return None


def _sign(value: float) -> str:
    return MINUS if value < 0 else ""


def _signed_unless_zero(value: float, rounded: Decimal, decimals: int) -> str:
    """What rounds to zero has no sign: there is no −0 on any screen."""
    return (_sign(value) if rounded else "") + _grouped(rounded, decimals)


def _significant(value: float, digits: int) -> Decimal:
    # ROUND_HALF_UP on the exact binary value is what JavaScript's toExponential does.
    return Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal_from_float(float(value))


def _fixed(value: float, decimals: int) -> Decimal:
    # Enough precision for every digit of what is written plainly.
    context = Context(prec=40, rounding=ROUND_HALF_UP)
    return Decimal(float(value)).quantize(Decimal(1).scaleb(-decimals), context=context)


def _exponent(rounded: Decimal, digits: int) -> str:
    power = rounded.adjusted()
    mantissa = rounded.scaleb(-power, context=Context(prec=digits + 5, rounding=ROUND_FLOOR))
    return f"{mantissa:.{digits - 1}f}e{power}"


def _grouped(value: Decimal, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace(",", THIN_SPACE)


def _coarse(whole_s: int) -> str:
    if whole_s < 60:
        return f"{whole_s} s"
    minutes = whole_s // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 60 * 24:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // (60 * 24)} d {minutes // 60 % 24} h"


def _moment(time_s: float, utc_offset_s: float) -> datetime:
    return datetime.fromtimestamp(math.floor(time_s), UTC) + timedelta(seconds=utc_offset_s)
