"""The one formatter: its cases, and the proof that Python and the browser write the same."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from runvitals.dashboard import formatter

FORMAT_JS = Path(__file__).parent.parent.parent / "dashboard" / "components" / "format.js"

CASES: list[tuple[str, tuple[Any, ...], str]] = [
    ("number", (0.689,), "0.689"),
    ("number", (16.0,), "16.0"),
    ("number", (7583,), "7\u2009580"),
    ("number", (-0.0102,), "−0.0102"),
    ("number", (4.321e-5,), "4.32e-5"),
    ("number", (0.99996,), "1.00"),
    ("number", (1e30,), "1.00e30"),
    ("number", (0,), "0"),
    ("number", (None,), "—"),
    ("number", (math.nan,), "NaN"),
    ("number", (-math.inf,), "−Inf"),
    ("signed", (0.447,), "+0.447"),
    ("signed", (-3.08,), "−3.08"),
    ("signed", (0.00912,), "+0.0091"),
    ("signed", (0,), "+0.000"),
    ("signed", (None,), "—"),
    ("signed", (-0.00001,), "+0.000"),
    ("signed", (-0.0,), "+0.000"),
    ("count", (-0.4,), "0"),
    ("percent", (-0.004,), "0 %"),
    ("percent", (-0.0,), "0 %"),
    ("rate", (5e-5,), "5.0e-5"),
    ("rate", (0.1,), "0.100"),
    ("count", (7583,), "7\u2009583"),
    ("count", (12_345_678,), "12\u2009345\u2009678"),
    ("percent", (0.516,), "52 %"),
    ("percent", (0.285,), "29 %"),
    ("quantity", (62.13, "GiB"), "62.1 GiB"),
    ("quantity", (None, "GiB"), "—"),
    ("duration", (0.42,), "0.42 s"),
    ("duration", (4.2,), "4.2 s"),
    ("duration", (218,), "3 min 38 s"),
    ("duration", (18_120,), "5 h 02 min"),
    ("duration", (97_200,), "1 d 3 h"),
    ("age", (2.9,), "2 s"),
    ("age", (840,), "14 min"),
    ("age", (-5,), "0 s"),
]


@pytest.mark.parametrize(("name", "given", "text"), CASES)
def test_a_number_looks_as_the_screens_say(name: str, given: tuple[Any, ...], text: str) -> None:
    assert getattr(formatter, name)(*given) == text


def test_a_clock_time_is_in_the_zone_asked_for() -> None:
    assert formatter.clock(1_763_930_467.9, utc_offset_s=3600) == "21:41:07"


def test_data_rates_are_told_in_a_unit_that_fits() -> None:
    rates = (0.0, 7.81e-4, 0.5, 12.0, 2048.0, math.nan, None)
    said = ["0 B/s", "819 B/s", "512 KiB/s", "12.0 MiB/s", "2.00 GiB/s", "NaN", "—"]
    assert [formatter.data_rate(rate) for rate in rates] == said


def test_data_sizes_have_binary_units() -> None:
    assert [formatter.data_size(value) for value in (0, 999, 12_595, 1.5 * 1024**3)] == [
        "0 B",
        "999 B",
        "12.3 KiB",
        "1.50 GiB",
    ]


def _values() -> list[float | None]:
    rng = random.Random(1)
    edges = [
        0.0,
        -0.0,
        0.125,
        2.5,
        0.5,
        9.95,
        59.5,
        599.5,
        999.5,
        0.0009995,
        9_999_500.0,
        1e7,
        1e15,
        1e-300,
        1e30,
        86_399.7,
    ]
    spread = [rng.choice((1, -1)) * 10 ** rng.uniform(-9, 12) for _ in range(1500)]
    return [*edges, *(-edge for edge in edges), *spread, None, math.nan, math.inf, -math.inf]


def _word(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


@pytest.mark.browser
@pytest.mark.slow
def test_python_and_the_browser_write_the_same(chromium_path: str) -> None:
    from playwright.sync_api import sync_playwright

    plain = ("number", "signed", "rate", "count", "percent", "duration", "age")
    cases = [(name, [_word(value)], getattr(formatter, name)(value)) for value in _values() for name in plain]
    cases += [("number", [_word(value), 4], formatter.number(value, digits=4)) for value in _values()]
    cases += [("percent", [_word(value), 1], formatter.percent(value, decimals=1)) for value in _values()]
    cases += [("dataSize", [_word(value)], formatter.data_size(value)) for value in _values()]
    cases += [("dataRate", [_word(value)], formatter.data_rate(value)) for value in _values()]
    cases += [("quantity", [_word(value), "W"], formatter.quantity(value, "W")) for value in _values()]
    cases += [("clock", [at, 3600], formatter.clock(at, utc_offset_s=3600)) for at in (0.0, 1_763_930_467.9)]
    script = """async ([source, cases]) => {
      const module = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(source));
      const words = new Set(["NaN", "Infinity", "-Infinity"]);
      return cases.map(([name, given, text]) => [name, given, text,
          module[name](...given.map((value) => (words.has(value) ? module.revive(value) : value)))])
        .filter(([, , text, written]) => text !== written);
    }"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        different = page.evaluate(script, [FORMAT_JS.read_text(encoding="utf-8"), json.loads(json.dumps(cases))])
        browser.close()
    assert different == []


TOGETHER = {
    "chosen wins 48.5 % of pairs": "chosen wins 48.5~% of pairs",
    "54.1 % ± 1.5 of pairs, +0.027 ± 0.049": "54.1~%~±~1.5 of pairs, +0.027~±~0.049",
    "a step takes 0.51 s, 12 min 5 s left": "a step takes 0.51~s, 12~min 5~s left",
    "80.1 GiB at 71 °C and 600 W, 7\u2009580 tokens/s": "80.1~GiB at 71~°C and 600~W, 7^580~tokens/s",
    "grew 3 × as fast": "grew 3~× as fast",
    "2.3 nat, then 1 nat.": "2.3~nat, then 1~nat.",
    "30 steps of 5 samples in 4 dogs": "30 steps of 5 samples in 4 dogs",
    "step 5 shows 10 mean sums": "step 5 shows 10 mean sums",
}


@pytest.mark.browser
@pytest.mark.slow
def test_no_line_ends_between_a_number_and_its_sign_its_unit_or_its_thousands(chromium_path: str) -> None:
    from playwright.sync_api import sync_playwright

    script = """async ([source, texts]) => {
      const { together } = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(source));
      return texts.map((text) => together(text));
    }"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        written = browser.new_page().evaluate(script, [FORMAT_JS.read_text(encoding="utf-8"), list(TOGETHER)])
        browser.close()
    assert [text.replace("\u00a0", "~").replace("\u202f", "^") for text in written] == list(TOGETHER.values())
