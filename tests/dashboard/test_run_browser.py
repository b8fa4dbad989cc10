"""The Run page in a real browser: any signal is found and pinned, the layout lives in the address, a metric says what it means."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from runvitals.store import Store
from runvitals.store.types import Batch, EventRow, SeriesPoints

sync_api = pytest.importorskip("playwright.sync_api")

HOSTILE = "<img src=x onerror=window.pwned=1>"
LAYERS = 4000
pytestmark = [pytest.mark.browser, pytest.mark.slow]


def fill(store: Store) -> None:
    """A run of thousands of keys, with eight GPUs of which the last idles, two ranks, and an evaluation of 8 s beside steps of 2 s."""
    steps = np.arange(1, 61, dtype=np.int64)
    times = time.time() - 600 + 10.0 * steps
    wave = 1 + 0.1 * np.sin(steps)

    def at(values: np.ndarray, rows: slice = slice(None), *, stepless: bool = False) -> SeriesPoints:
        shown = np.full(steps.size, -1, dtype=np.int64) if stepless else steps
        return SeriesPoints(
            steps=shown[rows], times_s=times[rows], values=np.broadcast_to(values, steps.shape)[rows].astype(float)
        )

    series = {name: at(wave) for name in ("loss", "grad_norm", "rank/1/loss", HOSTILE)}
    series |= {f"layers/{layer}/norm": at(wave) for layer in range(LAYERS)}
    series |= {"perf/step_time_s": at(np.array(2.0)), "perf/data_wait_s": at(np.array(0.5))}
    series["perf/eval_time_s"] = at(np.array(8.0), slice(29, 30))
    for gpu in range(8):
        series[f"gpu/{gpu}/utilization"] = at(np.array(5.0 if gpu == 7 else 95.0), stepless=True)
        series[f"gpu/{gpu}/power_w"] = at(np.array(600.0), stepless=True)
    start = {"project": "p", "name": "n", "config": {}, "info": {}, "time_s": times[0], "resumed": False}
    store.append(
        Batch(run_id="r", writer_id="w", first_seq=0, last_seq=60, position={}, series=series, start=start, rows=60)
    )
    rows = [{"prompt": "Say hello, at length. " * 9, "chosen": "Hello", "rejected": "Go", "completion": "Hi " * 90}]
    said = [
        EventRow(run_id="r", writer_id="c", seq=seq, time_s=times[-1], step=step, kind="completions", data={"source": "held-out", "rows": rows})
        for seq, step in enumerate((0, 60), 1)
    ]  # fmt: skip
    store.append(Batch(run_id="r", writer_id="c", first_seq=1, last_seq=2, position={}, events=said))
    store.set_run("r", last_step=60, last_step_s=float(times[-1]), trainer="sft", status="running")


@pytest.fixture
def page(store: Store, running_app: str, chromium_path: str) -> Iterator[sync_api.Page]:
    fill(store)
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        opened = chromium.new_page(viewport={"width": 1440, "height": 1100})
        opened.set_default_timeout(60_000)
        opened.goto(f"{running_app}/run?run=r")
        drawn(opened, "loss")
        yield opened
        chromium.close()


def drawn(page: sync_api.Page, chart: str) -> sync_api.Locator:
    """The chart, once it is drawn."""
    found = page.locator(f'[data-chart="{chart}"]')
    found.locator(".xtick").first.wait_for(state="attached")
    return found


def asked(page: sync_api.Page, name: str, values: list[str]) -> None:
    """Waits until the address holds these values, which may come after what is drawn."""
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get(name, []) == values)


def test_any_of_thousands_of_signals_is_found_pinned_and_shared_by_its_address(page: sync_api.Page) -> None:
    search = page.get_by_role("combobox", name="Find a signal")
    assert "4\u2009023" in (search.get_attribute("placeholder") or "")
    search.click()
    page.keyboard.type("layers/3777")
    found = page.get_by_role("listbox").get_by_role("option")
    sync_api.expect(found.first).to_contain_text("layers/3777/norm")  # while one types, others come first
    page.keyboard.press("Enter")
    assert drawn(page, "pin:key:layers/3777/norm").locator("xpath=ancestor::section").inner_text().startswith("Pinned")
    asked(page, "pin", ["key:layers/3777/norm"])

    search.fill("gradient")
    found.filter(has_text="grad_norm").wait_for()
    search.fill("onerror")
    found.filter(has_text="onerror").first.click()
    assert drawn(page, f"pin:key:{HOSTILE}").locator("b").first.inner_text() == HOSTILE
    assert page.evaluate("window.pwned") is None
    page.keyboard.press("Escape")

    drawn(page, "grad_norm").hover()
    page.get_by_role("button", name="Pin Gradient norm").click()
    drawn(page, "pin:grad_norm")
    asked(page, "pin", ["key:layers/3777/norm", f"key:{HOSTILE}", "grad_norm"])
    page.reload()
    sync_api.expect(page.locator('[data-chart^="pin:"]')).to_have_count(3)
    pinned = page.locator('[data-chart^="pin:"]').evaluate_all("nodes => nodes.map((node) => node.dataset.chart)")
    assert pinned == ["pin:key:layers/3777/norm", f"pin:key:{HOSTILE}", "pin:grad_norm"], "in the order of pinning"

    page.get_by_role("button", name="Unpin layers/3777/norm").click()
    page.locator('[data-chart="pin:key:layers/3777/norm"]').wait_for(state="detached")
    asked(page, "pin", [f"key:{HOSTILE}", "grad_norm"])


def test_ten_thousand_metrics_are_turned_over_part_by_part_and_narrowed_by_words(page: sync_api.Page) -> None:
    page.get_by_role("button", name="Also logged").click()
    section = page.locator("section", has=page.get_by_role("button", name="Also logged"))
    said = section.get_by_role("status")
    sync_api.expect(said).to_have_text("1–24 of 4\u2009001")
    assert section.locator("figure").count() == 24
    section.get_by_role("button", name="Next").click()
    sync_api.expect(said).to_have_text("25–48 of 4\u2009001")
    asked(page, "part", ["2"])

    narrow = section.get_by_role("searchbox", name="Narrow")
    narrow.fill("LAYERS 3999")
    sync_api.expect(said).to_have_text("1–1 of 1 with these words")
    drawn(page, "key:layers/3999/norm")
    assert section.locator("figure").count() == 1
    asked(page, "also", ["LAYERS 3999"])
    narrow.fill("nowhere")
    sync_api.expect(said).to_have_text("No metric has these words in its name.")
    assert narrow.evaluate("node => node.getRootNode().activeElement === node")

    page.goto(f"{page.url.split('?')[0]}?run=r&open=others&also=layers&part=167")
    sync_api.expect(said).to_have_text("3\u2009985–4\u2009000 of 4\u2009000 with these words")
    sync_api.expect(narrow).to_have_value("layers")


def test_on_paper_each_chart_is_drawn_or_says_that_it_was_not_read(page: sync_api.Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 500})
    page.goto(f"{page.url}&open=others")
    drawn(page, "loss")
    page.locator('[data-chart^="key:layers/"]').nth(20).wait_for(state="attached")
    curves = "figures => figures.map(one => one.querySelectorAll('.scatterlayer path').length)"
    unread = page.locator("figure .loading")
    assert 0 in page.locator("figure").evaluate_all(curves)
    page.pdf()
    shown = page.locator("figure").evaluate_all(curves)
    assert unread.count() == shown.count(0) > 0
    page.emulate_media(media="print")
    words = unread.last.evaluate("node => getComputedStyle(node, '::after').content")
    assert "Not read yet" in words
    page.emulate_media(media="screen")

    page.evaluate("() => { window.print = () => { window.printed = true; }; }")
    page.keyboard.press("Control+p")
    page.wait_for_function("window.printed")
    page.pdf()
    assert 0 not in page.locator("figure").evaluate_all(curves)
    assert page.locator("[data-printed]").count() == 0  # the screen has its pictures back as they were


FOCUSED = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  if (!at || at === document.body) return null;
  const name = at.getAttribute("aria-label") || at.innerText || at.labels?.[0]?.innerText || at.title || "";
  return { name: name.trim(), tag: at.localName, ring: getComputedStyle(at).outlineStyle, ours: Boolean(at.closest(".page")), chart: at.dataset.chart ?? "" };
}"""


