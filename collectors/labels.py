"""Tags, a group and a description: what people find a run by. The process that names them and the store that keeps them judge alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runvitals.collectors.jsonable import as_key, text

LONGEST_TAG = 60
"""Characters of a tag or a group: they stand in a row of a list."""

LONGEST_DESCRIPTION = 4000
"""Characters: a paragraph, not a report."""

MOST_TAGS = 50
"""Tags of one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a run begins with. People may change it in the app, and what they say holds. refused: a sentence for each part left out."""

    tags: tuple[str, ...] = ()
    group: str = ""
    description: str = ""
    refused: tuple[str, ...] = ()


def checked_tag(tag: str) -> str:
    """The tag as it is kept: no space around it, one line. Raises ValueError where it is empty, too long or has a comma."""
    found = " ".join(tag.split())
    if not 0 < len(found) <= LONGEST_TAG or "," in found:
        raise ValueError(f"a tag: expected 1 to {LONGEST_TAG} characters without a comma, got {found[:LONGEST_TAG]!r}")
    return found


def checked_group(group: str) -> str:
    """The group's name, "" for none. Raises ValueError where it is too long."""
    return _checked(group, "group", LONGEST_TAG)


def checked_description(description: str) -> str:
    """The description, "" for none. Raises ValueError where it is too long."""
    return _checked(description, "description", LONGEST_DESCRIPTION)


def joined_tags(before: Iterable[str], added: Iterable[str]) -> list[str]:
    """The tags with those added that are new: a tag differs from another by more than case. Raises ValueError for more than a run may have."""
    by_word = {tag.casefold(): tag for tag in before}
    for tag in added:
        by_word.setdefault(tag.casefold(), tag)
    if len(by_word) > MOST_TAGS:
        raise ValueError(f"expected at most {MOST_TAGS} tags, got {len(by_word)}; remove some first")
    return list(by_word.values())


def read_labels(tags: Any, group: Any, description: Any) -> Labels:
    """What can be kept of anything that a process calls its tags (one, or several), group and description; never raises."""
    refused: list[str] = []
    kept: list[str] = []
    for tag in _several(tags):
        try:
            kept = joined_tags(kept, [checked_tag(_word(tag))])
        except ValueError as error:
            refused.append(str(error))
    words = {"group": "", "description": ""}
    for name, check, value in (("group", checked_group, group), ("description", checked_description, description)):
        try:
            words[name] = check(_word(value))
        except ValueError as error:
            refused.append(str(error))
    return Labels(tags=tuple(kept), **words, refused=tuple(refused))


def _checked(value: str, name: str, longest: int) -> str:
    found = value.strip()
    if len(found) > longest:
        raise ValueError(f"a run's {name}: expected at most {longest} characters, got {len(found)}")
    return found


def _several(tags: Any) -> list[Any]:
    """The tags one by one; a single word, or anything that cannot be gone through, is one of them."""
    if tags is None:
        return []
    if isinstance(tags, str | bytes | Mapping) or not isinstance(tags, Iterable):
        return [tags]
    try:
        return list(tags)
    except Exception:  # noqa: BLE001 - a value's own way of being gone through may raise anything, in somebody's training
        return [tags]


def _word(value: Any) -> str:
    return "" if value is None else as_key(text(value))
