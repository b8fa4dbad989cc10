"""The rules that run on every run unless told otherwise."""

from __future__ import annotations

from runvitals.diagnostics.rules import masked_nan, non_finite
from runvitals.diagnostics.types import Rule


def default_rules() -> tuple[Rule, ...]:
    """All rules, causes before symptoms."""
    return (non_finite.RULE, masked_nan.RULE)
