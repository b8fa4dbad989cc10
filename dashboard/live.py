"""Sends a page's data to the browser only when it changed, so that a quiet page costs a few bytes a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import streamlit as st


def changed(slot: str, body: Mapping[str, Any], *, standing_for: object = None) -> dict[str, Any]:
    """`{digest, body}` where the body differs from what this browser got last, else `{digest}` alone.

    A browser that holds another digest (a message was overtaken, or its page is new) triggers `resync`; call `forget` then.
    standing_for: something small that differs whenever a large body does; without it the body speaks for itself.
    """
    told = body if standing_for is None else standing_for
    digest = blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()
    if st.session_state.get(_name(slot)) == digest:
        return {"digest": digest}
    st.session_state[_name(slot)] = digest
    return {"digest": digest, "body": dict(body)}


def forget(slot: str) -> None:
    """Makes the next `changed` send everything. A page calls it where its body runs as a whole, which is where it may be new."""
    st.session_state.pop(_name(slot), None)


def _name(slot: str) -> str:
    return f"runvitals.sent.{slot}"


def changed_parts(slot: str, parts: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What differs from what this browser got last: `{digest, base, parts, rows}`, or `{digest}` alone where nothing does.

    parts: by name, each sent whole where it differs. rows: by id, each with a `mark` that stands for its content; a row that is no longer
    there is not told of, the parts say which rows stand where. base: the digest of what this message builds on, None where it holds
    everything. A browser that holds another one triggers `resync`; call `forget` then.
    """
    marks = {name: _digest(part) for name, part in parts.items()} | {
        f"row {key}": row["mark"] for key, row in rows.items()
    }
    digest = _digest(marks)
    before: dict[str, Any] = st.session_state.get(_name(slot)) or {"digest": None, "marks": {}}
    if before["digest"] == digest:
        return {"digest": digest}
    st.session_state[_name(slot)] = {"digest": digest, "marks": marks}
    known = before["marks"]
    return {
        "digest": digest,
        "base": before["digest"],
        "parts": {name: part for name, part in parts.items() if known.get(name) != marks[name]},
        "rows": [row for key, row in rows.items() if known.get(f"row {key}") != row["mark"]],
    }


def _digest(value: Any) -> str:
    return blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()
