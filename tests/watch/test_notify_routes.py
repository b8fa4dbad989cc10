"""`[[notify]]` tables: who hears of what, and faults that name line and key and no address."""

from __future__ import annotations

from pathlib import Path

import pytest

from runvitals.diagnostics.user_rules.user_rules import read_user_rules
from runvitals.rules import FAULTY, check
from runvitals.settings import Settings
from runvitals.watch.command import who_is_told
from runvitals.watch.routes import Route, load_routes, read_routes

RULES = {"loss_spike", "non_finite", "user_alert"}

RIGHT = """
off = ["loss_plateau"]

[[notify]]
name = "on call"
url_env = "ON_CALL"
severity = "critical"
projects = ["ppo", "dpo"]

[[notify]]
url = "json://host/token"
rules = ["loss_spike"]
"""


def test_tables_say_where_to_and_what() -> None:
    routes = read_routes(RIGHT, file="runvitals.toml", rules=RULES, environ={"ON_CALL": "slack://a/b/c"})
    assert routes.faults == ()
    first, second = routes.addresses
    assert (first.name, first.url) == ("on call", "slack://a/b/c")
    assert first.route == Route(severity="critical", projects=("ppo", "dpo"))
    assert (second.name, second.url, second.place) == ("", "json://host/token", "runvitals.toml, notify[2]")
    assert second.route == Route(rules=("loss_spike",))
    assert "token" not in repr(second)


def test_rules_of_the_same_file_are_read_as_ever() -> None:
    assert read_user_rules(RIGHT, file="runvitals.toml").faults == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[notify]]\n", "x.toml:1: notify[1]: expected url"),
        ('[[notify]]\nurl = "json://a"\nurl_env = "A"', "x.toml:2: notify[1].url: expected url"),
        ('[[notify]]\nurl = "token"', "x.toml:2: notify[1].url: expected an address like"),
        ("[[notify]]\nurl = 3", "x.toml:2: notify[1].url: expected a text"),
        ('[[notify]]\nurl_env = "NOT_SET"', "x.toml:2: notify[1].url_env: expected NOT_SET to hold an address"),
        ('[[notify]]\nurl_env = "json://a"', "got an address; write url"),
        ('[[notify]]\nurl_env = "hooks.example.com/T0/B0/secret"', "got something else, not shown"),
        (
            '[[notify]]\nurl = "json://a"\n\n[[notify]]\nurl = "json://b"\nseverity = "fatal"',
            'x.toml:6: notify[2].severity: expected one of info, warning, critical, got "fatal"',
        ),
        ('[[notify]]\nurl = "json://a"\nrules = ["loss_spik"]', 'got "loss_spik"; did you mean loss_spike?'),
        ('[[notify]]\nurl = "json://a"\nprojects = "p"', "x.toml:3: notify[1].projects: expected a list of texts"),
        ('[[notify]]\nurl = "json://a"\nseverities = ["x"]', "notify table has no severities; did you mean severity?"),
        ('[notify]\nurl = "json://a"', "x.toml:1: notify: expected a list of tables, got a table; write [[notify]]"),
        (
            '[[notify]]\nname = "n"\nurl = "json://a"\n[[notify]]\nname = "n"\nurl = "json://b"',
            'x.toml:5: notify[2].name: expected a name that no other table has, got "n" again',
        ),
    ],
)
def test_fault_names_line_and_key_and_spoils_its_table_alone(text: str, fault: str) -> None:
    good = '\n[[notify]]\nname = "good"\nurl = "json://good"\n' if "[notify]\n" not in f"\n{text}"[:10] else ""
    found = read_routes(text + good, file="x.toml", rules=RULES, environ={})
    assert len(found.faults) == 1
    assert fault in str(found.faults[0])
    assert "json" not in str(found.faults[0])
    if good:
        assert "good" in [address.name for address in found.addresses]


def test_check_tells_faults_of_routes_and_needs_no_variable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "runvitals.toml"
    path.write_text(RIGHT)
    assert check(path) == 0
    assert "2 receivers" in capsys.readouterr().out
    path.write_text(RIGHT + 'severty = "critical"\n')
    assert check(path) == FAULTY
    assert "severty" in capsys.readouterr().err


def test_environment_option_and_file_together_are_told(tmp_path: Path) -> None:
    (tmp_path / "runvitals.toml").write_text(
        '[[notify]]\nname = "ops"\nurl = "json://one/x"\nseverity = "info"\nrules = ["user_alert"]\n'
        '[[notify]]\nurl_env = "MISSING"\n'
    )
    settings = Settings.from_environment({"RUNVITALS_HOME": str(tmp_path), "RUNVITALS_NOTIFY": "json://two/y nothing"})
    told = who_is_told(settings, settings.notify, {})
    assert [receiver.label for receiver in told.receivers] == ["console", "json (RUNVITALS_NOTIFY, address 1)", "ops"]
    assert told.receivers[2].routes == (Route(severity="info", rules=("user_alert",)),)
    assert [fault.key for fault in told.rules.faults] == ["notify[2].url_env"]
    assert told.problems == (
        "RUNVITALS_NOTIFY, address 2: expected an address like slack://… or https://…, got one without ://",
    )


def test_file_that_is_missing_or_no_toml_has_no_routes(tmp_path: Path) -> None:
    rules = read_user_rules("", file="x")
    assert load_routes(tmp_path / "none.toml", rules, {}).addresses == ()
    (tmp_path / "bad.toml").write_text("[[notify\n")
    assert load_routes(tmp_path / "bad.toml", rules, {}).faults == ()
