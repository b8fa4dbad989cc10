"""The report: what it tells, what it hides, and that nothing in a run is ever markup in it."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from runvitals.cli import app
from runvitals.dashboard.report.document import Bold, Code, Document, Link, Paragraph, Table
from runvitals.dashboard.report.html_page import html_page
from runvitals.dashboard.report.make import html_report, markdown_report
from runvitals.dashboard.report.markdown_page import markdown_page
from runvitals.dashboard.report.plain import HIDDEN, is_secret_name, plain, without_secret_values
from runvitals.diagnostics.user_rules.user_rules import read_user_rules
from runvitals.errors import SettingsError
from runvitals.store import Store
from runvitals.store.types import Batch, EventRow, SeriesPoints

NOW_S = 1_790_000_000.0


class Reader(HTMLParser):
    """What a browser would find in a page: its text, its tags and all their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def write(store: Store, values: Any, *, first: int = 1, name: str = "one", **start: Any) -> None:
    """A run of one curve, or more of it."""
    steps = np.arange(first, first + len(values), dtype=np.int64)
    store.append(
        Batch(
            run_id="r",
            writer_id=f"w{first}",
            first_seq=1,
            last_seq=len(values),
            position={},
            series={"loss": SeriesPoints(steps=steps, times_s=NOW_S + steps, values=np.array(values, float))},
            start={"project": "p", "name": name, "config": {}, "info": {}, "time_s": NOW_S, "resumed": first > 1}
            | start,
            rows=len(values),
        )
    )


def text_of(store: Store, run_id: str = "r", **asked: Any) -> str:
    return Reader(html_report(store, run_id, now_s=NOW_S + 60, **asked).text).text


def run_named(store: Store, name: str) -> str:
    return next(run.id for run in store.runs() if run.name == name)


def test_a_run_is_told_with_its_incident_evidence_and_remedies(watched: Store) -> None:
    run_id = run_named(watched, "dpo-7b-uf-b01")
    root = next(alert for alert in watched.alerts(run_id=run_id) if alert.rule == "margin_stagnant")
    watched.acknowledge(root.id, "looking into <it>", NOW_S, who="ann")
    watched.tick(root.id, 0, True, NOW_S)
    watched.feedback(root.id, "real", NOW_S)
    watched.add_note(run_id, "restart on Monday", 5, NOW_S)
    page = Reader(html_report(watched, run_id, now_s=time.time()).text)
    said = " ".join(page.text.split())
    for words in ("Margin stagnant", "looking into <it>", "by ann", "yes, a real fault", "restart on Monday", "trl"):
        assert words in said
    assert str(root.detail["sentence"]) in said
    assert all(str(cause["text"]) in said for cause in root.detail["causes"])
    assert all(str(remedy["text"]) in said for remedy in root.detail["remedies"])
    assert said.index("Findings") < said.index("Curves") < said.index("Settings") < said.index("How this was made")
    assert said.count("☑") == 1
    assert page.tags.count("svg") > 5
    assert set(page.tags).isdisjoint({"script", "img", "iframe", "link", "object", "form"})


def test_an_incident_alone_shows_only_its_curves(watched: Store) -> None:
    run_id = run_named(watched, "dpo-7b-uf-b01")
    whole = html_report(watched, run_id, now_s=time.time())
    report = html_report(watched, run_id, incident_id="margin_stagnant", now_s=time.time())
    assert report.name == "dpo-7b-uf-b01-margin_stagnant-report.html"
    assert Reader(report.text).tags.count("svg") < Reader(whole.text).tags.count("svg")
    assert "around the incident" in Reader(report.text).text


def test_the_verdict_on_the_margin_is_that_of_the_users_rules(watched: Store) -> None:
    run_id = run_named(watched, "dpo-7b-uf-b01")
    user = read_user_rules("[rules.margin_stagnant]\nafter = 0.95\nlate = 1\n", file="runvitals.toml")
    waiting = "needs 95 % of the run, has 74 %"
    assert waiting not in text_of(watched, run_id)
    assert waiting in text_of(watched, run_id, rules=user)


def test_an_unknown_incident_lists_those_of_the_run(watched: Store) -> None:
    with pytest.raises(SettingsError, match="Margin stagnant"):
        html_report(watched, run_named(watched, "dpo-7b-uf-b01"), incident_id="nothing", now_s=NOW_S)


