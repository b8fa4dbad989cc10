"""Text of a run as a report may carry it to strangers: of bearable length, without secrets, without characters that act."""

from __future__ import annotations

import re
import unicodedata

NAME_LENGTH = 160
TEXT_LENGTH = 2000
"""Characters of a name and of any other text; whoever reads the report is told where something was cut."""

HIDDEN = "[hidden: looks like a secret]"

_SECRET_NAME = re.compile(
    r"(^|[^a-z])(password|passwd|passphrase|secrets?|credentials?|api_?key|access_?key|private_?key|secret_?key"
    r"|(hub|hf|auth|access|api|bearer|refresh|session|wandb|github|gitlab|huggingface|security)_token)$|^_*token$"
)
_SECRET_TEXT = re.compile(
    r"(?<![A-Za-z0-9])(hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}"
    r"|glpat-[\w-]{16,}|AKIA[A-Z0-9]{12,}|xox[abprs]-[\w-]{10,})|(?<=://)[^\s/@]+(?=@)"
)
_SHOWN_CONTROLS = "\n\t"


def plain(text: str, *, most: int = TEXT_LENGTH) -> str:
    """The text with secrets hidden, control and direction characters written out (⟨U+202E⟩), and cut after `most` characters."""
    shown = _SECRET_TEXT.sub(HIDDEN, text[: most + 200])  # a secret that the cut divides is still seen whole
    rest = len(text) - most
    if rest > 0:
        shown = f"{shown[:most]}… ({len(text)} characters in all)"
    return "".join(_written(character) for character in shown)


def is_secret_name(name: str) -> bool:
    """True for a setting whose name says that its value is nobody's business: `hub_token`, `wandb.api_key`."""
    return _SECRET_NAME.search(name.lower().replace("-", "_")) is not None


def without_secret_values(words: list[str]) -> list[str]:
    """A command line in which what follows `--hub_token` or stands behind `--hub_token=` is hidden."""
    shown, hide = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if hide:
            shown.append(HIDDEN)
        elif equals and is_secret_name(name):
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(word)
        hide = not hide and not equals and word.startswith("-") and is_secret_name(word)
    return shown


def _written(character: str) -> str:
    """The character, or its number where it would act instead of show: controls, direction marks, halves of pairs."""
    if character in _SHOWN_CONTROLS or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    # A joiner makes words and emoji of many languages.
    return character if character in "\u200c\u200d" else f"⟨U+{ord(character):04X}⟩"
