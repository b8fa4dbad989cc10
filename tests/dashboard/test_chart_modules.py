"""Modules of the charts by themselves: what they give for given points, without a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runvitals.dashboard.bundle import script

sync_api = pytest.importorskip("playwright.sync_api")

COMPONENTS = Path(__file__).parent.parent.parent / "dashboard" / "components"
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def blank(chromium_path: str) -> Iterator[sync_api.Page]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        yield chromium.new_page()
        chromium.close()


def called(page: sync_api.Page, module: str, body: str, given: Any) -> Any:
    """What a function of JavaScript gives: `module` is what the module exports, `given` the argument."""
    source = script(COMPONENTS, module).replace(f"$modules.{module}.default;", f"$modules.{module};")
    run = """async ([source, body, given]) => {
      const { default: module } = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(source));
      return new Function("module", "given", body)(module, given);
    }"""
    return page.evaluate(run, [source, body, given])


def test_the_ticks_of_huge_values_have_room_beside_the_axis(blank: sync_api.Page) -> None:
    texts = called(blank, "chart_ticks", "return module.linearTicks(given, 5, 'plain').texts", [-2e300, 2e300])
    assert texts == ["−2e300", "−1e300", "0", "1e300", "2e300"]
    assert called(blank, "chart_ticks", "return module.linearTicks(given, 3, 'plain').texts", [0, 3e9])[-1] == "3G"


TRACES = """
  const xs = Array.from({ length: given }, (_, i) => i);
  const flat = (value) => xs.map(() => value);
  const columns = { step: xs, mean: xs.map((x) => 1 + x), low: flat(1), high: flat(1), count: flat(1), kinds: flat(0) };
  const part = { columns, xs, broken: new Set(), finite: given, pixels: 300, range: [0, given], line: columns.mean };
  const spec = { style: "rings", color: "#123456" };
  const out = module.traces({}, [{ part, spec, hidden: false }], { theme: { bg: "#fff" }, yTo: [0, 1e9] });
  return out.map((one) => [one.mode, one.x.length]);
"""


def test_evaluations_are_rings_until_they_would_be_a_tube(blank: sync_api.Page) -> None:
    assert called(blank, "chart_build", TRACES, 20) == [["markers", 20]]
    line, rings = called(blank, "chart_build", TRACES, 1000)
    assert line == ["lines", 1000], "each of them is told"
    assert rings[0] == "markers" and 5 <= rings[1] <= 12


def test_a_curve_that_is_0_throughout_has_an_axis_that_can_be_read(blank: sync_api.Page) -> None:
    body = """
      const shown = [{ part: { columns: { mean: [given], low: [given], high: [given] } } }];
      return module.yRange({ values: "signed" }, shown);
    """
    low, high = called(blank, "chart_range", body, 0)
    assert low <= 0 < high and high > 0.04
    low, high = called(blank, "chart_range", body, -2)
    assert -2.2 < low < -2 < high < -1.8
