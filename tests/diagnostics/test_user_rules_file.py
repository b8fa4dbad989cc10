"""A user's rules file: what it changes, and faults that name the line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.limits import values_of
from runvitals.diagnostics.types import Rule
from runvitals.diagnostics.user_rules.lines import line_of
from runvitals.diagnostics.user_rules.user_rules import UserRules, read_user_rules

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "user-rules.md").read_text(encoding="utf-8")
OWN = '[own.mine]\nkind = "threshold"\nsignal = "loss"\nabove = 3\n'


def read(text: str) -> UserRules:
    return read_user_rules(text, file="runvitals.toml")


def faults(text: str) -> list[str]:
    return [str(fault) for fault in read(text).faults]


def rule_of(rules: tuple[Rule, ...], name: str) -> Rule:
    (found,) = [rule for rule in rules if rule.spec.name == name]
    return found


def test_empty_file_changes_nothing() -> None:
    assert read("") == UserRules()
    ours = [(rule.spec, values_of(rule)) for rule in default_rules()]
    assert [(rule.spec, values_of(rule)) for rule in read("").rules_for("any")] == ours


def test_numbers_hold_for_their_project_over_the_general_ones() -> None:
    rules = read(
        "[rules.heartbeat_lost]\nwarning_s = 90\nhold = 3\n[projects.a.rules.heartbeat_lost]\nwarning_s = 100\ncritical_s = 300\n"
    )
    assert rules.faults == ()
    assert values_of(rule_of(rules.rules_for("a"), "heartbeat_lost")) == {
        "warning_s": 100, "critical_s": 300, "hold": 3, "clear": 1,
    }  # fmt: skip
    assert values_of(rule_of(rules.rules_for("b"), "heartbeat_lost")) == {
        "warning_s": 90, "critical_s": 120, "hold": 3, "clear": 1,
    }  # fmt: skip


def test_rules_are_off_where_the_file_says_so() -> None:
    rules = read('off = ["loss_spike"]\n[projects.a]\noff = ["kl_blowup"]\n')
    ours = {rule.spec.name for rule in default_rules()}
    assert {rule.spec.name for rule in rules.rules_for("a")} == ours - {"loss_spike", "kl_blowup"}
    assert {rule.spec.name for rule in rules.rules_for("b")} == ours - {"loss_spike"}


def test_every_rule_takes_hold_and_clear_and_all_its_numbers() -> None:
    lines = []
    for rule in default_rules():
        lines += [f"[rules.{rule.spec.name}]", "hold = 7", "clear = 9"]
        lines += [f"{one.name} = {one.default}" for one in rule.spec.limits]
    rules = read("\n".join(lines))
    assert rules.faults == ()
    for rule, before in zip(rules.rules_for(""), default_rules(), strict=True):
        assert values_of(rule) == {**values_of(before), "hold": 7, "clear": 9}


def test_default_of_every_number_lies_in_its_range() -> None:
    for rule in default_rules():
        for one in rule.spec.limits:
            assert one.least <= one.default <= one.most, (rule.spec.name, one.name)
            assert one.meaning


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[rules.loss_spik]\nhold = 2", 'runvitals.toml:1: rules.loss_spik: expected the name of one of our rules, got "loss_spik"; did you mean loss_spike?'),
        ("# one\n\n[rules.loss_spike]\nhold = 0", "runvitals.toml:4: rules.loss_spike.hold: expected a whole number from 1 to 10,000, got 0"),
        ("[rules.loss_spike]\nhold = true", "runvitals.toml:2: rules.loss_spike.hold: expected a whole number from 1 to 10,000, got true"),
        ("[rules.heartbeat_lost]\nwarning_s = nan", "runvitals.toml:2: rules.heartbeat_lost.warning_s: expected a number from 10 to 86,400, got nan"),
        ("[rules.heartbeat_lost]\nwarning_s = 500", "runvitals.toml:1: rules.heartbeat_lost: expected warning_s below critical_s, got 500 and 120; change either"),
        ("[rules]\nloss_spike = 3", "runvitals.toml:2: rules.loss_spike: expected a table, got 3; write [rules.loss_spike]"),
        ('off = "loss_spike"', 'runvitals.toml:1: off: expected a list of texts, got "loss_spike"; write off = ["…"]'),
        ('off = [\n "loss_spike",\n "x"]', 'runvitals.toml:1: off: expected the name of a rule, got "x"'),
        ("of = []", "runvitals.toml:1: of: a rules file has no of; did you mean off?"),
        ('[projects."my run"]\nx = 1', 'runvitals.toml:2: projects."my run".x: a project has no x; it takes off, rules'),
        (OWN.replace("mine", "loss_spike"), 'runvitals.toml:1: own.loss_spike: expected a name of small letters, digits and _ that no rule has, got "loss_spike", which is the name of one of our rules'),
        (OWN.replace("threshold", "treshold"), 'runvitals.toml:2: own.mine.kind: expected one of threshold, change, zscore, trend, absence, got "treshold"; did you mean threshold?'),
        (OWN.replace('kind = "threshold"\n', ""), "runvitals.toml:1: own.mine: expected kind = one of threshold, change, zscore, trend, absence; it is missing"),
        (OWN.replace('"loss"', '"lss"'), 'runvitals.toml:3: own.mine.signal: expected a signal of docs/signals.md, got "lss"; did you mean loss?'),
        (OWN.replace('signal = "loss"', ""), 'runvitals.toml:1: own.mine: expected signal = "…" (a name of docs/signals.md) or key = "…" (as logged); neither is there'),
        (OWN + 'key = "x"', "runvitals.toml:5: own.mine.key: expected either signal or key, got both; take one out"),
        (OWN + "below = 4", "runvitals.toml:5: own.mine.below: expected a line under above (3), got 4; change either"),
        (OWN.replace("above = 3", ""), "runvitals.toml:1: own.mine: expected above = a number, below = a number, or both; neither is there"),
        (OWN + "windw = 4", "runvitals.toml:5: own.mine.windw: a rule of kind threshold has no windw; did you mean window?"),
        (OWN + 'message = "{before}"', "runvitals.toml:5: own.mine.message: expected only the fields {value}, {limit}, {window}, {signal}, {step}, got {before}"),
        (OWN + 'message = "{value.__class__}"', "got {value.__class__}"),
        (OWN + 'message = "{value"', "runvitals.toml:5: own.mine.message: expected fields like {step}, got braces that do not match"),
        (OWN + 'trainers = ["dop"]', 'runvitals.toml:5: own.mine.trainers: expected one of'),
        ('[own.a]\nkind = "absence"\nsignal = "loss"', "runvitals.toml:1: own.a: expected either for_s (seconds) or rows, one of the two"),
        ('[own.a]\nkind = "trend"\nsignal = "loss"', "runvitals.toml:1: own.a: expected at least one of rise, fall, rise_percent, fall_percent; none is there"),
        ("a = 1\nb = ", "runvitals.toml:2: expected TOML, got something else: invalid value; nothing of this file is used"),
        ("a = 1\na = 2", "runvitals.toml:2: expected TOML, got something else: cannot overwrite a value; nothing of this file is used"),
    ],
)  # fmt: skip
def test_fault_names_line_and_key_and_says_what_to_do(text: str, said: str) -> None:
    (fault,) = faults(text)
    assert said in fault


def test_fault_leaves_the_rest_as_it_is() -> None:
    rules = read(
        f'off = ["nope", "loss_spike"]\n[rules.heartbeat_lost]\nwarning_s = -1\nhold = 4\n{OWN}\n[own.bad]\nkind = "x"\n'
    )
    assert [fault.line for fault in rules.faults] == [1, 3, 10, 11]
    names = [rule.spec.name for rule in rules.rules_for("")]
    assert "loss_spike" not in names
    assert names[-1] == "mine"
    assert values_of(rule_of(rules.rules_for(""), "heartbeat_lost")) == {
        "warning_s": 60, "critical_s": 120, "hold": 4, "clear": 1,
    }  # fmt: skip


BLANKS = st.sampled_from(["", "# a = 1 ]", "   ", '# """'])
VALUES = st.sampled_from(
    ["1", '"x # y"', "[\n  1, # ]\n\n  2,\n]", '"""\nkey0 = 3\n[t0]\n"""', "{ a = 1 }", "'''\n\\'''"]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), VALUES, st.lists(BLANKS, max_size=3)), min_size=1, max_size=12))
