"""The search language of the tables: `key:value,value`, `key<number`, `config.name=value`, `lr>1e-5`, `alert:rule`, `tag:word`.
A bare word is a name.

Space is *and*, `or` is *or*, and binds tighter than or. A leading minus is *not*; quotes keep words together, and a name in quotes is
nothing but a name. What a signal or a column is called on the screen (`tokens/s`) is understood as well as its name. A term that means
nothing is named with its reason and left out; the others still filter.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from runvitals.dashboard.query_terms import NOT_FINITE, TERM, TIME_UNITS, UNITS, number_of, terms_of, unsigned
from runvitals.diagnostics.signals import SIGNALS

WORD_KEYS = (
    *("name", "id", "project", "trainer", "status", "health", "finding", "alert"),
    *("needs", "tag", "group", "note", "is"),
)
"""Keys whose values are words; `:` asks for one of them, ignoring case. `needs:attention` is the first group of the Runs table;
`is:archived` and `is:deleted` ask for runs that are out of the list."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "health": ("critical", "warning", "healthy", "unknown"),
    "status": ("starting", "running", "stalled", "hung", "crashed", "stopped", "finished", "live"),
    "needs": ("attention",),
    "is": ("archived", "deleted"),
}
"""Keys that take only these words."""

NUMBER_KEYS = ("step", "alerts", "age", "started", "ended")
"""Keys whose values are numbers; age, started and ended are seconds ago and take 30s, 5min, 2h, 3d."""

_ON_SCREEN = {
    "run": "name",
    "first_finding": "finding",
    "last_step": "age",
    "tokens/s": "tokens_per_s",
    **{signal.title.lower().replace(" ", "_"): name for name, signal in reversed(SIGNALS.items())},
}
"""What the tables call a column or a signal, in lower case and without spaces, and the name that the search has for it."""

_SETTINGS: Mapping[str, tuple[str, ...]] = {"lr": ("lr", "learning_rate"), "learning_rate": ("learning_rate", "lr")}
"""Settings, and what configs call them. They are asked for before the signal of that name, whose newest value a schedule has taken to 0."""

_IN_PART = frozenset({"name", "note"})
"""Keys whose words are long: a part is enough."""

_BY_WORDS = frozenset({"finding", "alert"})
"""Keys of which the beginning of a word is enough; "nan" does not find what is stagnant. The others are exact."""

_TIMES = frozenset({"age", "started", "ended"})
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    ":": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a query asks about one row: words, numbers (logged signals too) and the run's config."""

    words: Mapping[str, Collection[str]]
    numbers: Mapping[str, float | None]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A term that means nothing, and why."""

    term: str
    reason: str


Test = Callable[[Subject], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parsed query: any of the groups, each all of its tests. No group at all lets everything through.

    signals: the logged signals that it asks about. words: the word keys that it asks about, with what of them.
    """

    text: str
    groups: tuple[tuple[Test, ...], ...]
    troubles: tuple[Trouble, ...]
    signals: frozenset[str]
    words: Mapping[str, frozenset[str]]

    def matches(self, subject: Subject) -> bool:
        """True where the row belongs to the answer."""
        return not self.groups or any(all(test(subject) for test in group) for group in self.groups)


