"""docs/rules.md says what the rules say."""

from __future__ import annotations

import runpy
from pathlib import Path

from runvitals.diagnostics.catalogue import default_rules

ROOT = Path(__file__).resolve().parents[2]


def test_rules_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_rules_page.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"](), "run: python scripts/write_rules_page.py"


def test_rules_page_names_every_rule_and_remedy() -> None:
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    for rule in default_rules():
        assert f"### `{rule.spec.name}`" in text
        assert all(remedy.text in text for remedy in rule.spec.remedies)
