"""How the rules do on labelled runs logged otherwise than they were: `python benchmarks/perturbed_runs.py FOLDER… [--only NAME]`.

Each change keeps a run's label: fewer rows, averages of rows, fewer keys or other ones, no times, other steps, rounding, rows that come
twice. A rule that suddenly warns of healthy runs rests on how somebody logs. Runs that are broken are caught less where what their fault
shows in is gone, or where few rows are left.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.scoring.judged import judge_run
from runvitals.diagnostics.scoring.judges import EngineJudge
from runvitals.diagnostics.scoring.types import LabelledRun
from runvitals.diagnostics.signal_aliases import ALIASES
from runvitals.diagnostics.signals import canonical
from runvitals.diagnostics.types import Happening, Pulse, Row
from runvitals.labelled_runs import read_labelled_runs

Item = Row | Happening | Pulse
Values = Mapping[str, float | None]
Change = Callable[[LabelledRun], LabelledRun]

PLAIN = ("loss", "learning_rate", "epoch", "eval_loss")
LOSSES = ("loss", "eval_loss", "val_loss")
COUNTERS = ("learning_rate", "lr", "epoch", "episode")

OTHER_NAMES = {key: keys[-1] for signal, keys in ALIASES.items() if signal not in ("step", "epoch") for key in keys}


def is_evaluation(values: Values) -> bool:
    """True for a row of an evaluation."""
    return any(key.startswith(("eval_", "eval/")) for key in values)


def is_training(item: Item) -> bool:
    """True for a row of a training step."""
    return isinstance(item, Row) and item.step is not None and not is_evaluation(item.values)


def on_rows(change: Callable[[Values], Values]) -> Change:
    """Each row's values changed; a row of which nothing is left is gone."""

    def changed(run: LabelledRun) -> LabelledRun:
        rows = (replace(item, values=change(item.values)) if isinstance(item, Row) else item for item in run.items)
        return replace(run, items=tuple(item for item in rows if not isinstance(item, Row) or item.values))

    return changed


def without(*signals: str) -> Change:
    """Signals that are not logged."""
    return on_rows(lambda values: {key: value for key, value in values.items() if canonical(key) not in signals})


def scaled(factor: float) -> Change:
    """Losses in another unit."""
    return on_rows(
        lambda values: {
            key: value * factor if value is not None and key in LOSSES else value for key, value in values.items()
        }
    )


def rounded(decimals: int) -> Change:
    """All but the learning rate as a printed log has them."""
    return on_rows(
        lambda values: {
            key: value if value is None or not math.isfinite(value) or canonical(key) == "learning_rate" else round(value, decimals)
            for key, value in values.items()
        }
    )  # fmt: skip


def in_groups(every: int, merge: Callable[[list[Row]], Row]) -> Change:
    """So many training rows made one, at the place of the last."""

    def items_of(run: LabelledRun) -> Iterator[Item]:
        group: list[Row] = []
        for item in run.items:
            if not isinstance(item, Row) or not is_training(item):
                yield item
                continue
            group.append(item)
            if len(group) == every:
                yield merge(group)
                group = []

    return lambda run: replace(run, items=tuple(items_of(run)))


def mean_of(rows: list[Row]) -> Row:
    """The last row with the means of all, counters and what is not in all rows as the last has them."""
    last = rows[-1]
    values = dict(last.values)
    for key in values:
        found = [row.values.get(key) for row in rows]
        numbers = [value for value in found if value is not None]
        if key not in COUNTERS and len(numbers) == len(rows):
            values[key] = sum(numbers) / len(numbers)
    return replace(last, values=values)


def untimed(run: LabelledRun) -> LabelledRun:
    """As a file that knows no times: rows and evaluations in their order."""
    kept = [
        item for item in run.items if isinstance(item, Row) or (isinstance(item, Happening) and item.kind == "eval")
    ]
    return replace(run, timed=False, items=tuple(replace(item, time_s=float(place)) for place, item in enumerate(kept)))


def plain(run: LabelledRun) -> LabelledRun:
    """As the trainer_state.json of a plain Trainer."""
    kept = on_rows(lambda values: {key: value for key, value in values.items() if key in PLAIN})(untimed(run))
    return replace(kept, items=tuple(item for item in kept.items if not isinstance(item, Row) or item.step is not None))


