"""Puts a margin's state and figures into words: titles, one plain sentence for an alert, one line of numbers for a screen."""

from __future__ import annotations

import math
from statistics import median

from runvitals.diagnostics.margin_held_out import share_error
from runvitals.diagnostics.margin_history import MarginPoint
from runvitals.diagnostics.margin_limits import MarginState
from runvitals.diagnostics.margin_measure import Measured, swings
from runvitals.diagnostics.margin_numerals import measure_of, on_pairs, percent, share_range, signed, won
from runvitals.diagnostics.margin_tracker import MarginTracker
from runvitals.diagnostics.margin_verdict import MarginVerdict, Ruling
from runvitals.diagnostics.rules.definition import short
from runvitals.diagnostics.types import Number

TITLES: dict[MarginState, str] = {
    "start": "Not enough data",
    "rising": "Rising",
    "levelled_off": "Levelled off",
    "too_small": "Too small",
    "fluctuating": "Fluctuating",
    "stagnant": "Stagnant",
    "inverted": "Inverted",
    "saturated": "Saturated",
    "displaced": "Displaced",
    "falling": "Falling",
}


_OPEN = "Level, or rising"
"""In place of "Levelled off" where a rise is likelier than not, and too unsteady to be called one."""

_MUCH = 0.1
"""Of the margin: a gain in the last 30 % of a run that somebody would see on the curve."""


def put(tracker: MarginTracker, measured: Measured, ruling: Ruling) -> MarginVerdict:
    """The verdict that a ruling amounts to."""
    window = measured.window
    return MarginVerdict(
        state=ruling.state,
        severity=ruling.severity,
        title=_OPEN if _may_rise(measured, ruling) else TITLES[ruling.state],
        finding=_finding(tracker, measured, ruling),
        sentence=_numbers_line(tracker, measured, ruling),
        numbers=numbers(tracker, measured),
        window=(window[0].first_step, window[-1].last_step) if window else (None, None),
        onset_step=ruling.onset_step,
    )


def numbers(tracker: MarginTracker, measured: Measured) -> tuple[Number, ...]:
    """The figures one by one, those that there are: margin, accuracy, loss, gradient norm, learning rate, GPU, held-out pairs."""
    settings, point = tracker.settings, measured.held_out
    expected = f"above {signed(settings.smallest)}" if settings.smallest else "above 0 by more than its error"
    wins_low, wins_high = share_range(measured.accuracy.mean, measured.accuracy.error)
    shown = [
        Number(label="margin, mean", value=measured.margin.mean, unit="reward", expected=expected),
        Number(label="margin, 95 % low", value=measured.margin.low, unit="reward"),
        Number(label="margin, 95 % high", value=measured.margin.high, unit="reward"),
        Number(
            label="chosen wins",
            value=measured.accuracy.mean,
            unit="of pairs",
            expected=f"above {_accuracy(tracker, measured):g}",
        ),
        Number(label="chosen wins, 95 % low", value=wins_low, unit="of pairs"),
        Number(label="chosen wins, 95 % high", value=wins_high, unit="of pairs"),
        Number(label="loss", value=measured.loss, unit="nat", expected="below ln 2" if _has_ln2(tracker) else ""),
        Number(label="gradient norm", value=tracker.newest(tracker.grad_norms), expected="above 0"),
        Number(label="learning rate", value=tracker.newest(tracker.learning_rates), expected="above 0"),
        Number(label="GPU utilisation", value=tracker.gpu_utilization, unit="%"),
        Number(label="margins that were no number", value=tracker.lost or math.nan, expected="0"),
    ]
    if point is not None:
        pairs = settings.probe_pairs if measured.held_out_source == "probe" else None
        shown += [
            Number(label=f"held-out margin ({measured.held_out_source})", value=point.margin, unit="reward"),
            Number(label="held-out margin, 95 % ±", value=1.96 * measured.held_out_error, unit="reward"),
            Number(label="held-out: chosen wins", value=point.accuracy, unit="of pairs", expected="above 0.5"),
            Number(label="held-out pairs", value=pairs or math.nan),
        ]
    return tuple(number for number in shown if math.isfinite(number.value))


def _accuracy(tracker: MarginTracker, measured: Measured) -> float:
    """The share of pairs that chosen should win, of a margin that grows or of one that does not."""
    limits = tracker.settings.limits
    return limits.too_small.accuracy if measured.recent.direction > 0 else limits.stagnant.accuracy


def _may_rise(measured: Measured, ruling: Ruling) -> bool:
    """True where a margin that counts as level gained a lot of late, by a course too unsteady to be sure of it."""
    return ruling.state == "levelled_off" and measured.recent.gain > _MUCH * abs(measured.margin.mean)


def _has_ln2(tracker: MarginTracker) -> bool:
    return tracker.settings.trainer in ("dpo", "reward")