def test_a_run_without_alerts_says_what_was_judged(store: Store) -> None:
    write(store, [1.0, 0.5])
    assert "No rule has judged this run yet" in text_of(store)
    rules = [
        {"rule": "loss_spike", "state": "inactive", "reason": "", "error": ""},
        {"rule": "memory_creep", "state": "unknown", "reason": "needs 10 minutes", "error": ""},
        {"rule": "kl_blowup", "state": "unknown", "reason": "for ppo, not for sft", "error": ""},
    ]
    store.set_run("r", trainer="sft", status="finished", rules=rules)
    said = text_of(store)
    assert "1 of 2 rules have judged the run; 1 could not. 1 more is for other trainers." in said
    assert "needs 10 minutes" in said


def test_no_value_that_is_no_number_is_lost_in_a_long_run(store: Store) -> None:
    values = np.linspace(3.0, 1.0, 5000)
    values[[17, 2500, 4999]] = [np.nan, np.inf, np.nan]
    write(store, values)
    report = html_report(store, "r", now_s=NOW_S)
    assert "× 3 values are not a number" in Reader(report.text).text
    assert report.text.count('class="cross critical"') == 3


def test_a_spike_that_would_flatten_the_curve_is_cut_off_and_told(store: Store) -> None:
    values = 1 + 0.01 * np.sin(np.arange(200.0))
    values[100] = 1e6
    write(store, values)
    assert "beyond the axis: 1000000" in text_of(store).replace("\u2009", "")


@pytest.mark.parametrize("values", [[0.0], [1e308, -1e308], [np.nan], [5e-324, 0.0], [7.0] * 60, [np.inf, -np.inf]])
def test_any_values_make_a_picture_of_finite_places(store: Store, values: list[float]) -> None:
    write(store, values)
    page = html_report(store, "r", now_s=NOW_S).text
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, re.S))
    assert drawn
    assert not re.search(r"nan|inf", re.sub(r'aria-label="[^"]*"|<text.*?</text>', "", drawn), re.I)


def test_what_was_superseded_is_drawn_in_grey_and_told(store: Store) -> None:
    write(store, np.linspace(2, 1, 100))
    write(store, np.linspace(1.5, 0.5, 80), first=50)
    page = html_report(store, "r", now_s=NOW_S).text
    assert 'class="older"' in page
    assert "steps 50 to 100 of 1 series" in Reader(page).text


def test_an_exception_and_a_resume_are_told_with_their_traceback(store: Store) -> None:
    write(store, [1.0])
    happened = [
        ("exception", {"type": "OutOfMemory", "message": "no room", "traceback": "line 1\nline 2"}),
        ("resume", {"from_step": 3}),
    ]
    events = [
        EventRow(run_id="r", writer_id="w2", seq=at, time_s=NOW_S, step=4, kind=kind, data=data)
        for at, (kind, data) in enumerate(happened, start=1)
    ]
    store.append(Batch(run_id="r", writer_id="w2", first_seq=1, last_seq=2, position={}, events=events))
    said = text_of(store)
    assert "OutOfMemory no room" in said
    assert "line 1\nline 2" in said
    assert "from step 3" in said


