"""A toy world of questions and answers, made in code: small enough for a CPU, with something real to learn.

A bot is asked to add two small numbers, to repeat two colours, or what day comes next. It may be right or wrong, and kind or
rude. People prefer right and kind. How the bot words a kind reply is a matter of taste: nobody rewards it, so a healthy
policy keeps that part of its entropy.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

OPENINGS = ("sure", "well", "okay", "so", "right", "hm")
WILLING_OPENINGS = ("sure", "okay", "right")
KIND_CLOSINGS = ("glad to help", "happy to help", "you are welcome", "any time friend", "thanks for asking", "have fun")
RUDE_CLOSINGS = ("now go away", "stop asking me", "that was dumb", "leave me alone", "what a bore", "get lost")
COLOURS = ("red", "blue", "green", "pink", "black", "white")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DIGITS = 6
NUMBERS = tuple(str(number) for number in range(2 * DIGITS - 1))
FRAME = ("user", "bot", ":", "?", ".", ",", "what", "is", "plus", "repeat", "comes", "after", "please")

RIGHT_SHARE = 0.7
"""How often the untrained bot is right: high enough that reinforcement learning finds the right answers."""
KIND_SHARE = 0.5
ANNOTATOR_NOISE = 0.1
"""Share of pairs that the annotator of the reward model gets wrong, as people do. Its margin levels off near ln(0.9/0.1) = 2.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt with its right answer and a wrong one."""

    prompt: str
    right: str
    wrong: str


def vocabulary() -> list[str]:
    """Every word of the toy world, in a fixed order."""
    phrases = (*FRAME, *NUMBERS, *COLOURS, *DAYS, *OPENINGS, *KIND_CLOSINGS, *RUDE_CLOSINGS)
    return list(dict.fromkeys(word for phrase in phrases for word in phrase.split()))


def ask(rng: random.Random) -> Question:
    """A random question of one of the three kinds."""
    kind = rng.randrange(3)
    if kind == 0:
        first, second = rng.randrange(DIGITS), rng.randrange(DIGITS)
        right = first + second
        wrong = (right + rng.randrange(1, len(NUMBERS))) % len(NUMBERS)
        return Question(prompt=_framed(f"what is {first} plus {second} ?"), right=str(right), wrong=str(wrong))
    if kind == 1:
        first_colour, second_colour = rng.sample(COLOURS, 2)
        other = rng.choice([colour for colour in COLOURS if colour not in (first_colour, second_colour)])
        prompt = _framed(f"please repeat {first_colour} {second_colour} .")
        return Question(prompt=prompt, right=f"{first_colour} {second_colour}", wrong=f"{first_colour} {other}")
    day = rng.randrange(7)
    wrong_day = DAYS[(day + rng.randrange(2, 8)) % 7]
    return Question(prompt=_framed(f"what comes after {DAYS[day]} ?"), right=DAYS[(day + 1) % 7], wrong=wrong_day)


def _framed(text: str) -> str:
    return f"user : {text} bot :"


def reply(answer: str, *, kind: bool, opening: str, rng: random.Random) -> str:
    """A completion that gives `answer`, with a leading space, so that prompt + completion is one text."""
    closing = rng.choice(KIND_CLOSINGS if kind else RUDE_CLOSINGS)
    return f" {opening} , {answer} . {closing} ."


def untrained_reply(question: Question, rng: random.Random) -> str:
    """What the bot says before anyone taught it manners."""
    answer = question.right if rng.random() < RIGHT_SHARE else question.wrong
    return reply(answer, kind=rng.random() < KIND_SHARE, opening=rng.choice(OPENINGS), rng=rng)


def texts(count: int, *, seed: int) -> list[str]:
    """A corpus of conversations with the untrained bot, for pre-training."""
    rng = random.Random(seed)
    return [question.prompt + untrained_reply(question, rng) for question in (ask(rng) for _ in range(count))]


def demonstrations(count: int, *, seed: int) -> list[dict[str, str]]:
    """Rows of `prompt`, `completion`: right and kind replies, for supervised fine-tuning."""
    rng = random.Random(seed)
    rows = []
    for question in (ask(rng) for _ in range(count)):
        completion = reply(question.right, kind=True, opening=rng.choice(OPENINGS), rng=rng)
        rows.append({"prompt": question.prompt, "completion": completion})
    return rows


def pairs(count: int, *, seed: int, noise: float = ANNOTATOR_NOISE) -> list[dict[str, str]]:
    """Rows of `prompt`, `chosen`, `rejected`; in the share `noise` of them the annotator took the worse reply."""
    rng = random.Random(seed)
    rows = []
    for question in (ask(rng) for _ in range(count)):
        chosen, rejected = _pair(question, rng)
        if rng.random() < noise:
            chosen, rejected = rejected, chosen
        rows.append({"prompt": question.prompt, "chosen": chosen, "rejected": rejected})
    return rows


def _pair(question: Question, rng: random.Random) -> tuple[str, str]:
    """A good reply and one with a flaw: wrong, rude or both."""
    opening = rng.choice(OPENINGS)
    flaw = rng.randrange(3)
    good = reply(question.right, kind=True, opening=opening, rng=rng)
    answer = question.right if flaw == 0 else question.wrong
    return good, reply(answer, kind=flaw == 1, opening=opening, rng=rng)


def questions(count: int, *, seed: int) -> list[dict[str, str]]:
    """Rows of `prompt`, `right`, for the trainers that write their own replies."""
    rng = random.Random(seed)
    return [{"prompt": question.prompt, "right": question.right} for question in (ask(rng) for _ in range(count))]


def grade(completion: str, right: str) -> float:
    """The rule-based reward of one completion: 1 for a right answer, 1 for a kind closing, half for a willing opening."""
    opening, _, rest = completion.partition(" , ")
    answer, _, closing = rest.partition(" . ")
    is_kind = closing.removesuffix(" .").strip() in KIND_CLOSINGS
    is_willing = opening.strip() in WILLING_OPENINGS
    return float(answer.strip() == right) + float(is_kind) + 0.5 * float(is_willing)
