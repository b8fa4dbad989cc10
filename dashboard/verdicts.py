"""What each section of a run's page says of itself: a verdict in words, always with its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runvitals.dashboard import families
from runvitals.dashboard.formatter import duration, number, percent, signed
from runvitals.dashboard.panels import ON_POLICY, OTHERS, PINNED, Section
from runvitals.dashboard.signal_facts import value_kind
from runvitals.dashboard.signal_keys import picks
from runvitals.diagnostics.margin import MarginLimits, MarginSettings, MarginVerdict, verdict
from runvitals.diagnostics.signals import SIGNALS
from runvitals.store.types import AlertRow, Envelope, Floats, Latest, RunInfo

MARGIN_SIGNALS = (
    "reward_margin",
    "reward_chosen",
    "reward_accuracy",
    "eval_reward_margin",
    "eval_reward_accuracy",
    "eval_reward_chosen",
    "probe_margin",
    "probe_margin_se",
    "probe_accuracy",
    "probe_chosen",
    "loss",
    "grad_norm",
    "learning_rate",
)
POLICY_SIGNALS = ("reward", "sequence_kl", "kl", "sequence_entropy", "entropy", "eos_tokens")
PART_SIGNALS = ("data_wait_s", "optimizer_time_s", "generation_time_s")
BESIDE_SIGNALS = ("evaluation_time_s", "save_time_s")
OTHER_SIGNALS = (*POLICY_SIGNALS, "step_time_s", *PART_SIGNALS, *BESIDE_SIGNALS, "tokens_per_s", "samples_per_s")
NEUTRAL = "neutral"
"""In place of a severity: the verdict is a word without a mark."""

BUCKETS = 400
"""Points of a series that a verdict looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionWords:
    """severity and word: the verdict's mark, None where there is nothing to mark. sentence: the numbers it rests on."""

    severity: str | None = None
    word: str = ""
    sentence: str = ""

    def json(self) -> dict[str, Any]:
        """As the component takes it."""
        mark = {"severity": self.severity, "word": self.word} if self.severity else None
        return {"verdict": mark, "sentence": self.sentence}


def keys_read(keys: Mapping[str, Latest]) -> dict[str, str]:
    """Signal → key of the series that the verdicts read."""
    best = picks(keys)
    return {signal: best[signal] for signal in (*MARGIN_SIGNALS, *OTHER_SIGNALS) if signal in best}


def margin_verdict(run: RunInfo, series: Mapping[str, Envelope], limits: MarginLimits | None = None) -> MarginVerdict:
    """The verdict on the run's margin from its envelopes by signal. limits: those of the user's rules, ours where None."""
    points = {
        signal: (series[signal].steps.tolist(), series[signal].mean.tolist())
        for signal in MARGIN_SIGNALS
        if signal in series
    }
    return verdict(points, settings=MarginSettings.of_run(run.trainer, run.config, run.max_steps, limits))


def section_words(
    run: RunInfo, series: Mapping[str, Envelope], limits: MarginLimits | None = None
) -> dict[str, SectionWords]:
    """For each section what it says of itself, before any alert is heard; see `agreed`. limits: as of `margin_verdict`."""
    words = {"optimisation": _optimisation(series), "throughput": _throughput(series)}
    margin = margin_verdict(run, series, limits)
    shown = SectionWords(severity=_mark(margin), word=margin.title, sentence=margin.sentence)
    if "eval_reward_margin" in series:
        # Where a trainer evaluates, the verdict goes by that; "held-out" are the probe's pairs on the same page, with other figures.
        shown = replace(shown, word=_evaluated(shown.word), sentence=_evaluated(shown.sentence))
    words["probe" if run.trainer in ON_POLICY or "reward_margin" not in series else "margin"] = shown
    if run.trainer in ON_POLICY:
        words["policy"] = _policy(series)
    return words


def _evaluated(text: str) -> str:
    return text.replace("held-out", "evaluation").replace("Held-out", "Evaluation")


def _mark(margin: MarginVerdict) -> str:
    """How the verdict is marked: nothing wrong is healthy, but not enough data is unknown."""
    if margin.severity is not None:
        return margin.severity
    return "unknown" if margin.state == "start" else "healthy"


