"""Alerts as JSON."""

from __future__ import annotations

import json
import math

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.convert import alert_detail, number_from_json, number_to_json
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import RunContext
from tests.diagnostics.faults import faulty_runs


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.5, 1e308])
def test_every_float_comes_back(value: float) -> None:
    again = number_from_json(json.loads(json.dumps(number_to_json(value), allow_nan=False)))
    assert again == value or (math.isnan(again) and math.isnan(value))


def test_every_alert_of_every_fault_is_strict_json() -> None:
    for fault in faulty_runs(seed=1):
        engine = Engine(default_rules(), RunContext(run_id="run", trainer=fault.trainer))
        for row in fault.rows:
            engine.feed(row)
        for alert in engine.alerts():
            detail = json.loads(json.dumps(alert_detail(alert), allow_nan=False))
            assert detail["title"] == alert.title
            assert detail["remedies"][0]["text"]
            assert detail["evidence"]["numbers"]


def test_nan_of_the_evidence_survives() -> None:
    fault = next(fault for fault in faulty_runs(seed=1) if fault.rule == "masked_nan")
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="sft"))
    for row in fault.rows:
        engine.feed(row)
    detail = next(alert_detail(alert) for alert in engine.alerts() if alert.rule == "masked_nan")
    assert [number["value"] for number in detail["evidence"]["numbers"]] == [0.0, "NaN"]