def test_secrets_are_hidden_wherever_they_stand(store: Store) -> None:
    write(
        store,
        [1.0],
        config={
            "hub_token": "abc",
            "pad_token": "<eos>",
            "max_new_tokens": 5,
            "wandb": {"api_key": "k3y", "url": "https://me:pw@host/x"},
        },
        info={"argv": ["train.py", "--hub_token", "abc", "--password=pw", "--lr", "1"], "note": "hf_" + "a" * 30},
    )
    for report in (html_report(store, "r", now_s=NOW_S), markdown_report(store, "r", now_s=NOW_S)):
        assert not re.search(r"abc|k3y|me:pw|password=pw|hf_a", report.text)
        assert "lr 1" in report.text
    said = text_of(store)
    assert "<eos>" in said and HIDDEN in said and "max_new_tokens" in said


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("hub_token", True),
        ("API_KEY", True),
        ("db.password", True),
        ("token", True),
        ("tokens", False),
        ("eos_token", False),
        ("tokenizer", False),
        ("max_tokens", False),
    ],
)
def test_which_names_are_of_secrets(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_a_command_line_keeps_all_but_its_secrets() -> None:
    shown = without_secret_values(["a.py", "--api-key", "x", "--token=y", "--beta", "0.1"])
    assert shown == ["a.py", "--api-key", HIDDEN, f"--token={HIDDEN}", "--beta", "0.1"]


def test_characters_that_act_are_written_out_and_long_texts_say_so() -> None:
    assert plain("a\u202eb\x00c\ud800") == "a⟨U+202E⟩b⟨U+0000⟩c⟨U+D800⟩"
    assert plain("日本語 é\n\t") == "日本語 é\n\t"
    assert plain("x" * 50, most=10) == f"{'x' * 10}… (50 characters in all)"
    assert plain("hf_" + "b" * 40, most=10).startswith("[hidden")


HOSTILE = (
    "<script>window.hurt=1</script>",
    "<img src=x onerror=window.hurt=1>",
    '"><svg onload=window.hurt=1>',
    "![](http://tracker.example/x.png)",
    "[a](javascript:window.hurt=1)",
    "`code` | cell **bold** $x^2$ :material/skull: https://tracker.example @someone",
    "\u202egnp.exe",
    "n" * 10_000,
    "<!-- --> ]]> &lt; \\",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_text_in_html(text: str) -> None:
    blocks = [Paragraph([text, Bold(text), Code(text), Link(text, f"javascript:{text}")]), Table((text,), [[[text]]])]
    page = Reader(html_page(Document(title=text, blocks=blocks)))
    quiet = Reader(
        html_page(
            Document(
                title="t", blocks=[Paragraph(["t", Bold("t"), Code("t"), Link("t", "")]), Table(("t",), [[["t"]]])]
            )
        )
    )
    assert page.tags == quiet.tags
    assert page.attributes == quiet.attributes
    assert plain(text) in page.text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_text_in_markdown(text: str) -> None:
    from markdown_it import MarkdownIt

    blocks = [Paragraph([text, " ", Bold(text), " ", Code(text), " ", Link(text, text)]), Table((text,), [[[text]]])]
    page, _ = markdown_page(Document(title=text, blocks=blocks), charts="c")
    drawn = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
    found = Reader(drawn)
    assert set(found.tags) <= {"p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td"}
    assert found.attributes == []
    assert plain(text)[:100] in found.text


def test_markdown_names_its_charts_and_they_stand_alone(watched: Store, tmp_path: Path) -> None:
    report = markdown_report(watched, run_named(watched, "dpo-7b-uf-b01"), now_s=time.time())
    named = set(re.findall(r"\]\(([^)\s]+\.svg)\)", report.text))
    assert named == {f"{report.charts}/{name}" for name in report.pictures}
    for picture in report.pictures.values():
        ElementTree.fromstring(picture)
        assert "prefers-color-scheme: dark" in picture


def test_a_run_with_hostile_texts_everywhere_makes_a_file_that_is_only_text(store: Store, sample: ModuleType) -> None:
    evil = HOSTILE[1]
    write(
        store,
        [1.0, 2.0],
        name=evil,
        project=evil,
        config={evil: evil, "dataset": {evil: [evil]}},
        info={evil: evil, "argv": [evil]},
    )
    store.add_note("r", evil, 1, NOW_S)
    page = Reader(html_report(store, "r", now_s=NOW_S).text)
    assert "img" not in page.tags and "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert page.text.count(evil) >= 6


def command(*words: str) -> Any:
    return CliRunner().invoke(app, ["report", *words])


def test_the_command_writes_the_file_and_says_where(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, [1.0, 0.5], name="../<b>one")
    monkeypatch.chdir(tmp_path)
    assert command("../<b>one").exit_code == 0
    (path,) = tmp_path.glob("*.html")
    assert path.name == "b-one-report.html"
    assert "<svg" in path.read_text()
    folder = tmp_path / "reports"
    folder.mkdir()
    assert command("r", "--out", str(folder)).exit_code == 0
    assert [one.name for one in folder.iterdir()] == ["b-one-report.html"]


def test_the_command_puts_the_charts_of_markdown_beside_it(store: Store, tmp_path: Path) -> None:
    write(store, [1.0, 0.5])
    out = tmp_path / "deep" / "my ticket.md"
    done = command("r", "--markdown", "--out", str(out))
    assert done.exit_code == 0, done.output
    named = re.findall(r"\]\(([^)\s]+\.svg)\)", out.read_text())
    assert named
    assert all((out.parent / name).is_file() for name in named)


def test_the_command_says_what_is_wrong_with_its_place(store: Store, tmp_path: Path) -> None:
    write(store, [1.0])
    (tmp_path / "file").write_text("")
    refused = command("r", "--out", str(tmp_path / "file" / "x.html"))
    assert isinstance(refused.exception, SettingsError)
    assert "--out" in str(refused.exception)
