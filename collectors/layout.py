"""How a journal file is laid out in bytes, shared by the writer and the reader; told in words in docs/journal.md."""

from __future__ import annotations

import struct
import zlib

MAGIC = b"RVJL"
VERSION = 1
HEADER = MAGIC + bytes((VERSION, 0, 0, 0))
"""The first eight bytes of every file."""

SUFFIX = ".rvj"

START, KEYS, ROW, EVENT, BEAT = 1, 2, 3, 4, 5
"""The kinds of records. A reader skips and counts a kind that it does not know."""

FRAME = struct.Struct("<II")
"""Before every payload: its length and its CRC-32."""

LEAD = struct.Struct("<BQ")
"""The start of every payload: kind, sequence number."""

SCHEMA_LEAD = struct.Struct("<BQI")
"""The start of a KEYS and of a ROW payload: kind, sequence number, schema id."""

ROW_LEAD = struct.Struct("<BQIdq")
"""A ROW payload before its values: kind, sequence number, schema id, time_s, step."""

BEAT_LEAD = struct.Struct("<BQdq")
"""The start of a BEAT payload: kind, sequence number, time_s, step; the phase follows as UTF-8."""

MAX_PAYLOAD_BYTES = (1 << 24) - 1
"""A longer payload is refused by the writer and taken as damage by the reader, so that a corrupt length cannot eat a file."""


def row_struct(keys: int) -> struct.Struct:
    """The payload of a ROW of so many keys: kind, sequence number, schema id, time_s, step, values."""
    return struct.Struct(f"{ROW_LEAD.format}{keys}d")


def row_tail_struct(keys: int) -> struct.Struct:
    """The same behind the schema id: time_s, step, values."""
    return struct.Struct(f"<dq{keys}d")


def framed(payload: bytes) -> bytes:
    """The whole record: length, checksum, payload."""
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload
