"""How a training ends badly in a notebook, where no exception ever reaches `sys.excepthook` and the process lives on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def shell() -> Any | None:
    """The notebook's or IPython's shell, or None in a plain script. IPython is not imported where it is not in use."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def when_cell_fails(shell: Any, failed: Callable[[BaseException], None]) -> Callable[[], None]:
    """Calls `failed` with the exception if the running cell ends by one; gives back what takes the watch away again."""

    def cell_ended(result: Any) -> None:
        error = getattr(result, "error_in_exec", None)
        if isinstance(error, BaseException):
            failed(error)

    def remove() -> None:
        if cell_ended in shell.events.callbacks["post_run_cell"]:
            shell.events.unregister("post_run_cell", cell_ended)

    shell.events.register("post_run_cell", cell_ended)
    return remove
