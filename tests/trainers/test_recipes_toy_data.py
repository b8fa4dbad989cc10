"""The toy world: what it asks, what it prefers, what it pays for."""

from __future__ import annotations

import random

import pytest

from runvitals.trainers.recipes import toy_data


def grade_of(row: dict[str, str], side: str) -> float:
    """The grade of one side of a pair, less the half point for the opening, which both sides share."""
    right = right_answer(row["prompt"])
    return toy_data.grade(row[side], right) // 1


def right_answer(prompt: str) -> str:
    """The answer to a toy question, worked out from its words alone."""
    words = prompt.split()
    if "plus" in words:
        return str(int(words[words.index("plus") - 1]) + int(words[words.index("plus") + 1]))
    if "repeat" in words:
        return " ".join(words[words.index("repeat") + 1 : words.index(".")])
    return toy_data.DAYS[(toy_data.DAYS.index(words[words.index("after") + 1]) + 1) % 7]


def test_same_seed_gives_the_same_pairs_and_another_seed_others() -> None:
    assert toy_data.pairs(50, seed=3) == toy_data.pairs(50, seed=3)
    assert toy_data.pairs(50, seed=3) != toy_data.pairs(50, seed=4)


def test_each_question_states_the_answer_that_arithmetic_colours_and_days_give() -> None:
    rng = random.Random(11)
    for question in (toy_data.ask(rng) for _ in range(300)):
        assert question.right == right_answer(question.prompt)
        assert question.wrong != question.right


def test_without_noise_the_chosen_reply_has_the_higher_grade_in_every_pair() -> None:
    for row in toy_data.pairs(300, seed=5, noise=0.0):
        assert grade_of(row, "chosen") == 2 > grade_of(row, "rejected")


def test_the_annotator_errs_in_the_stated_share_of_pairs() -> None:
    rows = toy_data.pairs(4000, seed=5)
    wrong = sum(grade_of(row, "chosen") < grade_of(row, "rejected") for row in rows) / len(rows)
    assert wrong == pytest.approx(toy_data.ANNOTATOR_NOISE, abs=0.015)


def test_every_word_of_every_text_is_in_the_vocabulary() -> None:
    vocabulary = set(toy_data.vocabulary())
    texts = toy_data.texts(500, seed=1)
    texts += [row["prompt"] + row["chosen"] + row["rejected"] for row in toy_data.pairs(500, seed=1)]
    assert {word for text in texts for word in text.split()} <= vocabulary


@pytest.mark.parametrize(
    ("completion", "grade"),
    [
        (" sure , 7 . glad to help .", 2.5),
        (" hm , 7 . glad to help .", 2.0),
        (" hm , 7 . get lost .", 1.0),
        (" hm , 8 . get lost .", 0.0),
        (" okay , 8 . have fun .", 1.5),
        ("", 0.0),
        (" , , , , ,", 0.0),
        (" 7 7 7 . glad to help .", 0.0),
    ],
)
def test_a_reply_earns_a_point_each_for_answer_and_closing_and_half_for_the_opening(
    completion: str, grade: float
) -> None:
    assert toy_data.grade(completion, "7") == grade
