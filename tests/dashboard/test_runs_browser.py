"""The Runs page in real Chromium: finding, grouping, choosing, tagging, deleting with undo, saved views, thousands of runs, hostile texts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from runvitals.store import Store
from runvitals.store.types import Batch, SeriesPoints

HOSTILE = "<img src=x onerror=window.hurt=1>"

# A cold browser and a cold server on a busy machine.
expect.set_options(timeout=30_000)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def filled(store: Store, sample: ModuleType) -> Store:
    """The sample runs and 200 short ones, of which one is tagged, grouped and described by somebody hostile."""
    sample.fill(store, now_s=time.time())
    for number in range(200):
        start = {"project": "many", "name": f"short {number:03d}", "config": {"seed": number % 5}, "info": {}}
        writer = {"writer_id": "w", "first_seq": 1, "last_seq": 1, "position": {}}
        store.append(Batch(run_id=f"short-{number:03d}", start={**start, "time_s": 1000.0 + number}, **writer))
        store.set_run(f"short-{number:03d}", status="finished", ended_s=2000.0 + number)
    store.tag_runs(["short-199"], add=[HOSTILE, "![](http://tracker.example/x.png)", "$x^2$"])
    store.group_runs(["short-199"], HOSTILE)
    store.describe_run("short-199", HOSTILE)
    store.save_view("runs", HOSTILE, "q=tag:none", 1.0)
    return store


@pytest.fixture
def page(chromium_path: str) -> Iterator[Page]:
    """A page of a fresh browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


def opened(page: Page, url: str) -> None:
    """Goes to the page and waits for its first picture: a cold server and a cold browser may take long on a busy machine."""
    page.goto(url)
    expect(page.locator("tr.run").first).to_be_visible(timeout=90_000)


def rows(page: Page) -> list[str]:
    """The names in the table, from its top."""
    return page.locator("tr.run a").all_inner_texts()


def test_runs_are_found_chosen_tagged_deleted_and_brought_back(filled: Store, running_app: str, page: Page) -> None:
    opened(page, running_app)
    expect(page.locator(".count")).to_have_text("212 runs, 7 running")
    assert page.locator("tr.run").count() < 212, "only the rows that are seen are made"

    search = page.get_by_label("Search")
    page.keyboard.press("/")
    page.keyboard.type("helth:critical ta")
    expect(page.get_by_role("option").first).to_have_text("tag:a tag")
    page.keyboard.press("Escape")
    expect(page.locator(".troubles")).to_contain_text("did you mean health?")
    expect(page.locator(".paint .bad")).to_have_text("helth:critical")
    page.keyboard.press("Escape")
    expect(search).to_have_value("")
    page.keyboard.type("tag:")
    expect(page.get_by_role("option").filter(has_text="<img")).to_have_count(1)
    search.fill("name:short config.seed=3")
    expect(page.locator(".count")).to_contain_text("40 found")
    assert all(name.startswith("short") for name in rows(page))

    page.get_by_role("columnheader", name="Run").get_by_role("button").click()
    expect(page.locator("tr.run a").first).to_have_text("short 003")
    page.locator(".pick").nth(0).click()
    page.locator(".pick").nth(2).click(modifiers=["Shift"])
    expect(page.get_by_text("3 chosen")).to_be_visible()
    page.locator("tr.run a").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("t")
    page.get_by_label("Tags to add").fill("odd ones")
    page.keyboard.press("Enter")
    expect(page.locator("tr.run .chip").filter(has_text="odd ones")).to_have_count(3)
    assert {run.id for run in filled.runs() if "odd ones" in run.tags} == {"short-003", "short-008", "short-013"}

    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("3 runs deleted")).to_be_visible()
    expect(page.locator(".count")).to_contain_text("37 found")
    assert len(filled.due_deletions(4e9)) == 3
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".count")).to_contain_text("40 found")
    assert filled.due_deletions(4e9) == []


