"""runvitals: the vital signs of an LLM training run while it trains.

    import runvitals

    with runvitals.init(project="toy", name="first", config={"lr": 1e-3}) as run:
        for step in range(100):
            run.log({"loss": 1 / (step + 1)}, step=step)

With transformers or TRL, one callback does it: `DPOTrainer(..., callbacks=[runvitals.Callback("dpo-7b")])`.

Everything here loads lazily, so that `import runvitals` costs a training script next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runvitals.collectors.face import alert as alert
    from runvitals.collectors.face import finish as finish
    from runvitals.collectors.face import init as init
    from runvitals.collectors.face import log as log
    from runvitals.collectors.run import Run as Run
    from runvitals.errors import RunvitalsError as RunvitalsError
    from runvitals.notebook import open as open
    from runvitals.trainers.callback import Callback as Callback

__version__ = "0.1.0"

_HOMES = {
    "init": "runvitals.collectors.face",
    "log": "runvitals.collectors.face",
    "finish": "runvitals.collectors.face",
    "alert": "runvitals.collectors.face",
    "Run": "runvitals.collectors.run",
    "Callback": "runvitals.trainers.callback",
    "RunvitalsError": "runvitals.errors",
    "open": "runvitals.notebook",
}

# Not `open`: `from runvitals import *` must leave Python's own open() alone.
__all__ = ["Callback", "Run", "RunvitalsError", "alert", "finish", "init", "log"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'runvitals' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
