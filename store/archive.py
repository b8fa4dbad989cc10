"""One run as one Parquet file that pandas reads directly: a long table of points, and everything else as JSON in the file's metadata.

The file is written under a temporary name, read back whole and compared, and only then gets its name. A reader takes nothing for granted:
page checksums, a digest of all points and one of all JSON are checked before a restored run is committed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runvitals.collectors.records import NO_STEP
from runvitals.errors import StoreError
from runvitals.store.archive_versions import as_now
from runvitals.store.json_text import dumps
from runvitals.store.store import Store
from runvitals.store.types import LIVE, SeriesPoints

FORMAT = "runvitals run"
VERSION = 2
PART_BYTES = 8 << 20
"""JSON longer than this is split over several metadata entries: readers take no string of more than 100 MB."""

DRAFT = ".part"
"""How a file ends until it is whole; `runvitals gc` removes what a killed archive left."""

_HEAD = b"runvitals"
_SCHEMA = pa.schema(
    [
        pa.field("key", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("step", pa.int64()),
        pa.field("time_s", pa.float64(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)
Progress = Callable[[int, int], None]
"""Called with points done and points in all."""


def no_progress(done: int, total: int) -> None:
    """Tells nobody."""


class _Digest:
    """A digest over points in order, the same however they are cut into stripes' row groups."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, stripe: Mapping[str, SeriesPoints]) -> None:
        for key, points in stripe.items():
            self._hash.update(json.dumps([key, points.values.size]).encode())
            for column in (points.steps, points.times_s, points.values):
                self._hash.update(np.ascontiguousarray(column).data)

    def text(self) -> str:
        return self._hash.hexdigest()


def archive(store: Store, run_id: str, folder: Path, *, progress: Progress = no_progress) -> Path:
    """The path of the file that was written, `folder/NAME-ID.parquet`.

    Raises UnknownRun, and StoreError where the run is live, the file exists, the folder cannot be written or the disk is full.
    """
    run = store.run(run_id)
    if run.status in LIVE:
        raise StoreError(f"run {run_id}: is {run.status}; archive it when it has ended")
    path = folder / file_name(run.name, run.id)
    if path.exists():
        raise StoreError(f"{path}: exists already; remove it or name another folder with --to")
    draft = folder / f"{path.name}.{os.getpid()}{DRAFT}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _write(store, run_id, draft, progress)
            for _ in Archive(draft).stripes():  # reading it whole checks it
                pass
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync(folder)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); check the folder and its space"
        ) from error
    return path


def _write(store: Store, run_id: str, draft: Path, progress: Progress) -> None:
    """Writes the whole file and brings it to the disk."""
    digest = _Digest()
    done = 0
    with store.export(run_id) as run, draft.open("xb") as file:
        options: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True, "use_dictionary": ["key"]}
        plain = {"time_s": "BYTE_STREAM_SPLIT", "value": "BYTE_STREAM_SPLIT", "step": "DELTA_BINARY_PACKED"}
        with pq.ParquetWriter(file, _SCHEMA, column_encoding=plain, **options) as writer:
            for stripe in run.stripes():
                digest.add(stripe)
                writer.write_table(_table(stripe), row_group_size=1 << 26)
                done += sum(points.values.size for points in stripe.values())
                progress(done, run.points)
            writer.add_key_value_metadata(_metadata(run.tables, points=run.points, digest=digest.text()))
        file.flush()
        os.fsync(file.fileno())


