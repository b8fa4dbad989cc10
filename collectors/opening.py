"""How a run's journal begins: what its START record says, and the writer that fits the mount."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runvitals.collectors.faults import say
from runvitals.collectors.jsonable import plain
from runvitals.collectors.mounts import on_network
from runvitals.collectors.options import Options
from runvitals.collectors.process_facts import new_writer_id, process_facts
from runvitals.collectors.queued_writer import QueuedWriter
from runvitals.collectors.writer import Writer


def opened_writer(path: Path, said: Mapping[str, Any], options: Options) -> Writer | QueuedWriter:
    """A writer that begins a file in the folder; on a network mount behind a queue. Never raises for the disk.

    said: what the caller says of the run: time_s, run_id, project, name, config, tags, group, description.
    """
    facts = process_facts(os.environ)
    start = {
        **said,
        "writer_id": new_writer_id(),
        "info": facts,
        # Not whether the folder is there: the watcher removes what it has stored. Other ranks join what rank 0 has begun or resumed.
        "resumed": options.run_id is not None and facts["rank"] == 0,
    }
    if on_network(path.absolute()) if options.queued is None else options.queued:
        try:
            return QueuedWriter(path, start, rotate_bytes=options.rotate_bytes)
        except RuntimeError as error:
            say(f"no queue before the file system: {error}; where it hangs, so does training")
    writer = Writer(path, start, rotate_bytes=options.rotate_bytes)
    if writer.failure:
        say(f"cannot write the journal: {writer.failure}; training goes on, its rows are lost until this works")
    return writer


def as_config(config: Any) -> dict[str, Any]:
    """The config as a JSON object: a mapping, a namespace or dataclass by its fields, anything else under "value"."""
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        config = getattr(config, "__dict__", None) or config
    made: dict[str, Any] = plain(as_object(config))
    return made


def as_object(value: Any) -> Mapping[Any, Any]:
    """The value where it is a mapping, else one that holds it."""
    return value if isinstance(value, Mapping) else {"value": value}
