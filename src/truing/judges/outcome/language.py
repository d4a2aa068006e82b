"""Answers in a language that the judge doesn't read: it has learnt from English alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache

from truing.judges.rule_checks import function_words

_WORD = re.compile(r"[^\W\d_]+")
_FIRST_CHARACTERS = 2000
"""That tell a language; an answer may go on for ever."""
_LEAST_LETTERS, _LEAST_WORDS = 3, 3
_TIMES_ENGLISH = 2
"""So many function words of another language for each English one: a quotation isn't a language."""


def unread_language(answer: str) -> str:
    """The language, or "another script", of an answer that the judge can't read; empty of any other.

    By letters, and by the function words of French, German, Italian and Spanish that English doesn't
    have; other languages in Latin letters aren't recognised.
    """
    text = answer[:_FIRST_CHARACTERS].casefold()
    letters = [each for each in text if each.isalpha()]
    foreign = sum(not _is_latin(each) for each in letters)
    if foreign >= _LEAST_LETTERS and 2 * foreign > len(letters):
        return "another script"
    words = _WORD.findall(text)
    counts = {name: sum(map(known.__contains__, words)) for name, known in _own_words().items()}
    english = counts.pop("English")
    name = max(counts, key=lambda each: counts[each])
    return name if counts[name] >= max(_LEAST_WORDS, _TIMES_ENGLISH * english) else ""


@cache
def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(("LATIN", "FULLWIDTH LATIN", "MATHEMATICAL"))


@cache
def _own_words() -> Mapping[str, frozenset[str]]:
    """Function words of two letters and more; of other languages those that English hasn't."""
    words = {
        name: frozenset(word for word in known if len(word) > 1)
        for name, known in function_words().items()
    }
    english = words["English"]
    return {name: known if name == "English" else known - english for name, known in words.items()}