def _table(stripe: Mapping[str, SeriesPoints]) -> pa.Table:
    """The stripe as one table, series after series."""
    sizes = [points.values.size for points in stripe.values()]
    steps = np.concatenate([points.steps for points in stripe.values()])
    keys = pa.DictionaryArray.from_arrays(
        pa.array(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)), pa.array(list(stripe), pa.string())
    )
    columns = [
        keys,
        pa.array(steps, mask=steps == NO_STEP),
        pa.array(np.concatenate([points.times_s for points in stripe.values()])),
        pa.array(np.concatenate([points.values for points in stripe.values()])),
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def _metadata(tables: Mapping[str, Sequence[Mapping[str, Any]]], *, points: int, digest: str) -> dict[bytes, bytes]:
    """The metadata of a file: what it is, and the JSON of each table in parts."""
    entries: dict[bytes, bytes] = {}
    parts = {}
    for name, rows in tables.items():
        text = dumps(list(rows)).encode()
        pieces = [text[offset : offset + PART_BYTES] for offset in range(0, len(text), PART_BYTES)]
        entries.update({_entry(name, number): piece for number, piece in enumerate(pieces)})
        parts[name] = {"parts": len(pieces), "digest": hashlib.blake2b(text, digest_size=16).hexdigest()}
    head = {"format": FORMAT, "version": VERSION, "points": points, "digest": digest, "tables": parts}
    return {_HEAD: dumps(head).encode(), **entries}


def _entry(table: str, number: int) -> bytes:
    return f"runvitals.{table}.{number}".encode()


class Archive:
    """A file that says it is an archived run. Raises StoreError where it is none, is damaged, or a newer runvitals wrote it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._schema = pq.ParquetFile(file).schema_arrow
                self._metadata: Mapping[bytes, bytes] = pq.read_metadata(path).metadata or {}
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreError(
                f"{path}: cannot be read as an archived run ({_short(error)}); use another copy"
            ) from error
        self._head = self._read_head()

    @property
    def points(self) -> int:
        """Points of all series."""
        return int(self._head["points"])

    def _read_head(self) -> dict[str, Any]:
        if _HEAD not in self._metadata:
            raise StoreError(f"{self.path}: is a Parquet file, but no run that `runvitals archive` wrote")
        head = self._json(self._metadata[_HEAD])
        if not isinstance(head, dict) or head.get("format") != FORMAT or not isinstance(head.get("version"), int):
            raise StoreError(f"{self.path}: is a Parquet file, but no run that `runvitals archive` wrote")
        if head["version"] > VERSION:
            raise StoreError(
                f"{self.path}: was written by a newer runvitals (format {head['version']}, this one knows {VERSION}); upgrade runvitals"
            )
        whole = isinstance(head.get("points"), int) and isinstance(head.get("tables"), dict)
        if not whole or not self._schema.equals(_SCHEMA):
            raise self._damaged("its columns or its description are not those of an archived run")
        return head

    def tables(self) -> dict[str, Any]:
        """The rows of each table as JSON objects, checked against their digests."""
        found = {}
        for name, told in self._head["tables"].items():
            try:
                text = b"".join(self._metadata[_entry(name, number)] for number in range(int(told["parts"])))
                digest = told["digest"]
            except (KeyError, TypeError, ValueError) as error:
                raise self._damaged(f"part of the table {name} is missing") from error
            if hashlib.blake2b(text, digest_size=16).hexdigest() != digest:
                raise self._damaged(f"the table {name} was changed")
            found[name] = self._json(text)
        return as_now(found, self._head["version"])

    def stripes(self, progress: Progress = no_progress) -> Iterator[dict[str, SeriesPoints]]:
        """All points, a row group at a time; raises at the end where they are not those that were written."""
        digest = _Digest()
        done = 0
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                for number in range(file.num_row_groups):
                    stripe = self._stripe(file.read_row_group(number))
                    digest.add(stripe)
                    done += sum(points.values.size for points in stripe.values())
                    yield stripe
                    progress(done, self.points)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(_short(error)) from error
        if done != self.points or digest.text() != self._head.get("digest"):
            raise self._damaged("the points are not those that were written")

    def _stripe(self, table: pa.Table) -> dict[str, SeriesPoints]:
        """The points of a row group by key."""
        if any(table.column(name).null_count for name in ("key", "time_s", "value")):
            raise self._damaged("a key, a time or a value is missing")
        keys = table.column("key").combine_chunks()
        keys = keys.chunk(0) if isinstance(keys, pa.ChunkedArray) else keys
        places = keys.indices.to_numpy()
        names = keys.dictionary.to_pylist()
        steps = table.column("step").fill_null(NO_STEP).to_numpy()
        times_s, values = table.column("time_s").to_numpy(), table.column("value").to_numpy()
        edges = np.flatnonzero(np.diff(places, prepend=-1, append=-1)) if places.size else np.empty(0, int)
        found: dict[str, SeriesPoints] = {}
        for start, stop in pairwise(edges.tolist()):
            name = names[places[start]]
            if name in found:
                raise self._damaged(f"the series {name!r} stands twice in a row group")
            span = slice(start, stop)
            found[name] = SeriesPoints(
                steps=steps[span].copy(), times_s=times_s[span].copy(), values=values[span].copy()
            )
        return found

    def _json(self, text: bytes) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._damaged("its description is no JSON") from error

    def _damaged(self, why: str) -> StoreError:
        return StoreError(f"{self.path}: is damaged ({why}); use another copy")


def restore(store: Store, path: Path, *, progress: Progress = no_progress) -> str:
    """The id of the run that the file held, now in the store; one transaction, so that an error leaves nothing behind.

    Raises StoreError where the store has the run already or the file is none of ours, damaged, or of a newer version.
    """
    found = Archive(path)
    try:
        return store.restore(found.tables(), found.stripes(progress))
    except StoreError as error:
        text = str(error)
        raise error if text.startswith(str(path)) else type(error)(f"{path}: {text}") from error


def file_name(name: str, run_id: str) -> str:
    """A name for a run's file that is safe in every folder: letters, digits, dots, dashes and underscores."""
    parts = [re.sub(r"[^A-Za-z0-9._-]+", "_", part)[:60].strip("._-") for part in (name, run_id)]
    if parts[1] != run_id or not run_id:  # cut or replaced: two ids must not come to one name
        parts.append(hashlib.blake2b(run_id.encode("utf-8", "replace"), digest_size=4).hexdigest())
    return "-".join(part for part in parts if part) + ".parquet"


def _short(error: Exception) -> str:
    """The first line of a library's message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _sync(folder: Path) -> None:
    """Brings the new name to the disk, where the system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
