"""Payloads of a journal as records, and the search for the next whole record after damage."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any, cast
from zlib import crc32

from runvitals.collectors.layout import BEAT, BEAT_LEAD, EVENT, FRAME, LEAD, ROW, ROW_LEAD, START
from runvitals.collectors.records import NO_STEP, Beat, Event, Phase, Record, Start

_CANDIDATE = re.compile(
    rb"(?s)(?=...\x00....(?:[\x01\x04].{5}\x00{3}\{|\x02.{5}\x00{3}.{4}\[|\x03.{5}\x00{3}.{20}|\x05.{5}\x00{3}.{16}))"
)
"""Where a record may begin: a length below 16 MiB, a known kind, a sequence number below 2**40, JSON where JSON belongs."""


def decoded(kind: int, seq: int, payload: bytes) -> Record | None:
    """The record in a payload; None where the kind is unknown."""
    if kind == BEAT:
        _, _, time_s, step = BEAT_LEAD.unpack_from(payload)
        phase = cast(Phase, payload[BEAT_LEAD.size :].decode())
        return Beat(seq=seq, time_s=time_s, phase=phase, step=None if step == NO_STEP else step)
    if kind == START:
        return Start(seq=seq, **_fields(Start, payload))
    if kind == EVENT:
        return Event(seq=seq, **_fields(Event, payload))
    return None


def _fields(record: type[Start | Event], payload: bytes) -> dict[str, Any]:
    """What the payload's JSON says of the record's fields; a later runvitals may say more."""
    said = json.loads(payload[LEAD.size :])
    return {field.name: said[field.name] for field in fields(record) if field.name in said}


def next_record(window: bytes) -> int | None:
    """Where the next whole record begins after the first byte; None where the window holds none."""
    return next((m.start() for m in _CANDIDATE.finditer(window, 1) if _is_record(window, m.start())), None)


def _is_record(data: bytes, at: int) -> bool:
    """True where a whole record with a right checksum begins at `at`."""
    length, checksum = FRAME.unpack_from(data, at)
    body = at + FRAME.size
    if length < LEAD.size or body + length > len(data):
        return False
    if data[body] == ROW and (length - ROW_LEAD.size) % 8:
        return False
    return bool(crc32(memoryview(data)[body : body + length]) == checksum)
