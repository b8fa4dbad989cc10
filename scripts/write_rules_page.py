"""Writes docs/rules.md from the rules themselves: `python scripts/write_rules_page.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.types import Remedy, RuleSpec

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rules.md"
EVIDENCE = PAGE.with_name("rule_evidence.json")

INTRODUCTION = """# Rules

Written by `scripts/write_rules_page.py` from the rules in `diagnostics/rules/`; change those.

A rule reads signals ([signals.md](signals.md)) and says *unknown* (not enough data), *ok* or *bad*. `hold` bad readings on end fire
an alert, `clear` clear ones on end resolve it; missing data never does. Severity rises while an alert fires and never falls.
Alerts whose firing overlaps are one incident, named by the earliest that can have led to the others: as severe, or right before them. A rule that *hides* others keeps them out of sight while it
fires at least as severely; they are tracked on and come back when it resolves.

Most rules compare a run with its own start or its own noise, since no absolute number holds for all models; those that compare stretches
judge every few rows. Rows right after an evaluation, a checkpoint, a resume, a jump of the learning rate or the edge of an epoch are left
out where they would upset a rule's numbers.

A warning costs attention, so a rule may only give one where it stays quiet on all healthy logs that we have: published ones, and tiny runs
made for it. What could not be made quiet is information: flat losses and rewards, clipping, steps at the edges of epochs, uneven devices,
underfitting, the scale of a reward model, length that may explain a reward. Thresholds began as those of the catalogue; *After* says where a
rule left it, and *False alarms* why.

The codes are the catalogue's. Two of its items live in another rule: a start that takes too long (S2) in `progress_stalled`, a spike that does
not recover (D4) in `loss_spike` and `loss_divergence`. R5 is two rules: `rank_straggler` reads the ranks' own times, `rank_imbalance` utilisation.

*Tried on* counts real runs: published logs, and tiny runs of the corpus ([scoring.md](scoring.md)), healthy and broken on purpose, of the
halves that thresholds were fitted on; `scripts/measure_rule_evidence.py` counts them. Many rules have met no real run with their fault yet.

Every rule reads scalars only. A run that is wrong and smooth looks healthy to all of them: healthy is not correct.
"""


def remedy_line(remedy: Remedy) -> str:
    """One remedy as a list item."""
    source = f"[{remedy.source}]({remedy.url})" if remedy.url else remedy.source
    return "1. " + ". ".join(part for part in (remedy.text, remedy.detail, source) if part) + "."


def limit_lines(spec: RuleSpec) -> list[str]:
    """The numbers that a user may set, as a table of their own."""
    if not spec.limits:
        return []
    lines = ["\nIn [runvitals.toml](user-rules.md):\n", "| | default | range | |\n|---|---|---|---|"]
    for one in spec.limits:
        unit = f" {one.unit}" if one.unit else ""
        lines.append(f"| `{one.name}` | {one.default:g}{unit} | {one.least:g} to {one.most:g} | {one.meaning} |")
    return lines


def tried_on(evidence: Mapping[str, Any] | None) -> str:
    """What real runs say of a rule. evidence: what `scripts/measure_rule_evidence.py` found, None for a rule that is newer."""
    if not evidence or not evidence["judged"]:
        return "**no real run logs what it needs**: it rests on made-up curves alone"
    runs = "one real run" if evidence["judged"] == 1 else f"{evidence['judged']} real runs"
    parts = [f"{runs} that log what it needs"]
    for key, word in (("warned", "warns of broken ones"), ("told", "informs on broken ones")):
        if evidence[key]:
            parts.append(f"{word}: " + ", ".join(f"{cause} ({n})" for cause, n in sorted(evidence[key].items())))
    if not evidence["warned"] and not evidence["told"]:
        parts.append("**none with its fault**: that it fires rests on made-up curves")
    healthy, informed, warned = evidence["healthy"]
    if warned or informed:
        parts.append(f"of {healthy} healthy ones it warns of {warned} and informs on {informed}")
    else:
        parts.append(f"quiet on {healthy} healthy ones" if healthy else "no healthy one among them")
    return "; ".join(parts)


def section(spec: RuleSpec, evidence: Mapping[str, Any] | None) -> str:
    """What one rule is."""
    signals = ", ".join(f"`{signal}`" for signal in spec.signals) or "every row"
    facts = [
        ("Reads", signals + (", and the time" if spec.timed else "")),
        ("Trainers", ", ".join(spec.trainers) or "all"),
        ("Needs", spec.needs),
        ("Hold / clear", f"{spec.hold} / {spec.clear}"),
        ("Hides", ", ".join(f"`{name}`" for name in spec.inhibits)),
        ("False alarms", spec.false_alarms),
        ("After", spec.source),
        ("Tried on", tried_on(evidence)),
    ]
    return "\n".join(
        [
            f"### `{spec.name}` · {spec.title} ({spec.code})\n",
            spec.summary + "\n",
            "| | |\n|---|---|",
            *(f"| {label} | {text} |" for label, text in facts if text),
            *limit_lines(spec),
            "\nLikely causes:\n",
            *(f"- {cause.text}" for cause in spec.causes),
            "\nWhat to do:\n",
            *(remedy_line(remedy) for remedy in spec.remedies),
            "",
        ]
    )


def page() -> str:
    """The whole page as Markdown."""
    specs = [rule.spec for rule in default_rules()]
    found = json.loads(EVIDENCE.read_text(encoding="utf-8"))
    order = list(dict.fromkeys(spec.family for spec in specs))
    parts = [INTRODUCTION]
    for family, members in groupby(
        sorted(specs, key=lambda spec: order.index(spec.family)), key=lambda spec: spec.family
    ):
        parts.append(f"## {family.capitalize()}\n")
        parts += [section(spec, found.get(spec.name)) for spec in members]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}: {len(default_rules())} rules")
