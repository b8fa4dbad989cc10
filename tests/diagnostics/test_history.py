"""The engine's memory of rows: the newest points of each drawn signal, whatever came beside them."""

from __future__ import annotations

import math
import random
from collections import defaultdict

from runvitals.diagnostics.history import CURVE_POINTS, History, Sheet

SIGNALS = ("loss", "grad_norm", "reward", "eval_loss")


def test_curve_is_the_newest_points_whatever_signals_came_together() -> None:
    draw = random.Random(7)
    history = History(SIGNALS)
    sheets: dict[tuple[str, ...], Sheet] = {}
    logged: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in range(6_000):
        step = None if draw.random() < 0.1 else row
        names = tuple(
            name for name in (*SIGNALS, "not_drawn") if draw.random() < (0.02 if name == "eval_loss" else 0.7)
        )
        signals = {name: draw.choice((None, draw.random())) for name in names}
        if names not in sheets or draw.random() < 0.001:
            sheets[names] = history.sheet(names)
        place = step if step is not None else history.last_step
        history.add(float(row), step, signals, sheets[names])
        if place is not None:
            for name, value in signals.items():
                logged[name].append((place, math.nan if value is None else value))
        if draw.random() < 0.002 or row == 5_999:
            for name in SIGNALS:
                newest = logged[name][-CURVE_POINTS:]
                curve = history.curve(name)
                points = [] if curve is None else list(zip(curve.steps, curve.values, strict=True))
                assert repr(points) == repr(newest)
    assert history.curve("not_drawn") is None


def test_ever_other_signals_fill_no_memory() -> None:
    history = History(SIGNALS)
    sheets = []
    for row in range(10_000):
        sheets.append(history.sheet(["loss"]))
        history.add(float(row), row, {"loss": float(row)}, sheets[-1])
    assert sum(len(sheet.rows) for sheet in sheets) <= 4 * CURVE_POINTS