def _numbers_line(tracker: MarginTracker, measured: Measured, ruling: Ruling) -> str:
    """`mean +0.0016 over the last 74 logged steps, 95 % interval −0.0001 to +0.0033, which holds 0 · chosen wins 51.6 % ± 2.9 of pairs, …`."""
    if ruling.state == "start":
        return ruling.missing
    parts = []
    margin, accuracy, point = measured.margin, measured.accuracy, measured.held_out
    if measured.window:
        count = sum(block.margin.count for block in measured.window)
        over = "logged steps" if tracker.settings.optimises else f"readings{_same_pairs(measured)}"
        text = f"mean {signed(margin.mean, margin.error)} over the last {count:,} {over}".replace(",", "\u2009")
        if math.isfinite(margin.error):
            low, high = signed(margin.low, margin.error), signed(margin.high, margin.error)
            text += f", 95 % interval {low} to {high}" + (", which holds 0" if margin.low <= 0 <= margin.high else "")
        parts.append(text)
    if _may_rise(measured, ruling):
        recent = measured.recent
        parts.append(f"in the last 30 % of the run it gained {measure_of(recent.gain, recent.error)}")
    if math.isfinite(accuracy.mean):
        coin = ", a coin wins 50 %" if accuracy.mean < 0.6 else ""
        parts.append(f"chosen wins {won(accuracy.mean, accuracy.error)}{coin}")
    if point is not None:
        parts.append(_held_out(tracker, measured, point))
    return " · ".join(parts)


def _same_pairs(measured: Measured) -> str:
    pairs = measured.held_out_pairs
    return f" of the same {pairs:.0f} pairs" if pairs else " of the same pairs"


def _held_out(tracker: MarginTracker, measured: Measured, point: MarginPoint) -> str:
    """The newest held-out reading with its errors; those of an evaluation are taken from training and said to be so."""
    probe = measured.held_out_source == "probe"
    text = f"newest held-out margin {measure_of(point.margin, measured.held_out_error)}"
    text += on_pairs(measured.held_out_pairs) if probe else " (error: the scatter of training points)"
    if not math.isfinite(point.accuracy):
        return text
    error = share_error(point.accuracy, measured.held_out_pairs) if probe else math.inf
    return f"{text}, chosen wins {won(point.accuracy, error)}"


def _finding(tracker: MarginTracker, measured: Measured, ruling: Ruling) -> str:
    """One plain sentence that says what the state means here."""
    margin = signed(measured.margin.mean, measured.margin.error)
    step, point = tracker.step, measured.held_out
    wins = (
        f" and chosen wins {percent(measured.accuracy.mean)} of pairs" if math.isfinite(measured.accuracy.mean) else ""
    )
    if ruling.state == "inverted" and point is not None and (point.margin < 0 or not measured.window):
        held_wins = f" and chosen wins {percent(point.accuracy)}" if math.isfinite(point.accuracy) else ""
        against = ""
        if tracker.settings.optimises and measured.margin.mean > 0:
            against = f", while on the training pairs it is {margin}{wins}"
        return f"On held-out pairs the model prefers the rejected answer: at step {point.step} the margin is {measure_of(point.margin, point.margin_se)}{held_wins}{against}."
    sentences: dict[MarginState, str] = {
        "start": f"Not enough data: {ruling.missing}.",
        "rising": f"The margin rises: {margin} on average, {signed(measured.last)} at step {step}.",
        "levelled_off": f"The margin is {margin}{wins}; it may still rise."
        if _may_rise(measured, ruling)
        else f"The margin has levelled off at {margin}{wins}.",
        "too_small": f"Chosen and rejected answers are hardly told apart: after {step} steps the margin is {margin}{wins}. {_expected(tracker, measured)}",
        "stagnant": f"Chosen and rejected answers are not being told apart: after {step} steps the margin is {margin} and does not move{wins and ','}{wins}. {_expected(tracker, measured)}",
        "fluctuating": _swinging(tracker, measured) if ruling.state == "fluctuating" else "",
        "inverted": f"The model prefers the rejected answer: the margin is {margin}{wins}.",
        "saturated": f"Every training pair is told apart (loss {short(measured.loss)}){_held_out_short(measured)}; more training can only overfit them.",
        "displaced": f"Chosen answers become ever less likely: {_chosen(tracker, measured)}, while the margin is {margin}.",
        "falling": f"The margin falls: {signed(measured.last)} at step {step}, after {signed(measured.peak)} at its best.",
    }
    return sentences[ruling.state].strip()


def _chosen(tracker: MarginTracker, measured: Measured) -> str:
    if not (tracker.first_logps and tracker.logps):
        return f"their reward is {signed(measured.chosen)}"
    began, now = median(tracker.first_logps), median(tracker.logps)
    return f"their log-probability went from {signed(began)} to {signed(now)} nat per answer"


def _swinging(tracker: MarginTracker, measured: Measured) -> str:
    found, times = swings(tracker), tracker.settings.limits.fluctuating.times
    many = "twice" if times == 2.0 else f"{times:g} times"
    return (
        f"The margin swings by ±{short(found.now)} around {signed(measured.last)}, more than {many} as much as before "
        f"(±{short(found.before)}), and not as small batches scatter by themselves."
    )


def _expected(tracker: MarginTracker, measured: Measured) -> str:
    smallest = tracker.settings.smallest
    if measured.margin.low > smallest:
        limits = tracker.settings.limits
        surely = limits.too_small.surely if measured.recent.direction > 0 else limits.stagnant.surely
        return f"By now chosen should win clearly more than {percent(surely)} of pairs."
    return f"By now it should be above {signed(smallest)}." if smallest else ""


def _held_out_short(measured: Measured) -> str:
    point = measured.held_out
    if point is None or math.isnan(point.accuracy):
        return ", and no held-out pairs are measured"
    return f", but only {percent(point.accuracy)} of held-out pairs"
