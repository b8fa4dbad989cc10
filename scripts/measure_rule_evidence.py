"""Which rules were tried on which real runs: `python scripts/measure_rule_evidence.py FOLDER…` writes docs/rule_evidence.json.

The folders hold labelled runs (docs/scoring.md). `scripts/write_rules_page.py` puts the result beside each rule.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.replay import split_timed
from runvitals.diagnostics.scoring.types import LabelledRun
from runvitals.diagnostics.types import Happening, Row, RunContext
from runvitals.labelled_runs import read_labelled_runs

EVIDENCE = Path(__file__).resolve().parent.parent / "docs" / "rule_evidence.json"


def main() -> None:
    """Replays all runs and writes what each rule said of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    runs = [run for folder in parser.parse_args().folders for run in read_labelled_runs(folder)[0]]
    found = measured([run for run in runs if run.severity != "unknown"])
    EVIDENCE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {EVIDENCE.name}: {len(found)} rules, {len(runs)} runs")


def measured(runs: list[LabelledRun]) -> dict[str, dict[str, Any]]:
    """By rule. judged: runs of which it had enough data. warned, told: broken runs by cause, with a warning or worse, or information
    only. healthy: healthy runs that it judged, of which it informed, and of which it warned. What another alert explains does not count."""
    rules = default_rules()
    found: dict[str, dict[str, Any]] = {
        rule.spec.name: {"judged": 0, "warned": Counter(), "told": Counter(), "healthy": [0, 0, 0]} for rule in rules
    }
    for run in runs:
        engine = replayed(run)
        worst: dict[str, bool] = {}
        for alert in engine.alerts():
            if alert.inhibited_by:
                continue
            worst[alert.rule] = worst.get(alert.rule, False) or alert.severity != "info"
        for name in engine.judged():
            found[name]["judged"] += 1
            found[name]["healthy"][0] += run.severity != "broken"
        for name, warned in worst.items():
            if run.severity == "broken":
                found[name]["warned" if warned else "told"][run.cause or run.fault] += 1
            else:
                found[name]["healthy"][1 + warned] += 1
    return found


def replayed(run: LabelledRun) -> Engine:
    """The engine after a run."""
    rules = default_rules() if run.timed else split_timed(default_rules())[0]
    engine = Engine(rules, RunContext(run_id=run.name, trainer=run.kind, max_steps=run.max_steps))
    for item in run.items:
        if isinstance(item, Row):
            engine.feed(item)
        elif isinstance(item, Happening):
            engine.happen(item)
        else:
            engine.pulse(item)
    return engine


if __name__ == "__main__":
    main()
