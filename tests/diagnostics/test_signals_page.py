"""docs/signals.md says what the code does."""

from __future__ import annotations

import runpy
from pathlib import Path

from runvitals.diagnostics.signals import SIGNALS

ROOT = Path(__file__).resolve().parents[2]


def test_signals_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_signals_page.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"](), "run: python scripts/write_signals_page.py"


def test_signals_page_names_every_signal() -> None:
    text = (ROOT / "docs" / "signals.md").read_text(encoding="utf-8")
    assert [name for name in SIGNALS if not name.startswith("eval_") and f"| `{name}` |" not in text] == []
