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