def test_deeds_in_quick_succession_are_all_done(filled: Store, running_app: str, page: Page) -> None:
    filled.tag_runs(["short-007"], add=["one", "two", "three"])
    opened(page, f'{running_app}/?q="short 007"')
    page.locator(".pick").first.click()
    page.locator("tr.run a").first.focus()
    page.keyboard.press("t")
    chips = page.get_by_title("Remove the tag")
    expect(chips).to_have_count(3)
    chips.evaluate_all("buttons => buttons.forEach((button) => button.click())")
    expect(page.locator("tr.run .chip")).to_have_count(0)
    assert filled.run("short-007").tags == []


def test_all_that_answer_one_search_are_not_those_of_the_next(filled: Store, running_app: str, page: Page) -> None:
    opened(page, f"{running_app}/?q=name:short")
    page.get_by_label("Choose all rows shown").click()
    page.get_by_role("button", name="Choose all 200 that answer the search").click()
    expect(page.get_by_text("200 chosen")).to_be_visible()
    page.locator("tr.run").first.focus()
    page.keyboard.press("t")
    expect(page.get_by_label("Tags to add")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("tr.run").first).to_be_focused()

    search = page.get_by_label("Search")
    search.fill("name:short config.seed=3")
    expect(page.locator(".count")).to_contain_text("40 found")
    expect(page.get_by_text("40 chosen")).to_have_count(0)
    twice = "config.seed=3 helth:critical helth:critical"
    for found, query in (("41", f'"short 199" or {twice}'), ("40", twice)):
        search.fill(query)
        expect(page.locator(".count")).to_contain_text(f"{found} found")
    expect(page.locator(".troubles .mark")).to_have_count(2)


def test_groups_fold_and_a_saved_view_brings_everything_back(filled: Store, running_app: str, page: Page) -> None:
    opened(page, running_app)
    page.get_by_label("Group by").select_option("config.seed")
    page.get_by_label("Search").fill("name:short")
    head = page.locator("tr.group").first
    expect(head).to_have_text("seed = 040")
    first = rows(page)
    head.get_by_role("button").click()
    expect(head.get_by_role("button")).to_have_attribute("aria-expanded", "false")
    expect(page.locator("tr.run a").first).not_to_have_text(first[0])
    page.get_by_label("Search").fill("name:short config.seed<3")
    expect(page.locator(".count")).to_contain_text("120 found")
    expect(head.get_by_role("button")).to_have_attribute("aria-expanded", "false")
    page.get_by_label("Search").fill("name:short")
    expect(page.locator(".count")).to_contain_text("200 found")
    # Said faster than the page answers: the first group twice, the others once; what was wanted last is what comes.
    others = [page.locator("tr.group").nth(at).get_by_role("button") for at in (1, 2)]
    page.locator(".fold").evaluate_all("([a, b, c]) => [a, b, a, c].forEach((node) => node.click())")
    for other in others:
        expect(other).to_have_attribute("aria-expanded", "false")
    expect(head.get_by_role("button")).to_have_attribute("aria-expanded", "false")
    page.get_by_role("button", name="Save view").click()
    page.get_by_label("Name of the view").fill("by seed")
    page.keyboard.press("Enter")
    pill = page.get_by_role("button", name="by seed", exact=True)
    expect(pill).to_have_attribute("aria-pressed", "true")
    # The fields show at once what was chosen; that the page has answered is told by its address.
    page.get_by_role("button", name="All runs").click()
    expect(page.get_by_label("Group by")).to_have_value("attention")
    page.wait_for_url(lambda url: "by=" not in url)
    pill.click()
    expect(page.get_by_label("Group by")).to_have_value("config.seed")
    expect(page.get_by_label("Search")).to_have_value("name:short")
    page.wait_for_url("**by=config.seed*")
    page.reload()
    expect(page.get_by_label("Group by")).to_have_value("config.seed")
    page.get_by_role("button", name="Forget the view by seed").click()
    expect(pill).to_have_count(0)


