"""The strip of facts at the head of a run's page, and its open incident in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runvitals.dashboard.formatter import age, count, duration, number, percent, signed
from runvitals.dashboard.incidents import Incident, counted, open_alerts
from runvitals.dashboard.signal_facts import value_kind
from runvitals.dashboard.tokens import SEVERITIES
from runvitals.dashboard.verdicts import title_of
from runvitals.diagnostics.health import ALWAYS, CORE
from runvitals.diagnostics.signals import SIGNALS
from runvitals.store.types import LIVE, AlertRow, Envelope, Health, RunInfo

_MAIN = {
    "dpo": "reward_margin",
    "kto": "reward_margin",
    "orpo": "reward_margin",
    "reward": "reward_margin",
    "ppo": "reward",
    "grpo": "reward",
    "rloo": "reward",
}
"""The signal that a trainer is about; the loss for all others, and where it was not logged."""


def facts(
    run: RunInfo, series: Mapping[str, Envelope], *, health: Health, incidents: Sequence[Incident], now_s: float
) -> list[dict[str, Any]]:
    """The facts in their order, as the component takes them."""
    usual_s = usual_step_s(run, series)
    shown = [
        {
            "id": "health",
            "label": "Health",
            "health": health,
            "text": SEVERITIES[health].word,
            "why": _why(run, health),
        },
        {"id": "status", "label": "Status · phase", "status": run.status, "small": _phase(run)},
        _step(run),
        _left(run, usual_s, now_s),
        _last_step(run, usual_s),
        _throughput(series),
        _main_signal(run, series),
        _open_alerts(incidents),
    ]
    return [fact for fact in shown if fact is not None]


def usual_step_s(run: RunInfo, series: Mapping[str, Envelope]) -> float | None:
    """Median seconds of a step, or the run's mean where step times were not logged."""
    logged = series.get("step_time_s")
    if logged is not None:
        finite = logged.mean[np.isfinite(logged.mean)]
        if finite.size:
            return float(np.median(finite[-200:]))
    if run.last_step and run.last_step_s and run.last_step_s > run.created_s:
        return (run.last_step_s - run.created_s) / run.last_step
    return None


def _why(run: RunInfo, health: Health) -> str:
    """What is missing where the rules cannot call the run healthy; "" where they can, or where the head says that nobody watches."""
    if health != "unknown" or run.health != "unknown":
        return ""
    judges = {ALWAYS, *CORE.get(run.trainer, CORE["custom"])}
    silent = [rule for rule in run.rules if rule["state"] == "unknown" and (rule["error"] or rule["rule"] in judges)]
    silent.sort(key=lambda rule: not rule["error"])
    if not silent:
        return "" if run.rules else "no rule has looked at this run yet"
    return f"{silent[0]['rule']}: {silent[0]['reason']}"


def _phase(run: RunInfo) -> str:
    # A loop of one's own names no phases; once it has steps it is past its start-up, whatever it does.
    told = run.phase and run.status in LIVE and not (run.phase == "init" and run.last_step is not None)
    return f"· {run.phase}" if told else ""


def _step(run: RunInfo) -> dict[str, Any]:
    fact: dict[str, Any] = {"id": "step", "label": "Step", "text": count(run.last_step)}
    if run.last_step is not None and run.max_steps:
        share = run.last_step / run.max_steps
        fact |= {"small": f"/ {count(run.max_steps)} · {percent(min(1.0, share))}", "share": share}
    return fact


def _left(run: RunInfo, usual_s: float | None, now_s: float) -> dict[str, Any]:
    if run.status not in LIVE:
        ended_s = run.ended_s or run.last_step_s
        return {
            "id": "left",
            "label": "Took",
            "text": duration(ended_s - run.created_s) if ended_s else duration(None),
            "small": f"ended {age(now_s - ended_s)} ago" if ended_s else "",
        }
    if run.status in ("stalled", "hung"):
        return {"id": "left", "label": "Left", "text": duration(None), "small": "stands still"}
    if usual_s is None or run.last_step is None or not run.max_steps:
        return {
            "id": "left",
            "label": "Left",
            "text": duration(None),
            "small": "length not known" if not run.max_steps else "",
        }
    left_s = max(0.0, (run.max_steps - run.last_step) * usual_s)
    return {"id": "left", "label": "Left", "text": duration(left_s), "ends_s": round(now_s + left_s, -1)}


def _last_step(run: RunInfo, usual_s: float | None) -> dict[str, Any]:
    fact: dict[str, Any] = {"id": "last", "label": "Last step", "text": duration(None)}
    if run.last_step_s is not None:
        fact["since_s"] = run.last_step_s
    if usual_s is not None:
        fact["small"] = f"usual {duration(usual_s)}"
    return fact


_RATES = (("tokens_per_s", "Tokens/s"), ("samples_per_s", "Samples/s"))


