"""The tokens stand in one place each: colours with a key in the configuration, the others in tokens.py and base.css."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from streamlit import config

from runvitals.dashboard import tokens

DASHBOARD = Path(__file__).parent.parent.parent / "dashboard"


@pytest.fixture
def theme() -> dict[str, Any]:
    """The configuration beside the app."""
    return tomllib.loads((DASHBOARD / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


def test_streamlit_knows_every_option_that_we_set(theme: dict[str, Any]) -> None:
    known = set(config.get_config_options())
    for section, options in theme.items():
        for name, value in options.items():
            names = (
                [f"{section}.{name}.{inner}" for inner in value] if isinstance(value, dict) else [f"{section}.{name}"]
            )
            assert set(names) <= known


def test_the_app_binds_to_this_machine_and_sends_no_statistics(theme: dict[str, Any]) -> None:
    assert theme["server"]["address"] == "127.0.0.1"
    assert theme["browser"]["gatherUsageStats"] is False
    assert theme["client"]["showErrorDetails"] == "none"
    assert theme["runner"]["postScriptGC"] is False, "one whole collection a refresh costs twenty viewers all of a core"


def test_series_colours_of_theme_and_tokens_are_the_same_ten(theme: dict[str, Any]) -> None:
    assert tuple(theme["theme"]["chartCategoricalColors"]) == tokens.SERIES
    assert len(set(tokens.SERIES)) == 10


@pytest.mark.parametrize(("severity", "color"), [("critical", "red"), ("warning", "orange"), ("healthy", "green")])
def test_severity_colours_of_theme_and_tokens_are_the_same(theme: dict[str, Any], severity: str, color: str) -> None:
    for page in ("light", "dark"):
        assert theme["theme"][page][f"{color}TextColor"] == getattr(tokens.SEVERITIES[severity].text, page)
        assert theme["theme"][page][f"{color}Color"] == getattr(tokens.SEVERITIES[severity].mark, page)


def test_tokens_without_a_key_are_the_same_in_the_stylesheet() -> None:
    css = (DASHBOARD / "components" / "base.css").read_text(encoding="utf-8")
    for name, ink in (("ink3", tokens.INK3), ("grid", tokens.GRID)):
        assert f"--{name}: light-dark({ink.light}, {ink.dark});" in css


def _luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", ["light", "dark"])
def test_text_has_a_contrast_of_4_5_and_marks_of_3(theme: dict[str, Any], page: str) -> None:
    colors = theme["theme"][page]
    texts = [colors[name] for name in ("textColor", "grayTextColor", "linkColor")] + [getattr(tokens.INK3, page)]
    texts += [getattr(severity.text, page) for severity in tokens.SEVERITIES.values()]
    marks = [getattr(severity.mark, page) for severity in tokens.SEVERITIES.values()] + list(tokens.SERIES)
    # On chosen rows and on code the ground is the second one; rows there take ink2 for ink3.
    others = [text for text in texts if text != getattr(tokens.INK3, page)]
    assert [text for text in others if _contrast(text, colors["secondaryBackgroundColor"]) < 4.5] == []
    # A severity's text may be its mark on the page, never less than a mark.
    assert [text for text in texts if _contrast(text, colors["backgroundColor"]) < 4.5] == []
    assert [mark for mark in marks if _contrast(mark, colors["backgroundColor"]) < 2.95] == []


@pytest.mark.parametrize("page", ["light", "dark"])
def test_a_runs_colour_has_a_contrast_of_3_on_every_row(theme: dict[str, Any], page: str) -> None:
    grounds = {name: theme["theme"][page][name] for name in ("backgroundColor", "secondaryBackgroundColor")}
    faint = [one for one in tokens.SERIES if _contrast(one, grounds["secondaryBackgroundColor"]) < 2.95]
    if page == "light":
        assert faint, "with colours that hold on both grounds these marks need no ground of their own"
    assert [one for one in faint if _contrast(one, grounds["backgroundColor"]) < 2.95] == []
    # So what is drawn in a run's colour in a row stands on the page's own ground.
    own_ground = {"base.css": (".rv .swatch", "box-shadow: 0 0 0 2px var(--bg)"), "runs.css": (".rv .spark", "background: var(--bg)")}  # fmt: skip
    for name, (selector, declared) in own_ground.items():
        css = (DASHBOARD / "components" / name).read_text(encoding="utf-8")
        (rule,) = re.findall(re.escape(selector) + r" \{([^}]*)\}", css)
        assert declared in rule


def test_components_put_nothing_in_as_markup() -> None:
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\(")
    found = [path.name for path in (DASHBOARD / "components").glob("*.js") if forbidden.search(path.read_text("utf-8"))]
    assert found == []