def test_the_whole_page_is_walked_by_keyboard_and_each_stop_has_a_name_and_a_ring(page: sync_api.Page) -> None:
    page.locator(".page").evaluate("node => node.setAttribute('tabindex', -1)")
    page.locator(".page").focus()
    stops = []
    for _ in range(120):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop is None or not stop["ours"]:
            break
        stops.append(stop)
    assert [stop for stop in stops if not stop["name"] or stop["ring"] == "none"] == []
    assert {"loss", "grad_norm", "step_parts"} <= {stop["chart"] for stop in stops}
    assert stops[-1]["name"].startswith("Keys"), "the foot is reached: nothing on the way keeps the focus"

    # One chart by keys alone: zoom and back, its menu and back, pinned and not.
    loss = page.locator('[data-chart="loss"]')
    loss.focus()
    page.keyboard.press("+")
    page.wait_for_url(lambda url: "zoom=" in url)
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "zoom=" not in url)
    menu = loss.get_by_role("button", name="Loss: settings and files")
    menu.focus()
    page.keyboard.press("Enter")
    loss.get_by_role("menu").wait_for()
    assert page.evaluate(FOCUSED)["name"] == "Auto"
    page.keyboard.press("Escape")
    assert page.evaluate(FOCUSED)["name"] == "Loss: settings and files"
    loss.get_by_role("button", name="Pin Loss").focus()
    page.keyboard.press("Space")
    asked(page, "pin", ["loss"])
    assert page.evaluate(FOCUSED)["tag"] == "button"
    page.keyboard.press("Space")
    asked(page, "pin", [])


