"""Alerts of the sample runs, in every state: open, acknowledged, muted, resolved."""

from __future__ import annotations

from typing import Any

import numpy as np

from runvitals.store import Store
from runvitals.store.types import AlertRow

_GUIDE = "runvitals guide, preference data"


def write(store: Store, runs: dict[str, str], *, now_s: float) -> None:
    """Writes the alerts of those sample runs that are in the store, and what people did with them."""
    rows = [row for row in _rows(now_s) if row.run_id in runs]
    named = [_with_ids(row, runs) for row in rows]
    store.put_alerts(named)
    ids = {row.id for row in named}
    for run, rule, act in (
        ("dpo-7b-stagn-lr1e9", "margin_too_small", lambda at: store.acknowledge(at, "known, ablation", now_s - 3600)),
        ("dpo-7b-uf-b01", "margin_stagnant", lambda at: store.tick(at, 0, True, now_s - 30)),
    ):
        alert_id = f"{runs.get(run)}-{rule}-1"
        if alert_id in ids:
            act(alert_id)


def _with_ids(row: AlertRow, runs: dict[str, str]) -> AlertRow:
    run_id = runs[row.run_id]
    changes = {"run_id": run_id, "id": f"{run_id}-{row.rule}-1", "incident": f"{run_id}-{row.incident}-1"}
    return AlertRow(**{name: changes.get(name, getattr(row, name)) for name in AlertRow.__slots__})


def _rows(now_s: float) -> list[AlertRow]:
    """Alerts by run name; ids are put in where the runs are known."""
    flat = np.random.default_rng(7).normal(0.0, 0.008, 110)
    stagnant = _detail(
        "Margin stagnant",
        "Since step 38 the run no longer tells chosen from rejected; the labels are most likely shuffled.",
        numbers=[
            ("Margin, mean since onset", -0.0005, "reward", "above +0.05"),
            ("Accuracy, since onset", 0.49, "", "above 0.55; a coin: 0.5"),
            ("Loss, since onset", 0.6935, "nat", "below ln 2 = 0.6931"),
        ],
        curve=("reward_margin", flat),
    )
    stagnant["causes"] = [
        _cause(
            "Labels shuffled", "likely", "accuracy 49.0 % since step 38, data revision changed, gradient norm usual"
        ),
        _cause("Chosen and rejected swapped in part", "possible", "some batches below 25 %, some above 75 %"),
        _cause("Learning rate too small", "unlikely", "5e-5 moved log-probabilities by −0.4 nat, so weights do move"),
    ]
    stagnant["remedies"] = [
        _remedy(
            "Read 20 pairs by eye and mark which answer is better.",
            "If fewer than 15 agree with the label, the labels are at fault.",
            _GUIDE,
        ),
        _remedy(
            "Compare the data revision with the last run that learnt.",
            "Here: e77ab9 against 8f1c02 of dpo-7b-clean-lr3e5.",
            "",
        ),
        _remedy(
            "Train 60 steps with chosen and rejected swapped.",
            "A margin that then rises means the columns are swapped, not shuffled.",
            "TRL docs, DPO data format",
            "https://huggingface.co/docs/trl/dpo_trainer",
        ),
        _remedy(
            "Restart from step 0 with the repaired data.",
            "The last 110 steps moved log-probabilities by −0.4 nat and taught no preference.",
            "",
        ),
    ]
    blowup = np.concatenate([np.linspace(0.5, 20, 20), np.full(20, 26.0), np.linspace(26, 148, 20), np.full(36, 148.3)])
    masked = np.concatenate([np.linspace(5.6, 1.9, 60), np.full(60, np.nan)])
    uf, kl0, filtered = "dpo-7b-uf-b01", "ppo-7b-helpful-kl0", "sft-7b-filtered"
    kl = _detail(
        "KL blow-up",
        "The policy left the reference: KL is 148 nat, 25 times its target.",
        numbers=[("KL, now", 148.3, "nat", "below 6")],
        curve=("sequence_kl", blowup),
    )
    nan = _detail(
        "Loss hides NaN since 60",
        "From step 60 on the log writes 0 where the loss was NaN.",
        numbers=[("Loss, logged", 0.0, "nat", "above 0"), ("Loss, real", float("nan"), "nat", "a number")],
        curve=("loss", masked),
    )
    plain = _detail
    return [
        _row(uf, "margin_stagnant", "reward_margin", "critical", (38, 58), (452, 360), now_s, detail=stagnant),
        _row(uf, "accuracy_at_chance", "reward_accuracy", "warning", (44, 64), (420, 330), now_s, root="margin_stagnant", detail=plain("Accuracy at chance", "Accuracy is 49 % over 60 steps; a coin gives 50 %.")),
        _row(uf, "loss_at_ln2", "loss", "warning", (52, 72), (400, 310), now_s, root="margin_stagnant", detail=plain("Loss at ln 2", "Loss is 0.6935 over 60 steps; ln 2 is 0.6931.")),
        _row(kl0, "kl_blowup", "sequence_kl", "critical", (8, 16), (2400, 2280), now_s, detail=kl),
        _row(kl0, "entropy_collapse", "sequence_entropy", "warning", (46, 60), (1500, 1300), now_s, root="kl_blowup", detail=plain("Entropy collapse", "Entropy fell from 19 to 0.1 nat.")),
        _row("sft-13b-fsdp", "crashed", "loss", "critical", (60, 60), (2460, 2460), now_s, detail=plain("Crashed: CUDA error", "Illegal memory access on rank 3 ended the run at step 60.")),
        _row(filtered, "masked_nan", "loss", "critical", (60, 62), (8000, 7900), now_s, detail=nan),
        _row("sft-13b-node2", "progress_stalled", "loss", "warning", (188, 188), (840, 700), now_s, detail=plain("No step for 14 min", "The last step was 14 min ago where 4 s are usual.")),
        _row("grpo-math-nobeta", "entropy_collapse", "entropy", "warning", (90, 104), (1500, 1320), now_s, detail=plain("Entropy collapse", "Entropy fell to 0.02 nat per token, 2 % of its start.")),
        _row("dpo-7b-stagn-lr1e9", "margin_too_small", "reward_margin", "warning", (40, 80), (97800, 97500), now_s, detail=plain("Margin too small", "Margin is +0.0002 after 200 steps.")),
        _row("dpo-7b-clean-lr3e5", "loss_spike", "loss", "warning", (90, 92), (500, 480), now_s, resolved=(101, 420), detail=plain("Loss spike", "Loss rose to 1.2, 5 times its usual spread, and came back within 9 steps.")),
        _row("grpo-math-b005", "zero_advantage_groups", "zero_std_fraction", "warning", (200, None), (20, None), now_s, detail=plain("Groups without advantage", "38 % of groups have equal rewards.")),
    ]  # fmt: skip


