"""Seconds that `runvitals diagnose` takes for a finished run: `python benchmarks/diagnose_speed.py`. The aim is 10 s for 100,000 rows."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from rule_cost import KEYS, healthy_rows

from runvitals.diagnose import as_plain, diagnose

ROWS = 100_000
ROUNDS = 3


def main() -> None:
    """Prints a table: processor seconds, medians."""
    print(f"{'kind':6} {'keys':>4} {'read':>7} {'whole':>7}   s of the processor, {ROWS:,} rows")
    with tempfile.TemporaryDirectory() as folder:
        for kind, keys in KEYS.items():
            path = Path(folder) / f"{kind}.json"
            history = [{"step": row.step, **row.values} for row in healthy_rows(kind, ROWS)]
            path.write_text(json.dumps({"max_steps": ROWS, "log_history": history}))
            wholes = []
            for _ in range(ROUNDS):
                began_s = time.process_time()
                as_plain(diagnose(path, trainer=kind))
                wholes.append(time.process_time() - began_s)
            began_s = time.process_time()
            json.loads(path.read_text())
            print(f"{kind:6} {len(keys):>4} {time.process_time() - began_s:>7.1f} {statistics.median(wholes):>7.1f}")


if __name__ == "__main__":
    main()
