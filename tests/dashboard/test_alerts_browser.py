"""Alerts and Back-test in real Chromium: muting and its end, a back-test begun from an alert, notifications over two tabs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from runvitals.store import Store
from runvitals.store.types import Mute

# A cold browser and a cold server on a busy machine.
expect.set_options(timeout=30_000)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTES_DOWN = """
class Told {
  static permission = "granted";
  static requestPermission = async () => "granted";
  constructor(title, options) {
    const told = JSON.parse(localStorage.getItem("told") ?? "[]");
    localStorage.setItem("told", JSON.stringify([...told, `${title} | ${options.body}`]));
  }
  close() {}
}
globalThis.Notification = Told;
"""


@pytest.fixture
def address(store: Store, sample: ModuleType, running_app: str) -> str:
    """The app on the sample runs."""
    sample.fill(store, now_s=time.time())
    return running_app


@pytest.fixture
def context(chromium_path: str) -> Iterator[BrowserContext]:
    """One browser whose tabs share what it keeps."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_context(viewport={"width": 1440, "height": 1000})
        browser.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def test_a_muted_rule_stays_in_sight_and_its_mute_can_be_ended(address: str, page: Page, store: Store) -> None:
    (alert,) = [row for row in store.alerts() if row.rule == "margin_stagnant"]
    page.goto(f"{address}/alerts?alert={alert.id}")
    page.get_by_role("button", name="Mute …").click()
    page.get_by_label("What to mute").select_option("run")
    page.get_by_label("How long").select_option("until")
    page.get_by_label("Until").fill("2020-01-01T10:00")
    page.get_by_role("button", name="Mute", exact=True).click()
    assert store.mutes() == [], "a time that is over mutes nothing"
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Mute …")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("What to mute").select_option("run")
    page.get_by_label("How long").select_option("until")
    page.get_by_label("Until").fill("2020-01-01T10:00")
    page.get_by_role("button", name="Mute", exact=True).click()
    page.get_by_label("How long").select_option("28800")
    page.get_by_label("Your name").fill("Ann")
    page.get_by_label("Note").fill("known <b>fault</b>")
    page.get_by_role("button", name="Mute", exact=True).click()
    expect(page.get_by_role("button", name="Open 5")).to_be_visible()
    expect(page).to_have_title("◆ 5 · runvitals")
    expect(page.locator(".mutes .muteline")).to_contain_text("every rule on dpo-7b-uf-b01 · Ann")
    expect(page.locator(".mutes .muteline")).to_contain_text("known <b>fault</b>")
    page.get_by_role("button", name="Muted 1").click()
    expect(page.locator(".card")).to_contain_text(["by Ann"])
    page.locator(".standing").get_by_role("button", name="End the mute").click()
    expect(page.get_by_role("button", name="Open 6")).to_be_visible()
    (mute,) = store.mutes()
    assert (mute.who, mute.ended_by, mute.run_id) == ("Ann", "Ann", alert.run_id)


def test_what_is_listed_and_not_counted_says_so_and_a_resolved_alert_is_no_acknowledged_one(
    address: str, page: Page, store: Store
) -> None:
    (alert,) = [row for row in store.alerts() if row.rule == "margin_stagnant"]
    told = replace(alert, id="told", incident="told", rule="own", severity="info")
    over = replace(alert, id="over", rule="own_two", state="resolved", resolved_s=time.time(), resolved_step=100)
    store.put_alerts([told, over])
    page.goto(f"{address}/alerts?alert={alert.id}")
    expect(page.locator(".card")).to_have_count(7)
    expect(page.locator(".count")).to_have_text("6 incidents open, 9 alerts")
    expect(page.get_by_role("button", name="Open 6")).to_be_visible()
    expect(page.locator(".aside")).to_have_text("1 more for information, not counted above")
    expect(
        page.get_by_role("button", name="critical: Margin stagnant, dpo-7b-uf-b01, 3 alerts, 1 resolved")
    ).to_be_visible()
    expect(page.get_by_role("button", name="info: Margin stagnant, dpo-7b-uf-b01")).to_be_visible()
    row = page.locator(".moved button").filter(has_text="resolved")
    expect(row).to_have_count(1)
    expect(row.locator("svg")).to_have_attribute("fill", "currentColor")


