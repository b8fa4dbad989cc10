"""Reading trainer_state.json: whole, padded, torn, foreign."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvitals.collectors.importers.trainer_state import read_trainer_state
from runvitals.errors import LogFileError

ROWS = [
    {"epoch": 0.1, "grad_norm": 1.5, "learning_rate": 1e-4, "loss": 2.0, "step": 10},
    {"epoch": 0.2, "grad_norm": math.nan, "learning_rate": 1e-4, "loss": math.inf, "step": 20},
    {"epoch": 0.2, "eval_loss": 1.9, "eval_runtime": 2.0, "step": 20},
]
SUMMARY = {"epoch": 1.0, "step": 20, "total_flos": 1e12, "train_loss": 1.5, "train_runtime": 30.0}


def written(folder: Path, **state: object) -> Path:
    """A file as transformers writes it."""
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"global_step": 20, "max_steps": 40, "log_history": ROWS, **state}))
    return path


def test_rows_keep_their_values_and_steps(tmp_path: Path) -> None:
    log = read_trainer_state(written(tmp_path))
    assert [row.step for row in log.rows] == [10, 20, 20]
    assert log.rows[0].values == {"epoch": 0.1, "grad_norm": 1.5, "learning_rate": 1e-4, "loss": 2.0}
    assert [row.is_evaluation for row in log.rows] == [False, False, True]
    assert (log.global_step, log.max_steps, log.skipped) == (20, 40, 0)


def test_bare_nan_and_infinity_stay_what_they_are(tmp_path: Path) -> None:
    values = read_trainer_state(written(tmp_path)).rows[1].values
    assert math.isnan(values["grad_norm"] or 0.0)
    assert values["loss"] == math.inf


def test_numbers_as_words_are_numbers_and_other_words_are_left_out(tmp_path: Path) -> None:
    log = read_trainer_state(written(tmp_path, log_history=[{"step": 1, "loss": "NaN", "note": "x", "done": True}]))
    assert list(log.rows[0].values) == ["loss"]
    assert math.isnan(log.rows[0].values["loss"] or 0.0)


def test_null_is_a_fact(tmp_path: Path) -> None:
    log = read_trainer_state(written(tmp_path, log_history=[{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}]))
    assert [row.values for row in log.rows] == [{"loss": 2.0}, {"loss": None}]


def test_nulls_that_pad_a_table_are_no_facts(tmp_path: Path) -> None:
    padded = [{"step": 1, "loss": 2.0, "eval_loss": None, "x": None}, {"step": 1, "loss": None, "eval_loss": 1.0}]
    log = read_trainer_state(written(tmp_path, log_history=padded[:1] + padded))
    assert log.rows[-1].values == {"eval_loss": 1.0}
    assert "x" not in log.rows[0].values


def test_summary_is_no_row(tmp_path: Path) -> None:
    log = read_trainer_state(written(tmp_path, log_history=[*ROWS, SUMMARY]))
    assert (len(log.rows), log.skipped) == (3, 0)


def test_records_without_a_step_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    broken = ["x", {"loss": 1.0}, {"step": -1, "loss": 1.0}, {"step": True, "loss": 1.0}, {"step": "7", "loss": 1.0}]
    log = read_trainer_state(written(tmp_path, log_history=[*broken, *ROWS]))
    assert (len(log.rows), log.skipped) == (3, 5)


def test_folder_gives_its_newest_checkpoint(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        written(folder, global_step=step)
    (tmp_path / "checkpoint-200").mkdir()
    assert read_trainer_state(tmp_path).global_step == 100
    assert read_trainer_state(tmp_path / "checkpoint-9").global_step == 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected JSON"),
        ('{"log_history": [{"step": 1, "lo', "cut off"),
        ("[1, 2]", "got a list"),
        ('{"loss": 1}', "keys: 'loss'"),
        ('{"log_history": {}}', "log_history"),
        ('{"log_history": []}', "expected records with a step"),
        ("[" * 100_000, "no trainer writes"),
        ('{"log_history": [{"step": ' + "1" * 5000 + "}]}", "no trainer writes"),
    ],
)
def test_what_is_no_trainer_state_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(text)
    with pytest.raises(LogFileError, match=said):
        read_trainer_state(path)


def test_missing_file_binary_file_and_empty_folder_are_told(tmp_path: Path) -> None:
    binary = tmp_path / "model.bin"
    binary.write_bytes(b"\x80\x81\xff")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (tmp_path / "none.json", binary, empty):
        with pytest.raises(LogFileError, match=r"expected .* got"):
            read_trainer_state(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["step", "loss", "a"]), inner),
    max_leaves=10,
)


@given(history=st.lists(_JSON, max_size=6))
def test_any_history_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, history: list[object]) -> None:
    path = written(tmp_path_factory.mktemp("any"), log_history=history)
    try:
        log = read_trainer_state(path)
    except LogFileError:
        return
    assert len(log.rows) + log.skipped <= len(history)
    assert all(row.step >= 0 and row.values for row in log.rows)