def parse(text: str, *, signals: Collection[str], settings: Collection[str] = ()) -> Query:
    """The query that `text` says. signals: names of logged signals that may be compared with numbers.

    settings: names of settings in the runs' configs, which may then be asked for without `config.`.
    """
    groups: list[tuple[Test, ...]] = []
    troubles: list[Trouble] = []
    tests: list[Test] = []
    asked: set[str] = set()
    words: dict[str, frozenset[str]] = {}
    known = _Known(frozenset(signals), frozenset(settings))
    for term in terms_of(text):
        if term.lower() == "or":
            groups.append(tuple(tests))
            tests = []
            continue
        plain = unsigned(term)
        test = _test(plain, known)
        if isinstance(test, Trouble):
            troubles.append(Trouble(term=term, reason=test.reason))
            continue
        tests.append(test if plain == term else _turned(test))
        match = TERM.fullmatch(plain)
        if match is not None:
            key = _key(match["key"].replace('"', ""), known)
            asked |= {key} & known.signals
            if key in WORD_KEYS:
                words[key] = words.get(key, frozenset()) | frozenset(_values(match["value"]))
    groups.append(tuple(tests))
    # An empty side of an `or` says nothing yet: someone is still typing.
    return Query(
        text=text,
        groups=tuple(group for group in groups if group),
        troubles=tuple(troubles),
        signals=frozenset(asked),
        words=words,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What a term may name besides columns."""

    signals: frozenset[str]
    settings: frozenset[str]


def _turned(test: Test) -> Test:
    return lambda subject: not test(subject)


def _values(value: str) -> list[str]:
    """The words of a term, in lower case."""
    return [word.casefold() for word in value.replace('"', "").split(",") if word]


def _test(term: str, known: _Known) -> Test | Trouble:
    match = TERM.fullmatch(term)
    if match is None:
        return _name_holds(term.replace('"', ""))
    written, sign, value = match["key"].replace('"', ""), match["sign"], match["value"].replace('"', "")
    if not value:
        return Trouble(term=term, reason=f"say what {written} should be")
    if sign != ":" and value[0] in "<>=!":
        return Trouble(term=term, reason=f"expected one of <, <=, >, >=, =, != after {written}, got {sign}{value[0]}")
    if written.startswith("config."):
        return _config_test((written.removeprefix("config."),), sign, value)
    key = _key(written, known)
    if key in WORD_KEYS:
        return _words_test(term, key, sign, value)
    settings = [name for name in _SETTINGS.get(key, ()) if name in known.settings]
    if settings:
        # Where a run has no such setting, what it logged last answers.
        return _config_test(settings, sign, value, instead=key if key in known.signals else None)
    if key in known.signals and sign in (":", "=", "!="):
        if value.casefold() in NOT_FINITE:
            return _not_finite_test(key, sign, value.casefold())
        if number_of(value, UNITS) is None:
            return Trouble(term=term, reason=f"{value} is no number; nan, inf and -inf are understood, too")
        # Measured values are hardly ever equal to what the screen shows of them: no answer would say nothing.
        return Trouble(term=term, reason=f"a measured value is hardly ever exactly that: write {written}<{value} or >")
    if key in NUMBER_KEYS or key in known.signals:
        return _number_test(term, key, sign, value)
    if written in known.settings:
        return _config_test((written,), sign, value)
    return Trouble(term=term, reason=f"no column, signal or setting is called {written}{_meant(key, known)}")


def _meant(key: str, known: _Known) -> str:
    """The name that comes closest, as a question; "" where none does."""
    close = get_close_matches(
        key, sorted({*WORD_KEYS, *NUMBER_KEYS, *known.signals, *known.settings}), n=1, cutoff=0.75
    )
    return f"; did you mean {close[0]}?" if close else ""


def _key(written: str, known: _Known) -> str:
    """The search's own name of a key, which may be written as the screen has it."""
    plain = written.replace('"', "").strip().lower().replace(" ", "_")
    if plain in WORD_KEYS or plain in NUMBER_KEYS or plain in known.signals:
        return plain
    if plain in _SETTINGS and known.settings.isdisjoint(_SETTINGS[plain]):
        return _SETTINGS[plain][-1]  # no config has it; the signal of that name may be logged
    return _ON_SCREEN.get(plain, plain)


def _name_holds(word: str) -> Test:
    folded = word.casefold()
    return lambda subject: any(folded in name.casefold() for name in subject.words.get("name", ()))


def _words_test(term: str, key: str, sign: str, value: str) -> Test | Trouble:
    if sign not in (":", "=", "!="):
        return Trouble(term=term, reason=f"{key} is a word: write {key}:{value}")
    wanted = _values(value)
    choices = CHOICES.get(key)
    strange = [word for word in wanted if choices is not None and word not in choices]
    if choices is not None and strange:
        return Trouble(term=term, reason=f"{key} is one of {', '.join(choices)}")
    holds = operator.contains if key in _IN_PART else _begins_a_word if key in _BY_WORDS else operator.eq

    def test(subject: Subject) -> bool:
        found = any(holds(have.casefold(), want) for have in subject.words.get(key, ()) for want in wanted)
        return found != (sign == "!=")

    return test


def _begins_a_word(have: str, want: str) -> bool:
    return re.search(rf"(?<![a-z0-9]){re.escape(want)}", have) is not None


def _not_finite_test(key: str, sign: str, value: str) -> Test:
    """Whether the newest value is NaN or infinite; a signal that was never logged is neither that nor anything else."""

    def test(subject: Subject) -> bool:
        have = subject.numbers.get(key)
        return have is not None and NOT_FINITE[value](have) != (sign == "!=")

    return test


def _number_test(term: str, key: str, sign: str, value: str) -> Test | Trouble:
    wanted = number_of(value, TIME_UNITS if key in _TIMES else UNITS)
    if wanted is None:
        return Trouble(term=term, reason=f"{value} is no number")
    compare = _COMPARE[sign]

    def test(subject: Subject) -> bool:
        have = subject.numbers.get(key)
        return have is not None and not math.isnan(have) and compare(have, wanted)

    return test


def _config_test(paths: Sequence[str], sign: str, value: str, *, instead: str | None = None) -> Test:
    """Whether the first of the settings that a config has is what is asked for. instead: the signal that answers where it has none."""
    number = number_of(value, UNITS)

    def test(subject: Subject) -> bool:
        have = next((found for path in paths if (found := config_value(subject.config, path)) is not None), None)
        if have is None and instead is not None:
            have = subject.numbers.get(instead)
        if isinstance(have, (int, float)) and not isinstance(have, bool) and number is not None:
            return _COMPARE[sign](float(have), number)
        if have is None or sign in ("<", ">", "<=", ">="):
            return False
        equal = any(str(have).casefold() == word.casefold() for word in value.split(","))
        return equal != (sign == "!=")

    return test


def setting_names(config: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The dotted paths of a config's settings, and no lists."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from setting_names(value, f"{path}{name}.")
        elif not isinstance(value, (list, tuple)):
            yield f"{path}{name}"


def config_value(config: Mapping[str, Any], path: str) -> Any:
    """The setting at a dotted path, or None; a name that holds dots itself is found too."""
    if path in config:
        return config[path]
    head, dot, rest = path.partition(".")
    inner = config.get(head)
    return config_value(inner, rest) if dot and isinstance(inner, Mapping) else None