def test_a_back_test_from_an_alert_tells_run_by_run_and_changes_nothing(address: str, page: Page, store: Store) -> None:
    (alert,) = [row for row in store.alerts() if row.rule == "margin_stagnant"]
    before = store.alerts()
    page.goto(f"{address}/alerts?alert={alert.id}")
    page.get_by_role("link", name="Back-test this rule").click()
    expect(page.get_by_role("heading", name="Back-test")).to_be_visible()
    expect(page.locator(".pickrun input:checked")).to_have_count(3)
    page.get_by_label("clear", exact=True).fill("77")
    page.get_by_role("button", name="Back-test", exact=True).click()
    expect(page.locator(".said")).to_contain_text("margin_stagnant, tried on 3 runs")
    expect(page.locator(".results section")).to_have_count(3)
    expect(page.locator(".code pre")).to_contain_text("[rules.margin_stagnant]\nclear = 77")
    page.reload()
    expect(page.locator(".results section")).to_have_count(3)
    assert store.alerts() == before
    page.get_by_role("button", name="Rules file").click()
    page.get_by_role("textbox", name="Rules file").fill("[rules.loss_spike]\nhold = 0")
    page.get_by_role("button", name="Back-test", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("runvitals.toml:2: rules.loss_spike.hold")


def test_a_new_alert_is_notified_once_over_all_tabs_where_somebody_asked(
    address: str, context: BrowserContext, store: Store
) -> None:
    context.add_init_script(NOTES_DOWN)
    (alert,) = [row for row in store.alerts() if row.rule == "kl_blowup"]
    first, second = context.new_page(), context.new_page()
    first.goto(f"{address}/alerts")
    second.goto(f"{address}/runs")
    expect(second.locator(".updated")).to_be_visible()
    assert first.evaluate("localStorage.getItem('told')") is None
    first.get_by_role("button", name="Notify this browser").click()
    expect(first.get_by_role("button", name="Notifies this browser")).to_be_visible()
    now_s = time.time()
    store.put_alerts([replace(alert, id="fresh", incident="fresh", rule="own", onset_s=now_s, fired_s=now_s)])
    for tab in (first, second):
        expect(tab).to_have_title("◆ 7 · runvitals")
    second.wait_for_function("(localStorage.getItem('told') ?? '').includes('ppo-7b-helpful-kl0')")
    # Each tab hears of it with every message; two more of each must add nothing.
    for tab in (first, second):
        updated = tab.locator(".updated").inner_text()
        expect(tab.locator(".updated")).not_to_have_text(updated)
    told = second.evaluate("JSON.parse(localStorage.getItem('told'))")
    assert len([line for line in told if line.startswith("◆ KL blow-up | ppo-7b-helpful-kl0")]) == 1
    assert len(told) == len(set(told))


def test_back_from_a_run_or_a_back_test_brings_the_same_alert_back(address: str, page: Page, store: Store) -> None:
    (alert,) = [row for row in store.alerts() if row.rule == "margin_stagnant"]
    now_s = time.time()
    others = [replace(alert, id=f"o{n}", incident=f"o{n}", rule=f"own{n}", fired_s=now_s + n) for n in range(60)]
    store.put_alerts(others)
    page.goto(f"{address}/alerts?q=trainer:dpo&state=open")
    card = page.locator(".card").nth(45)
    card.click()
    expect(card).to_have_attribute("aria-current", "true")
    page.wait_for_url("**alert=o*")
    left = page.url
    for link, there in (("Open the run", "**/run?run=*"), ("Back-test this rule", "**/backtest?rule=*&alert=*")):
        page.get_by_role("link", name=link).click()
        page.wait_for_url(there)
        expect(page.locator(".card")).to_have_count(0)
        page.go_back()
        expect(card).to_have_attribute("aria-current", "true")
        expect(card).to_be_in_viewport()
        assert page.url == left
        expect(page.get_by_label("Search")).to_have_value("trainer:dpo")
    with page.context.expect_page() as tab:
        page.get_by_role("link", name="Open the run").click(modifiers=["Control"])
    assert tab.value.url.endswith(f"/run?run={alert.run_id}")


def test_the_list_is_one_stop_of_the_tab_key_and_notices_are_read_out_once(
    address: str, page: Page, store: Store
) -> None:
    page.goto(f"{address}/alerts")
    cards = page.locator(".card")
    expect(cards).to_have_count(6)
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    expect(cards.first).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.press("Tab")
    expect(cards.first).to_be_focused()
    page.keyboard.press("End")
    expect(cards.last).to_be_focused()
    page.keyboard.press("Enter")
    expect(cards.last).to_have_attribute("aria-current", "true")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(cards.last).to_be_focused()
    expect(page.locator(".cards [tabindex='0'], .card[tabindex='0']")).to_have_count(1)
    page.goto(f"{address}/alerts?alert=none")
    notice = page.locator(".notice")
    expect(notice).to_contain_text("No such alert")
    expect(notice).to_have_attribute("aria-live", "off")


def test_nothing_is_headed_or_said_to_be_empty_that_is_not(address: str, page: Page, store: Store) -> None:
    (alert,) = [row for row in store.alerts() if row.rule == "margin_stagnant"]
    bare = {name: value for name, value in alert.detail.items() if name not in ("causes", "remedies")}
    store.put_alerts([replace(alert, id="bare", incident="bare", rule="own", detail=bare)])
    now_s = time.time()
    store.add_mute(Mute(rule="of_nothing_that_fires", since_s=now_s, until_s=now_s + 3600))
    page.goto(f"{address}/alerts?alert=bare")
    expect(page.get_by_role("heading", name="Numbers")).to_be_visible()
    expect(page.get_by_role("heading", name="Likely causes")).to_be_hidden()
    page.get_by_role("button", name="Muted 0").click()
    expect(page.locator(".none")).to_contain_text("No incident is muted as a whole")
    expect(page.locator(".standing")).to_contain_text("of_nothing_that_fires on every run")
