"""The search language."""

from __future__ import annotations

import pytest

from runvitals.dashboard.query import Subject, parse, setting_names

SIGNALS = frozenset({"margin", "tokens_per_s", "loss"})

RUN = Subject(
    words={
        "name": ("dpo-7b-uf-b01",),
        "trainer": ("dpo",),
        "status": ("running", "live"),
        "health": ("critical",),
        "finding": ("Margin stagnant",),
        "alert": ("margin_stagnant", "loss_at_ln2"),
        "tag": ("Ablation", "seed 7", "<b>x</b>"),
        "group": ("beta sweep",),
        "note": ("Second try after the loader was mended",),
        "is": ("archived",),
    },
    numbers={"step": 148, "margin": 0.009, "tokens_per_s": 7580.0, "age": 90.0, "ended": None, "loss": float("nan")},
    config={"beta": 0.1, "dataset": {"revision": "e77ab9", "shuffle": True}, "lora.r": 16},
)


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("", True),
        ("uf", True),
        ("UF", True),
        ("clean", False),
        ("trainer:dpo", True),
        ("trainer:ppo,dpo", True),
        ("trainer:dp", False),
        ("trainer!=dpo", False),
        ("status:live", True),
        ("health:warning,critical step>100", True),
        ("health:warning step>100", False),
        ("health:warning or step>100", True),
        ("health:healthy or trainer:dpo step>200", False),
        ("alert:margin", True),
        ("finding:stagnant", True),
        ("margin<0.05", True),
        ("margin<−1", False),
        ("tokens_per_s>7k", True),
        ("tokens_per_s<5k", False),
        ("age<2min", True),
        ("age<1m", False),
        ("ended<2d", False),
        ("loss<5", False),
        ("config.beta=0.1", True),
        ("config.beta>0.2", False),
        ("config.dataset.revision:e77ab9", True),
        ("config.dataset.shuffle=true", True),
        ("config.lora.r=16", True),
        ("config.absent=1", False),
        ("health:critical or", True),
        ("-uf", False),
        ("-clean", True),
        ("-trainer:ppo", True),
        ("−margin<1", False),
        ('"dpo-7b-uf-b01"', True),
        ('"trainer:dpo"', False),
        ('-"uf"', False),
        ('name:"uf b01"', False),
        ("tokens/s>3", True),
        ("tokens/s>9k", False),
        ("run:uf", True),
        ('"first finding":stagnant', True),
        ('"last step"<2min', True),
        ("tag:ablation", True),
        ("tag:abl", False),
        ('tag:"seed 7"', True),
        ("tag:other,ablation", True),
        ("-tag:ablation", False),
        ("tag:<b>x</b>", True),
        ('group:"Beta Sweep"', True),
        ("note:loader", True),
        ('note:"loader was"', True),
        ("note:absent", False),
        ("is:archived", True),
        ("is:deleted", False),
    ],
)
def test_a_query_finds_what_it_says(text: str, answers: bool) -> None:
    query = parse(text, signals=SIGNALS)
    assert query.troubles == ()
    assert query.matches(RUN) is answers


@pytest.mark.parametrize(
    ("term", "reason"),
    [
        ("foo:bar", "no column, signal or setting is called foo"),
        ("step<many", "many is no number"),
        ("step<5q", "5q is no number"),
        ("trainer>dpo", "trainer is a word: write trainer:dpo"),
        ("step>", "say what step should be"),
        ("lr>>1e-5", "expected one of <, <=, >, >=, =, != after lr, got >>"),
        ("-foo:bar", "no column, signal or setting is called foo"),
        ("helth:critical", "no column, signal or setting is called helth; did you mean health?"),
        ("health:critcal", "health is one of critical, warning, healthy, unknown"),
        ("status:live,dead", "status is one of starting, running, stalled, hung, crashed, stopped, finished, live"),
        ("tag>x", "tag is a word: write tag:x"),
        ("loss:0.5", "a measured value is hardly ever exactly that: write loss<0.5 or >"),
    ],
)
def test_a_bad_term_is_named_with_its_reason_and_left_out(term: str, reason: str) -> None:
    query = parse(f"{term} trainer:dpo", signals=SIGNALS)
    assert [(trouble.term, trouble.reason) for trouble in query.troubles] == [(term, reason)]
    assert query.matches(RUN)


def test_a_query_tells_which_signals_it_asks_about() -> None:
    assert parse("margin<0 trainer:dpo or tokens_per_s>1", signals=SIGNALS).signals == {"margin", "tokens_per_s"}
    assert parse("-tokens/s>1", signals=SIGNALS).signals == {"tokens_per_s"}


CONFIGURED = Subject(
    words={}, numbers={"learning_rate": 2e-7}, config={"learning_rate": 5e-5, "optim": {"name": "adamw"}}
)


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("lr>1e-5", True),
        ("lr>1e-4", False),
        ("lr=5e-5", True),
        ("optim.name:adamw", True),
        ("learning_rate<1e-5", False),
    ],
)
def test_a_setting_may_be_asked_for_without_config(text: str, answers: bool) -> None:
    query = parse(text, signals={"learning_rate"}, settings=set(setting_names(CONFIGURED.config)))
    assert query.troubles == ()
    assert query.matches(CONFIGURED) is answers


def test_without_such_a_setting_lr_is_the_logged_signal() -> None:
    query = parse("lr<1e-5", signals={"learning_rate"})
    assert query.signals == {"learning_rate"}
    assert query.matches(CONFIGURED)


def test_a_query_tells_which_words_it_asks_for() -> None:
    query = parse("is:archived,deleted -tag:A or tag:b nonsense:1", signals=())
    assert query.words == {"is": {"archived", "deleted"}, "tag": {"a", "b"}}


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("loss=nan", True),
        ("loss:NaN", True),
        ("-loss=nan", False),
        ("loss!=nan", False),
        ("margin=nan", False),
        ("margin!=nan", True),
        ("margin:inf", False),
        ("grad_norm=nan", False),
        ("grad_norm!=nan", False),
        ("finding:nan", False),
        ("finding:stag", True),
        ("alert:ln2", True),
        ("alert:n2", False),
        ("margin < 0.01", True),
        ("margin <0.01", True),
        ("margin< 0.01", True),
        ("margin > 0.01", False),
        ("-margin > 0.01", True),
        ("health: critical margin < 0.01 or step > 1000", True),
    ],
)
def test_what_is_no_number_words_and_spaces_are_understood_as_they_are_meant(text: str, answers: bool) -> None:
    query = parse(text, signals={"loss", "margin", "grad_norm"})
    assert query.troubles == ()
    assert query.matches(RUN) is answers


def test_a_learning_rate_is_the_setting_and_what_was_logged_where_there_is_none() -> None:
    signals, settings = {"learning_rate"}, {"learning_rate"}
    with_one = Subject(words={}, numbers={"learning_rate": 0.0}, config={"learning_rate": 2e-3})
    without = Subject(words={}, numbers={"learning_rate": 5e-3}, config={})
    for text in ("learning_rate>1e-3", "lr > 1e-3"):
        query = parse(text, signals=signals, settings=settings)
        assert query.matches(with_one), text
    query = parse("learning_rate>1e-3", signals=signals, settings=settings)
    assert query.matches(without)
    assert query.signals == {"learning_rate"}


def test_a_value_that_is_no_number_is_said_to_be_none() -> None:
    (trouble,) = parse("loss=high", signals={"loss"}).troubles
    assert trouble.reason == "high is no number; nan, inf and -inf are understood, too"