SPLIT = r"""page => {
  const split = [];
  const walk = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    for (const found of node.data.matchAll(/\d[ \u00a0](?:%|±|s\b|min\b|GiB|W\b)|\d[\u2009\u202f]\d/g)) {
      const range = document.createRange();
      range.setStart(node, found.index);
      range.setEnd(node, found.index + found[0].length);
      const tops = [...range.getClientRects()].filter((box) => box.width).map((box) => Math.round(box.top));
      if (new Set(tops).size > 1) split.push(node.data);
    }
  }
  return split;
}"""


BROAD = """page => {
  const main = document.querySelector("[data-testid=stMain]");
  const cut = [...page.querySelectorAll(".key")].filter((key) => key.scrollHeight > key.clientHeight + 1).map((key) => key.textContent);
  return [main.scrollWidth - main.clientWidth, cut];
}"""


def test_a_phone_shows_all_of_the_page_in_its_width_and_all_of_every_key(page: sync_api.Page) -> None:
    page.set_viewport_size({"width": 390, "height": 5000})
    page.get_by_role("slider", name="Step of these completions").wait_for()
    parts = drawn(page, "step_parts")
    sync_api.expect(parts.locator(".key-entry").last).to_be_in_viewport()
    assert parts.locator(".key-entry").count() == 3, "data wait; forward, backward, optimiser; eval"
    assert page.locator(".page").evaluate(BROAD) == [0, []]


def test_a_number_and_its_unit_stand_on_one_line_at_any_width(page: sync_api.Page) -> None:
    sync_api.expect(page.locator(".section-sentence", has_text="a step takes")).to_have_text(re.compile(r"\d\u00a0s"))
    for width in range(420, 1500, 90):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator(".page").evaluate(SPLIT) == [], width


