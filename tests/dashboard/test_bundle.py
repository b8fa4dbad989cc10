"""A page's modules as one script: each keeps its names to itself, and the sources serve where nothing can be written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.components.v2.component_manager import BidiComponentManager

from runvitals.dashboard import component
from runvitals.dashboard.bundle import script, served, styles

COMPONENTS = Path(__file__).parent.parent.parent / "dashboard" / "components"
PAGES = ["alerts", "backtest", "charts", "empty", "runs"]


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder


def test_modules_stand_after_what_they_import_once_each_and_in_functions_of_their_own(tmp_path: Path) -> None:
    write(
        tmp_path,
        low="const SIZE = 1;\nexport function size() {\n  return SIZE;\n}\nexport { SIZE as LEAST };\n",
        left='import { size } from "./low.js";\nconst SIZE = 2;\nexport const left = size() + SIZE;\n',
        page='import { left } from "./left.js";\nimport { size, LEAST as least } from "./low.js";\n'
        "export default function () {\n  return [left, size(), least];\n}\n",
    )
    text = script(tmp_path, "page")
    assert re.findall(r"^\$modules\.(\w+) = ", text, re.MULTILINE) == ["low", "left", "page"]
    assert "const { size, LEAST: least } = $modules.low;" in text
    assert "return { size, LEAST: SIZE };" in text and "return { default: $default };" in text
    assert re.findall(r"^(?:import|export) .*$", text, re.MULTILINE) == ["export default $modules.page.default;"]


def test_modules_that_import_one_another_in_a_ring_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a='import { b } from "./b.js";\n', b='import { a } from "./a.js";\n')
    with pytest.raises(ValueError, match="a > b > a"):
        script(tmp_path, "a")


@pytest.mark.parametrize("page", PAGES)
def test_no_page_of_ours_imports_anything_any_more(page: str) -> None:
    lines = re.findall(r"^\s*(?:import|export)\b.*$", script(COMPONENTS, page), re.MULTILINE)
    assert lines == [f"export default $modules.{page}.default;"]
    assert "@import" not in styles(COMPONENTS, f"{page}.css")


def test_a_served_file_that_somebody_changed_is_written_again(tmp_path: Path) -> None:
    place = served(COMPONENTS, PAGES, tmp_path)
    (place / "charts.js").write_text("alert(1)")
    assert served(COMPONENTS, PAGES, tmp_path) == place
    assert (place / "charts.js").read_text() == script(COMPONENTS, "charts")
    assert sorted(file.name for file in place.iterdir()) == sorted(
        f"{p}.{kind}" for p in PAGES for kind in ("js", "css")
    )


def test_pages_come_from_the_home_and_from_their_sources_where_it_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(home: Path) -> Path:
        monkeypatch.setenv("RUNVITALS_HOME", str(home))
        manager = BidiComponentManager()
        component._register_folders(manager)
        assert manager.get_component_path("runvitals.base") == str(COMPONENTS), "where Plotly is"
        return Path(str(manager.get_component_path("runvitals.charts")))

    assert folder(tmp_path).parent == tmp_path / "served"
    (tmp_path / "file").write_text("")
    assert folder(tmp_path / "file") == COMPONENTS