def test_more_rows_come_as_they_are_scrolled_to_and_what_people_wrote_is_text(
    filled: Store, running_app: str, page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    opened(page, f"{running_app}/?by=none&sort=run")
    assert page.locator("tr.run").count() < 212
    more = page.locator("button.more")
    # The end need not be seen: 500 px before it the next rows come.
    before_the_end = """node => document.querySelector("[data-testid=stMain]").scrollBy(
        0, node.getBoundingClientRect().top - innerHeight - 500)"""
    for many in (179, 212):
        more.evaluate(before_the_end)
        expect(page.locator("tr.run")).to_have_count(many)
    expect(more).to_be_hidden()
    # A search begins with two screens again, and again more come.
    page.get_by_label("Search").fill("name:short")
    expect(page.locator(".count")).to_contain_text("200 found")
    page.locator("tr.run").last.scroll_into_view_if_needed()
    expect(page.locator("tr.run")).to_have_count(179)
    page.get_by_label("Search").fill("note:onerror")
    expect(page.locator("tr.run")).to_have_count(1)
    expect(page.locator("tr.run .chip").first).to_have_text(HOSTILE)
    expect(page.locator("tr.run .about")).to_have_text(f"{HOSTILE} · {HOSTILE}")
    page.get_by_label("Group by").select_option("group")
    expect(page.locator("tr.group")).to_contain_text(HOSTILE)
    assert page.evaluate("window.hurt") is None
    assert [url for url in asked if not url.startswith(running_app)] == []


def test_a_run_s_news_and_what_another_person_does_come_without_a_reload(
    filled: Store, running_app: str, page: Page
) -> None:
    opened(page, f"{running_app}/?q=name:short")
    filled.set_run("short-199", status="running", finding="Loss spike", health="critical")
    row = page.locator("tr.run").filter(has_text="short 199")
    expect(row).to_contain_text("Running")
    expect(row).to_contain_text("Loss spike")
    filled.archive_runs(["short-199"], 1.0)
    expect(row).to_have_count(0)
    expect(page.locator(".count")).to_contain_text("1 archived")


def test_curves_without_a_number_are_not_said_to_be_missing(store: Store, running_app: str, page: Page) -> None:
    nothing = SeriesPoints(steps=np.arange(3), times_s=np.arange(3) + 1000.0, values=np.full(3, np.nan))
    start = {"project": "p", "name": "only NaN", "config": {}, "info": {}, "time_s": 1000.0}
    series = {"loss": nothing, "rewards/margins": nothing}
    writer = {"writer_id": "w", "first_seq": 1, "last_seq": 3, "position": {}}
    store.append(Batch(run_id="r", start=start, series=series, rows=3, **writer))
    store.set_run("r", status="finished", last_step=2, last_step_s=1002.0, ended_s=1003.0)
    opened(page, running_app)
    expect(page.locator("tr.run .c-loss")).to_have_text("no numbers")
    expect(page.locator("tr.run .c-margin")).to_have_text("no numbersNaN")


def test_on_a_narrow_screen_names_have_room_and_every_control_can_be_reached(
    filled: Store, running_app: str, page: Page
) -> None:
    page.set_viewport_size({"width": 1280, "height": 1000})
    opened(page, running_app)
    names = page.locator("tr.run .name .cut:has(> a)")
    assert names.evaluate_all("(nodes) => nodes.filter((node) => node.scrollWidth > node.clientWidth).length") == 0
    page.set_viewport_size({"width": 640, "height": 1000})
    name = page.locator("tr.run td.c-run").first.bounding_box()
    assert name is not None
    assert name["width"] > 160
    ids = [run.id for run in filled.runs() if run.trainer == "dpo"]
    for address in (f"run?run={ids[0]}", f"compare?compare={','.join(ids)}"):
        page.goto(f"{running_app}/{address}")
        last = page.locator(".title .controls > *").last
        expect(last).to_be_visible()
        box = last.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 640, address


def test_back_from_a_run_brings_the_list_back_as_it_was(filled: Store, running_app: str, page: Page) -> None:
    opened(page, f"{running_app}/runs?q=name:short&sort=run&by=config.seed")
    page.locator(".fold").first.click()
    expect(page.locator(".fold").first).to_have_attribute("aria-expanded", "false")
    page.locator(".pick").nth(2).click()
    # Rows come as they are scrolled to, so the last of all is brought in by steps.
    last = page.locator("tr.run a").filter(has_text="short 199")
    expect(last).to_have_count(0)
    scroll = "document.querySelector('[data-testid=stMain]')"
    page.mouse.move(700, 600)
    while not last.count():
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(50)
    last.scroll_into_view_if_needed()
    place = page.evaluate(f"{scroll}.scrollTop")
    assert place > 1000

    with page.context.expect_page() as tab:
        last.click(modifiers=["Control"])
    assert tab.value.url.endswith("/run?run=short-199")
    tab.value.close()
    address = page.url
    last.click()
    page.wait_for_url("**/run?run=short-199")
    expect(page.locator("tr.run")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("short 199")
    page.go_back()
    expect(last).to_be_in_viewport()
    assert page.url == address
    page.reload()
    expect(last).to_be_in_viewport()
    expect(page.locator(".count")).to_contain_text("200 found")
    expect(page.get_by_label("Search")).to_have_value("name:short")
    expect(page.get_by_label("Group by")).to_have_value("config.seed")
    expect(page.locator(".fold").first).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_text("1 chosen")).to_be_visible()
    page.wait_for_function(f"Math.abs({scroll}.scrollTop - {place}) < 60")
    # Back among searches of one page, while its field has the focus.
    page.get_by_label("Search").fill('"short 199"')
    expect(page.locator(".count")).to_contain_text("1 found")
    page.go_back()
    expect(page.get_by_label("Search")).to_have_value("name:short")
    expect(page.locator(".count")).to_contain_text("200 found")


END = """() => [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")]
    .map((node) => node.shadowRoot.runvitals.stop()).length"""

FOCUSED = """() => {
  let node = document.activeElement;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return `${node.tagName.toLowerCase()} ${node.className.split(" ")[0]}`;
}"""


def test_the_table_is_one_stop_of_the_tab_key_and_its_tags_are_reached(
    filled: Store, running_app: str, page: Page
) -> None:
    filled.tag_runs(["short-198"], add=["near", "far"])
    opened(page, f"{running_app}/?q=name:short&sort=-run&by=config.seed")
    press = page.keyboard.press

    def focused() -> str:
        return str(page.evaluate(FOCUSED))

    page.locator(".sort").last.focus()
    press("Tab")
    assert focused() == "button fold"
    press("Tab")
    assert focused() == "button button", "the next stop is behind the table"
    press("Shift+Tab")
    press("ArrowLeft")
    expect(page.locator(".fold").first).to_have_attribute("aria-expanded", "false")
    press("ArrowRight")
    expect(page.locator(".fold").first).to_have_attribute("aria-expanded", "true")
    press("End")
    assert focused() == "tr run"
    page.get_by_label("Search").fill("tag:far or tag:odd")
    expect(page.locator("tr.run")).to_have_count(1)
    press("Enter")
    expect(page.locator("tr.run")).to_be_focused()
    press("ArrowRight")
    expect(page.locator("tr.run a")).to_be_focused()
    press("ArrowRight")
    expect(page.locator(".chip").filter(has_text="near")).to_be_focused()
    press("Enter")
    page.wait_for_url("**tag*far*odd*tag*near*")

    press("Escape")
    expect(page.locator("tr.run")).to_be_focused()
    # Streamlit calls the end of a component also where two messages came at once; keys and clock go on.
    assert page.evaluate(END) == 1
    press("?")
    panel = page.get_by_role("dialog", name="Keys of this page")
    expect(panel).to_contain_text("archive")
    press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("tr.run")).to_be_focused()
    # A row that leaves hands the focus on.
    press("a")
    expect(page.locator("tr.run")).to_have_count(0)
    press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type(" ?")
    expect(panel).to_be_hidden()
    page.keyboard.press("Escape")
    page.context.set_offline(True)
    expect(page.locator(".notice")).to_contain_text("This browser is offline")
    expect(page.get_by_text("Watcher alive")).to_be_hidden()
