"""A healthy preference run starts where all losses are alike and grows noisy as its margins grow; that is no divergence."""

from __future__ import annotations

import math

import numpy as np

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Row, RunContext

SEEDS = 60
ROWS = 300


RECIPE_RUN = (
    0.693,
    0.693,
    0.693,
    0.691,
    0.687,
    0.687,
    0.676,
    0.673,
    0.672,
    0.660,
    0.662,
    0.653,
    0.645,
    0.651,
    0.630,
    0.632,
    0.631,
    0.648,
    0.603,
    0.600,
    0.596,
    0.594,
    0.590,
    0.573,
    0.604,
    0.544,
    0.581,
    0.564,
    0.586,
    0.600,
    0.531,
    0.566,
    0.506,
    0.513,
    0.546,
    0.538,
    0.509,
    0.549,
    0.515,
    0.548,
    0.531,
    0.551,
    0.511,
    0.507,
    0.482,
    0.502,
    0.465,
    0.517,
    0.486,
    0.522,
    0.477,
    0.520,
    0.515,
    0.494,
    0.407,
    0.444,
    0.352,
    0.459,
    0.373,
    0.383,
    0.369,
    0.672,
    0.370,
    0.382,
    0.313,
    0.274,
    0.342,
    0.306,
    0.430,
    0.439,
    0.571,
    0.311,
    0.544,
    0.443,
    0.511,
    0.286,
    0.455,
    0.471,
    0.481,
    0.409,
    0.463,
    0.223,
    0.313,
    0.326,
    0.528,
    0.351,
    0.281,
    0.277,
    0.463,
    0.414,
    0.311,
    0.424,
    0.241,
    0.371,
    0.489,
    0.299,
    0.395,
    0.343,
    0.473,
    0.520,
    0.210,
    0.633,
    0.463,
    0.340,
    0.259,
    0.393,
    0.414,
    0.338,
    0.323,
    0.434,
    0.422,
    0.634,
    0.269,
    0.356,
    0.379,
    0.380,
    0.430,
    0.283,
    0.415,
    0.366,
    0.514,
    0.557,
    0.520,
    0.510,
    0.277,
    0.301,
    0.452,
    0.281,
    0.599,
    0.531,
    0.479,
    0.253,
    0.581,
    0.355,
    0.470,
    0.364,
    0.368,
    0.378,
    0.541,
    0.582,
    0.311,
    0.307,
    0.437,
    0.326,
    0.346,
    0.422,
    0.239,
    0.365,
    0.243,
    0.402,
    0.412,
    0.255,
    0.425,
    0.342,
    0.285,
    0.327,
    0.477,
    0.334,
    0.334,
    0.534,
    0.403,
    0.340,
    0.366,
    0.288,
    0.267,
    0.437,
    0.553,
    0.355,
    0.585,
    0.402,
)
"""Losses of a healthy run of our own DPO recipe, one a step, with a tenth of its labels flipped: its batches wander for tens of steps."""


def fired(seed: int, *, diverges: bool) -> set[str]:
    """Rules that warned on a DPO-like loss: ln 2 at the start, noise growing to 35 % a batch; it turns upwards at 200 if it diverges."""
    random = np.random.default_rng(seed)
    engine = Engine(default_rules(), RunContext(run_id="r", trainer="dpo", max_steps=ROWS))
    for step in range(1, ROWS + 1):
        learnt = 1 - math.exp(-step / 60)
        level = math.log(2) - 0.35 * learnt
        if diverges and step > 200:
            level *= math.exp(0.03 * (step - 200))
        loss = level * math.exp(0.35 * learnt * random.normal())
        engine.feed(Row(time_s=float(step), step=step, values={"loss": loss, "learning_rate": 5e-4}))
    return {alert.rule for alert in engine.alerts() if alert.severity != "info"}


def test_noise_that_grows_with_the_margin_warns_in_at_most_one_healthy_run_of_twenty() -> None:
    warned = [seed for seed in range(SEEDS) if fired(seed, diverges=False)]
    assert len(warned) <= SEEDS // 20


def test_divergence_is_caught_in_the_same_noise() -> None:
    caught = [seed for seed in range(SEEDS) if "loss_divergence" in fired(seed, diverges=True)]
    assert len(caught) == SEEDS


def test_wandering_losses_of_a_healthy_run_with_noisy_labels_warn_of_nothing() -> None:
    engine = Engine(default_rules(), RunContext(run_id="r", trainer="dpo", max_steps=ROWS))
    for step, loss in enumerate(RECIPE_RUN, start=1):
        engine.feed(Row(time_s=float(step), step=step, values={"loss": loss, "learning_rate": 5e-4}))
    assert [alert.rule for alert in engine.alerts() if alert.severity != "info"] == []


def fired_late(seed: int, *, diverges: bool) -> set[str]:
    """Rules that warned on a log that begins when pairs are told apart: a tenth of ln 2, noise of 50 % a row; it ends at ln 2 and above if it diverges."""
    random = np.random.default_rng(seed)
    engine = Engine(default_rules(), RunContext(run_id="r", trainer="dpo", max_steps=2 * ROWS))
    for step in range(ROWS // 2):
        risen = max(0, step - 75) if diverges else 0
        loss = 0.07 * math.exp(0.5 * random.normal() + 0.06 * risen)
        engine.feed(Row(time_s=float(step), step=100 + 2 * step, values={"loss": loss, "learning_rate": 5e-4}))
    return {alert.rule for alert in engine.alerts() if alert.severity != "info"}


def test_a_log_that_begins_late_is_measured_by_the_loss_of_knowing_nothing() -> None:
    warned = [seed for seed in range(SEEDS) if "loss_divergence" in fired_late(seed, diverges=False)]
    assert len(warned) <= SEEDS // 20
    caught = [seed for seed in range(SEEDS) if "loss_divergence" in fired_late(seed, diverges=True)]
    assert len(caught) == SEEDS