def _throughput(series: Mapping[str, Envelope]) -> dict[str, Any] | None:
    """The newest rate beside the usual one: of tokens, or of samples where nobody counts tokens."""
    for signal, label in _RATES:
        finite = series[signal].mean if signal in series else np.empty(0)
        finite = finite[np.isfinite(finite)]
        if finite.size:
            now, usual = float(finite[-1]), float(np.median(finite))
            small = _change(now / usual - 1) if usual > 0 else ""
            return {"id": "throughput", "label": label, "text": number(now), "small": small}
    return None


def _change(fraction: float) -> str:
    """A change in percent with its sign, which zero has not."""
    text = percent(fraction)
    return f"+{text}" if fraction > 0 and text != percent(0) else text


def _main_signal(run: RunInfo, series: Mapping[str, Envelope]) -> dict[str, Any] | None:
    wanted = _MAIN.get(run.trainer, "loss")
    signal = wanted if wanted in series else "loss"
    logged = series.get(signal)
    if logged is None or not logged.last.size:
        return None
    write = signed if value_kind(signal) == "signed" else number
    finite = logged.mean[np.isfinite(logged.mean)]
    # The verdict's mean is one over the last half, the chart's one over its newest steps.
    small = f"last row; run's mean {write(float(finite.mean()))}" if finite.size else ""
    # The newest value as it is: NaN is a fact that belongs here.
    newest = float(logged.last[-1]) if not logged.kinds[-1] else float("nan")
    return {"id": "main", "label": SIGNALS[signal].title, "text": write(newest), "small": small}


def _open_alerts(incidents: Sequence[Incident]) -> dict[str, Any]:
    many = counted(incidents, "open")
    told = {"acknowledged": counted(incidents, "acknowledged"), "muted": counted(incidents, "muted")}
    parts = [f"in {count(many)} incident{'s' if many > 1 else ''}"] if many else []
    parts += [f"{count(number)} {word}" for word, number in told.items() if number]
    return {"id": "alerts", "label": "Open alerts", "text": count(open_alerts(incidents)), "small": ", ".join(parts)}


MOST_BESIDE = 3
"""Further incidents named beside the main one; the Alerts page has all."""


def beside_json(incidents: Sequence[Incident], shown: Incident | None) -> dict[str, Any]:
    """The open incidents that the page is not about, each by its root, worst first, and how many more there are.

    What is only worth knowing asks nothing of anybody: a line says it, never a block.
    """
    others = [one for one in incidents if one is not shown and one.state == "open"]
    return {
        "title": "Also open" if shown else "Noted",
        "roots": [
            {
                "id": one.root.id,
                "severity": one.severity,
                "acknowledged": False,
                "text": f"{title_of(one.root)}{_at(one.root)}",
            }
            for one in others[:MOST_BESIDE]
        ],
        "more": max(0, len(others) - MOST_BESIDE),
    }


def incident_json(incident: Incident, *, now_s: float) -> dict[str, Any]:
    """The incident in words: root cause first, its most likely cause, the others by onset."""
    root = incident.root
    causes = root.detail.get("causes") or [{}]
    return {
        "id": root.incident,
        "alert": root.id,
        "severity": incident.severity,
        "title": title_of(root),
        "times": _times(root, now_s),
        "sentence": str(root.detail.get("sentence", "")),
        "cause": _cause(causes[0]),
        "acknowledged": incident.state == "acknowledged",
        "muted_until_s": root.muted_until_s if incident.state == "muted" else None,
        "chain": [
            {
                "id": alert.id,
                "severity": alert.severity,
                "acknowledged": alert.acknowledged_s is not None,
                "text": f"{title_of(alert)}{_at(alert)}",
            }
            for alert in incident.alerts
            if alert.state != "resolved"
        ],
    }


def _times(root: AlertRow, now_s: float) -> str:
    began = f"began at step {count(root.onset_step)}" if root.onset_step is not None else ""
    fired = f"firing since step {count(root.fired_step)}" if root.fired_step is not None else ""
    # Whole minutes, so that the words change once a minute and not once a second.
    open_for = f"open for {age((now_s - (root.fired_s or root.onset_s)) // 60 * 60)}"
    return " · ".join(part for part in (open_for, ", ".join(p for p in (began, fired) if p)) if part)


def _at(alert: AlertRow) -> str:
    return f", step {count(alert.onset_step)}" if alert.onset_step is not None else ""


def _cause(cause: Mapping[str, Any]) -> str:
    text = str(cause.get("text", "")).rstrip(".")
    if not text or cause.get("likelihood") == "unlikely":
        return ""
    word = "Most likely cause" if cause.get("likelihood") == "likely" else "Possible cause"
    return f"{word}: {text[0].lower() + text[1:]}."