def unevaluated(run: LabelledRun) -> LabelledRun:
    """A run that is never evaluated."""
    return replace(
        run,
        items=tuple(
            item
            for item in run.items
            if not (isinstance(item, Row) and is_evaluation(item.values))
            and not (isinstance(item, Happening) and item.kind == "eval")
        ),
    )


def cut(share: float) -> Change:
    """A healthy run as it was when so much of it was done; others are left out."""

    def changed(run: LabelledRun) -> LabelledRun:
        steps = [row.step for row in run.rows if row.step is not None]
        if run.severity != "none" or not steps:
            return replace(run, items=())
        last = min(steps) + share * (max(steps) - min(steps))
        end = next(
            (
                place
                for place, item in enumerate(run.items)
                if isinstance(item, Pulse) or (item.step is not None and item.step > last)
            ),
            len(run.items),
        )
        return replace(run, items=run.items[:end])

    return changed


def twice(run: LabelledRun) -> LabelledRun:
    """As where two ranks print."""
    return replace(run, items=tuple(item for item in run.items for _ in range(2 if is_training(item) else 1)))


def smoothed(run: LabelledRun) -> LabelledRun:
    """The loss as a running average of about ten rows, as progress bars show it."""
    total = weight = 0.0
    items: list[Item] = []
    for item in run.items:
        if isinstance(item, Row) and item.values.get("loss") is not None and math.isfinite(item.values["loss"] or 0.0):
            total, weight = 0.9 * total + 0.1 * (item.values["loss"] or 0.0), 0.9 * weight + 0.1
            item = replace(item, values={**item.values, "loss": total / weight})
        items.append(item)
    return replace(run, items=tuple(items))


def holed(run: LabelledRun) -> LabelledRun:
    """A tenth of all values is missing."""
    draw = random.Random(run.name)
    return on_rows(lambda values: {key: value for key, value in values.items() if draw.random() > 0.1})(run)


CHANGES: Mapping[str, Change] = {
    "as logged": lambda run: run,
    "every 2nd row": in_groups(2, lambda rows: rows[-1]),
    "every 10th row": in_groups(10, lambda rows: rows[-1]),
    "means of 5 rows": in_groups(5, mean_of),
    "means of 10 rows": in_groups(10, mean_of),
    "loss, rate and epoch alone": plain,
    "no gradient norm": without("grad_norm"),
    "no learning rate": without("learning_rate"),
    "no epoch": without("epoch"),
    "no evaluations": unevaluated,
    "no times": untimed,
    "length unknown": lambda run: replace(run, max_steps=None),
    "a tenth of the values missing": holed,
    "30 % of the run": cut(0.3),
    "60 % of the run": cut(0.6),
    "90 % of the run": cut(0.9),
    "loss × 0.1": scaled(0.1),
    "loss × 5": scaled(5.0),
    "loss in bits": scaled(1 / math.log(2)),
    "four decimals": rounded(4),
    "two decimals": rounded(2),
    "other key names": on_rows(lambda values: {OTHER_NAMES.get(key, key): value for key, value in values.items()}),
    "each row twice": twice,
    "loss as a running average": smoothed,
}


def main(folders: list[Path], only: str | None) -> None:
    """Prints a line for each change: healthy runs warned, broken ones caught, and the rules that warned wrongly."""
    judge = EngineJudge(default_rules())
    runs = [run for folder in folders for run in read_labelled_runs(folder)[0]]
    for name, change in CHANGES.items():
        if only not in (None, name):
            continue
        changed = [one for run in runs if (one := change(run)).rows]
        judged = [judge_run(judge, run) for run in changed if run.severity in ("none", "broken")]
        healthy = [one for one in judged if one.run.severity == "none"]
        broken = [one for one in judged if one.run.severity == "broken"]
        wrong = sorted({firing.rule for one in healthy for firing in one.all})
        print(
            f"{name:32} healthy warned {sum(bool(one.all) for one in healthy):3} of {len(healthy):3}   "
            f"broken caught {sum(bool(one.right) for one in broken):3} of {len(broken):3}   {', '.join(wrong)}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--only", choices=list(CHANGES))
    asked = parser.parse_args()
    main(asked.folders, asked.only)