def test_line_of_every_key_is_where_it_was_written(parts: list[tuple[bool, str, list[str]]]) -> None:
    lines: list[str] = []
    places: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, (opens_table, value, blanks) in enumerate(parts):
        lines += blanks
        if opens_table:
            table = (f"t{number}",)
            places[table] = len(lines) + 1
            lines.append(f"[t{number}]")
        places[(*table, f"key{number}")] = len(lines) + 1
        lines += f"key{number} = {value}".split("\n")
    for ending in ("\n", "\r\n"):
        text = ending.join(lines)
        tomllib.loads(text)
        assert {path: line_of(text, path) for path in places} == places


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    for fault in read(text).faults:
        assert 0 <= fault.line <= text.count("\n") + 1


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_own_rule_is_either_read_or_complained_of(data: st.DataObject) -> None:
    scalar = st.sampled_from(
        [
            "1",
            "-1",
            "nan",
            "inf",
            "true",
            '""',
            '"loss"',
            "[]",
            '["loss"]',
            "[1]",
            "{}",
            "1979-05-27",
            "1e400",
            "99999999999999999999",
        ]
    )
    keys = st.sampled_from(
        ["kind", "signal", "key", "above", "below", "window", "against", "rise", "fall_percent", "rows", "for_s", "hold", "clear",
         "severity", "title", "message", "causes", "projects", "trainers"]
    )  # fmt: skip
    kind = data.draw(st.sampled_from(["threshold", "change", "zscore", "trend", "absence"]))
    table = {"kind": f'"{kind}"', "signal": '"loss"', **data.draw(st.dictionaries(keys, scalar, max_size=6))}
    text = "[own.x]\n" + "\n".join(f"{key} = {value}" for key, value in table.items())
    found = read(text)
    assert bool(found.own) != bool(found.faults)


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.S))
def test_examples_of_the_page_are_right(example: str) -> None:
    rules = read(example)
    assert rules.faults == ()
    assert rules.own or rules.projects
    assert rules.rules_for("ppo-7b")


def test_page_names_every_key() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "diagnostics" / "user_rules").glob("*.py"))
    keys = set(re.findall(r'section\.(?:number|whole|text|texts|choice)\("(\w+)"', sources))
    assert len(keys) > 12
    assert [key for key in sorted(keys) if f"`{key}`" not in PAGE] == []