def _row(run: str, rule: str, signal: str, severity: Any, steps: tuple[int, int | None], ages_s: tuple[float, float | None], now_s: float, *, detail: dict[str, Any], root: str | None = None, resolved: tuple[int, float] | None = None) -> AlertRow:  # fmt: skip
    fired_s = None if ages_s[1] is None else now_s - ages_s[1]
    return AlertRow(
        id="",
        run_id=run,
        rule=rule,
        signal=signal,
        severity=severity,
        state="resolved" if resolved else "pending" if fired_s is None else "firing",
        incident=root or rule,
        onset_step=steps[0],
        onset_s=now_s - ages_s[0],
        fired_step=steps[1],
        fired_s=fired_s,
        resolved_step=resolved[0] if resolved else None,
        resolved_s=now_s - resolved[1] if resolved else None,
        detail=detail,
    )


def _detail(title: str, sentence: str, *, numbers: Any = (), curve: Any = None) -> dict[str, Any]:
    curves = []
    window = [None, None]
    if curve is not None:
        name, values = curve
        window = [1, len(values)]
        words = [float(value) if np.isfinite(value) else "NaN" for value in values]
        curves = [{"signal": name, "steps": list(range(1, len(values) + 1)), "values": words}]
    rows = [
        {"label": label, "value": value if np.isfinite(value) else "NaN", "unit": unit, "expected": expected}
        for label, value, unit, expected in numbers
    ]
    return {
        "title": title,
        "sentence": sentence,
        "evidence": {"numbers": rows, "window": window, "curves": curves},
        "causes": [],
        "remedies": [],
        "inhibited_by": "",
    }


def _cause(text: str, likelihood: str, because: str) -> dict[str, str]:
    return {"text": text, "likelihood": likelihood, "because": because}


def _remedy(text: str, detail: str, source: str, url: str = "") -> dict[str, str]:
    return {"text": text, "detail": detail, "source": source, "url": url}