def agreed(words: SectionWords, section: Section, alerts: Sequence[AlertRow]) -> SectionWords:
    """The section's words under the mark of the worst alert that fires on its curves: no verdict is milder than its alerts.

    Beside a critical alert on other curves of the run a good verdict keeps its word, and loses the mark of health.
    """
    if section.id in (OTHERS, PINNED):
        return words
    seen = families.shown(alerts)
    worst = families.worst_firing(families.about(section.signals, seen))
    if worst is None or words.severity in ("critical", worst.severity):
        anywhere = families.worst_firing(seen)
        beside = anywhere is not None and anywhere.severity == "critical"
        return replace(words, severity=NEUTRAL) if beside and words.severity == "healthy" else words
    return replace(words, severity=worst.severity, word=title_of(worst))


def _policy(series: Mapping[str, Envelope]) -> SectionWords:
    """How reward, distance and entropy moved."""
    courses = [_course(signal, series[signal]) for signal in POLICY_SIGNALS if signal in series]
    return SectionWords(sentence=", ".join(course for course in courses if course))


def _course(signal: str, envelope: Envelope) -> str:
    """From where to where a signal went: the means of its first and last tenth."""
    values = _finite(envelope.mean)
    if values.size < 2:
        return ""
    tenth = max(1, values.size // 10)
    known = SIGNALS[signal]
    # "nat per answer": of what belongs to the name, and tells two entropies apart.
    unit, per, of = known.unit.partition(" per ") if known.unit.startswith("nat") else ("", "", "")
    first, last = number(float(values[:tenth].mean())), number(float(values[-tenth:].mean()))
    return f"{known.title}{per}{of} {first} → {last}{f' {unit}' if unit else ''}"


def _optimisation(series: Mapping[str, Envelope]) -> SectionWords:
    parts = []
    norms = _finite(series["grad_norm"].mean) if "grad_norm" in series else np.empty(0)
    if norms.size >= 5:
        low, high = np.quantile(norms, [0.1, 0.9])
        parts.append(f"gradient norm {number(float(norms[-1]))}, usually {number(float(low))} to {number(float(high))}")
    return SectionWords(sentence="; ".join(parts))


_PART_WORDS = {
    "data_wait_s": "waits for data",
    "optimizer_time_s": "is the optimiser's",
    "generation_time_s": "is generation",
}
_BESIDE_WORDS = {"evaluation_time_s": "an evaluation takes", "save_time_s": "a checkpoint"}


def _throughput(series: Mapping[str, Envelope]) -> SectionWords:
    """How long a step takes, which part of it goes where, and what comes on top."""
    steps = _finite(series["step_time_s"].mean) if "step_time_s" in series else np.empty(0)
    if not steps.size or steps.sum() <= 0:
        return SectionWords()
    parts = [f"a step takes {duration(float(np.median(steps)))}"]
    for signal, words in _PART_WORDS.items():
        values = _finite(series[signal].mean) if signal in series else np.empty(0)
        if values.size:
            parts.append(f"{percent(float(values.mean() / steps.mean()))} of it {words}")
    for signal, words in _BESIDE_WORDS.items():
        values = _finite(series[signal].mean) if signal in series else np.empty(0)
        if values.size:
            parts.append(f"{words} {duration(float(np.median(values)))}")
    return SectionWords(sentence=", ".join(parts))


def chart_sentence(signal: str, envelope: Envelope | None) -> str:
    """What a chart's curve does, for those who do not see it: its latest value and the range it went through.

    "" for a curve that was not read here: the browser, which has it, says its latest values.
    """
    if envelope is None:
        return ""
    values = _finite(envelope.mean)
    if not values.size:
        return "no values yet"
    write = _writer(signal)
    text = f"now {write(float(values[-1]))}, between {write(float(values.min()))} and {write(float(values.max()))}"
    lost = int(envelope.nonfinite.sum())
    said = "1 value is not a number" if lost == 1 else f"{lost:,} values are not numbers"
    return f"{text}; {said}" if lost else text


def _writer(signal: str) -> Any:
    kind = value_kind(signal)
    return signed if kind == "signed" else percent if kind == "percent" else number


def title_of(alert: AlertRow) -> str:
    """The alert's title; its rule's name in words where the engine gave none."""
    return str(alert.detail.get("title") or alert.rule.replace("_", " ").capitalize())


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]
