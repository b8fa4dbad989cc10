"""The code of docs/notebook.md runs, in order, on runs that were really logged and taken in."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import runvitals
from runvitals.cli import app

PAGE = Path(__file__).parent.parent.parent / "docs" / "notebook.md"


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two runs that the page speaks of, in the store of the environment."""
    monkeypatch.setenv("RUNVITALS_HOME", str(tmp_path))
    with runvitals.init(project="demo", name="dpo-7b", config={"lr": 5e-6}, home=tmp_path) as run:
        for step in range(1, 1001):
            loss = math.nan if step == 700 else 2.0 / (1 + 0.01 * step)
            grad_norm = 80.0 if step == 333 else 1.0 + 0.1 * math.sin(step)
            row = {"loss": loss, "grad_norm": grad_norm, "train/lr": 5e-6, "tokens": 512 * step}
            run.log({**row, "perf/step_time_s": 0.5, "rank/1/perf/step_time_s": 0.75}, step=step)
            if step == 500:
                run.event("checkpoint", {"path": "out/checkpoint-500"}, step=step)
        identity = run.id
    with runvitals.init(project="demo", name="sft-7b", config={"lr": 1e-4}, home=tmp_path) as run:
        run.log({"loss": 2.5}, step=1)
    assert identity != run.id
    assert CliRunner().invoke(app, ["watch", "--once", "--home", str(tmp_path)]).exit_code == 0


def test_every_example_of_the_page_runs(logged: None, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) > 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    alerts = names["alerts"]
    assert len(alerts)  # type: ignore[arg-type] # the NaN and the spike are told, so the page's loop has printed
    assert capsys.readouterr().out