def test_the_map_shows_the_idle_gpu_and_another_measure_on_demand(page: sync_api.Page) -> None:
    section = page.locator("section.section", has=page.locator(".map-canvas"))
    section.get_by_text("GPU 7 stands apart: mean 5.00 %, the others 95.0 %").wait_for()
    # Ink by value: the first GPU has more than three times that of the last.
    page.wait_for_function(
        """(canvas) => {
          const [first, last] = [0, 7].map((row) => {
            const { width, height } = canvas;
            return canvas.getContext("2d").getImageData(width / 2, (height * (row + 0.5)) / 8, 1, 1).data[3];
          });
          return first > 3 * last && last > 0;
        }""",
        arg=section.locator(".map-canvas").element_handle(),
    )
    section.get_by_label("What the map shows").select_option(label="Loss")
    section.get_by_role("button", name="rank 1").wait_for()
    asked(page, "map", ["rank/loss"])
    section.get_by_role("button", name="rank 1").click()
    drawn(page, "pin:key:rank/1/loss")


def test_a_metric_says_what_it_means_on_hover_and_on_focus(page: sync_api.Page) -> None:
    page.locator('[data-chart="grad_norm"] .chart-words').hover()
    about = page.get_by_role("tooltip")
    about.wait_for()
    for word in ("before it is clipped", "Healthy", "within a range"):
        assert word in about.inner_text()
    page.mouse.move(5, 5)
    about.wait_for(state="detached")
    page.locator('[data-chart="grad_norm"] .pin-button').focus()
    page.keyboard.press("Shift+Tab")  # back to the chart itself, as the keyboard reaches it
    about.wait_for()
    assert "Gradient norm" in about.inner_text()
    page.locator(".small-item").last.scroll_into_view_if_needed()
    page.locator(".small-item .small-title").first.hover()
    about.filter(has_text="some kernel ran").wait_for()


def test_the_parts_of_a_step_are_stacked_on_the_steps_that_they_belong_to(page: sync_api.Page) -> None:
    chart = drawn(page, "step_parts")
    # 60 steps of 2 s, a quarter of them waiting, and 8 s of evaluation beside them: 30 + 90 + 8 s.
    sync_api.expect(chart.locator(".key b")).to_have_count(3)
    shares = dict(
        zip(chart.locator(".key .cut").all_inner_texts(), chart.locator(".key b").all_inner_texts(), strict=True)
    )
    assert shares == {"data wait": "23 %", "forward, backward, optimiser": "70 %", "eval": "6 %"}
    highest = chart.locator(".ytick text").all_text_contents()[-1]
    assert float(highest) in (7.5, 8.0, 10.0), "a step of 2 s with its evaluation of 8 s reaches to 10 s"
    assert "not logged: optimiser, save" in chart.inner_text()


def test_tags_group_and_description_are_changed_under_the_runs_name_and_stay_text(
    store: Store, page: sync_api.Page
) -> None:
    line = page.locator(".run-labels")
    line.get_by_role("button", name="Add tags").click()
    page.get_by_label("Tags to add, with commas between").fill(f"sweep, {HOSTILE}")
    page.keyboard.press("Enter")
    line.get_by_role("link", name=HOSTILE, exact=True).wait_for()
    assert list(store.run("r").tags) == ["sweep", HOSTILE]
    assert page.evaluate("window.pwned") is None

    line.get_by_role("button", name="Describe").click()
    field = page.get_by_label("What this run is about")
    field.fill("Two lines\nof words")
    store.group_runs(["r"], "seeds")  # somebody else's change comes while this one types
    line.get_by_role("link", name="seeds").wait_for()
    assert field.input_value() == "Two lines\nof words"
    page.keyboard.press("Control+Enter")
    line.locator(".label-words", has_text="Two lines").wait_for()
    assert store.run("r").description == "Two lines\nof words"

    line.get_by_role("button", name="Remove the tag sweep").click()
    line.get_by_role("link", name="sweep").wait_for(state="detached")
    assert list(store.run("r").tags) == [HOSTILE]
    line.get_by_role("button", name="Change").click()
    page.get_by_label("Group, empty for none").fill("g" * 61)
    page.keyboard.press("Enter")
    line.get_by_text("Not done").wait_for()
    assert store.run("r").group == "seeds"
