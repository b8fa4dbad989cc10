"""Mounts our own components: files of `components/`, each page's put together, served by Streamlit, never sent inside a message.

Streamlit finds such files by a manifest in an installed distribution's pyproject.toml, which works neither for an editable
install whose rooms are links nor without an install. So the same manifest is handed to the running component manager here.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import streamlit as st
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from runvitals.dashboard.bundle import served
from runvitals.errors import SettingsError
from runvitals.settings import Settings

Renderer = Callable[..., Any]

_registering = threading.Lock()
_log = logging.getLogger(__name__)

_renderers: WeakKeyDictionary[BidiComponentManager, dict[str, Renderer]] = WeakKeyDictionary()


def mount(
    name: str, *, key: str, data: Mapping[str, Any], events: Mapping[str, Callable[[], None]] | None = None
) -> Any:
    """What the browser sent back this time, by event; None for an event that did not happen.

    name: `components/<name>.js`, whose default export draws, and `components/<name>.css`.
    data: JSON; see `plain` for what JSON cannot say. events: what to call when the component triggers an event of this name.
    """
    callbacks = {f"on_{event}_change": callback for event, callback in (events or {}).items()}
    return _renderer(name)(key=key, data=data, **callbacks)


def plain(value: Any) -> Any:
    """The value as JSON has it: NaN and infinities become the words "NaN", "Infinity", "-Infinity"; arrays become lists."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return (
            value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        )
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (str, bool, int)) else str(value)


def _renderer(name: str) -> Renderer:
    """The mounting function of one component in the running server; each test and each server has its own manager."""
    manager = get_bidi_component_manager()
    with _registering:  # the first two visitors may come at once
        renderers = _renderers.get(manager)
        if renderers is None:
            _register_folders(manager)
            renderers = _renderers[manager] = {}
    if name not in renderers:
        renderers[name] = st.components.v2.component(f"runvitals.{name}", js=f"{name}.js", css=f"{name}.css")
    return renderers[name]


def _register_folders(manager: BidiComponentManager) -> None:
    """Lets the server serve `components/` under each component's name; of pages, one script and one style sheet where the home can hold them."""
    components = Path(__file__).resolve().parent / "components"
    scripts = sorted(path.stem for path in components.glob("*.js"))
    _register(manager, scripts, components)
    # Where an app serves no static files, Plotly comes as a file of a component.
    _register(manager, ["static"], components.parent / "static")
    pages = [name for name in scripts if name != "base" and (components / f"{name}.css").is_file()]
    try:
        _register(manager, pages, served(components, pages, Settings.from_environment().home / "served"))
    except (OSError, SettingsError) as error:
        _log.info("pages are served from their many sources: %s", error)


def _register(manager: BidiComponentManager, names: Sequence[str], folder: Path) -> None:
    ours = [ComponentConfig(name=name, asset_dir=folder.name) for name in names]
    manager.register_from_manifest(ComponentManifest(name="runvitals", version="0", components=ours), folder.parent)
