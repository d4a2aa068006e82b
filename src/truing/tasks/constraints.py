"""Constraints on an answer that a program can check, in the manner of IFEval (Zhou et al., 2023).

What is checked is the form of an answer, never whether it is good. A new one: a function below, whose
keywords are its options, and a line in `CONSTRAINTS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from truing.judges.checks import stands_in
from truing.rewards.json_values import parsed_json
from truing.types import did_you_mean, normalised

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]»]*(?=\s|$)")
_BULLET = re.compile(r"^[ \t]*[-*•][ \t]+\S", re.MULTILINE)


def _set_of(spaced: str) -> frozenset[str]:
    return frozenset(spaced.split())


LANGUAGES: dict[str, frozenset[str]] = {
    "English": _set_of(
        "the and of to is are was that it you with for this not but have they your be as"
    ),
    "German": _set_of(
        "der die das und ist nicht ein eine zu den mit sie ich auf für von im es dem sich"
    ),
    "French": _set_of(
        "le la les et est un une des du dans pour que qui pas vous il elle sur avec au"
    ),
    "Spanish": _set_of("el la los las y es un una de que en por para con no se del su como más"),
    "Italian": _set_of("il la lo gli e è un una di che per non con del della sono si nel le più"),
}
"""Words that stand in nearly every sentence of a language."""


def words_of(text: str) -> list[str]:
    """The words of a text; `well-known` and `don't` are one each."""
    return _WORD.findall(text)


def _between(count: int, at_least: int, at_most: int | None) -> bool:
    return at_least <= count and (at_most is None or count <= at_most)


def words(answer: str, at_least: int = 0, at_most: int | None = None) -> bool:
    """The number of words lies between two bounds, both included."""
    return _between(len(words_of(answer)), at_least, at_most)


def sentences(answer: str, at_least: int = 0, at_most: int | None = None) -> bool:
    """The number of sentences does; text behind the last full stop is one too."""
    ends = list(_SENTENCE_END.finditer(answer))
    rest = answer[ends[-1].end() :] if ends else answer
    return _between(len(ends) + bool(words_of(rest)), at_least, at_most)


def include(answer: str, words: Sequence[str]) -> bool:
    """All the words stand in the answer, as whole words, upper and lower case alike."""
    return all(stands_in(word, answer) for word in words)


def avoid(answer: str, words: Sequence[str]) -> bool:
    """None of the words does."""
    return not any(stands_in(word, answer) for word in words)


def order(answer: str, words: Sequence[str]) -> bool:
    """The words all stand in the answer, each first met behind the one before."""
    text = normalised(answer)
    first = [re.search(rf"(?<!\w){re.escape(normalised(word))}(?!\w)", text) for word in words]
    places = [match.start() for match in first if match]
    return len(places) == len(words) and places == sorted(set(places))


def _plain(text: str) -> str:
    return " ".join(words_of(normalised(text)))


def begin(answer: str, phrase: str) -> bool:
    """The answer's first words are the phrase; case and punctuation don't matter."""
    return f"{_plain(answer)} ".startswith(f"{_plain(phrase)} ")


def end(answer: str, phrase: str) -> bool:
    """The answer's last words are the phrase; case and punctuation don't matter."""
    return f" {_plain(answer)}".endswith(f" {_plain(phrase)}")


def bullets(answer: str, count: int) -> bool:
    """The answer has exactly so many lines that begin with a bullet: `-`, `*` or `•`."""
    return len(_BULLET.findall(answer)) == count


def json(answer: str) -> bool:
    """The whole answer is a JSON object or list that isn't empty."""
    try:
        value = parsed_json(answer)
    except ValueError:
        return False
    return isinstance(value, dict | list) and bool(value)


def lower_case(answer: str) -> bool:
    """There are letters, and none is a capital."""
    return any(map(str.isalpha, answer)) and not any(map(str.isupper, answer))


def upper_case(answer: str) -> bool:
    """There are letters, and none is a small one."""
    return any(map(str.isalpha, answer)) and not any(map(str.islower, answer))


def no_commas(answer: str) -> bool:
    """There are words, and no comma."""
    return bool(words_of(answer)) and "," not in answer


def _share_of(language: str, answer_words: Sequence[str]) -> float:
    return sum(word in LANGUAGES[language] for word in answer_words) / len(answer_words)


def language(answer: str, language: str) -> bool:
    """A sixth of the words or more are little words of the language, and fewer those of any other.

    An honest guess for a sentence or more; a few words in a row need not hold any of these.
    """
    answer_words = [word.casefold() for word in words_of(answer)]
    if not answer_words:
        return False
    wanted = _share_of(language, answer_words)
    others = max(_share_of(other, answer_words) for other in LANGUAGES if other != language)
    return wanted >= 1 / 6 and wanted > others


CONSTRAINTS: dict[str, Callable[..., bool]] = {
    "words": words,
    "sentences": sentences,
    "include": include,
    "avoid": avoid,
    "order": order,
    "begin": begin,
    "end": end,
    "bullets": bullets,
    "json": json,
    "lower_case": lower_case,
    "upper_case": upper_case,
    "no_commas": no_commas,
    "language": language,
}
"""Every kind of constraint by name; a case names the kind and gives its options."""


def keeps(answer: str, constraint: Mapping[str, Any]) -> bool:
    """Whether an answer keeps a constraint `{"kind": ..., option: ...}`; an empty one keeps none.

    Raises ValueError where there is no such kind, TypeError where it has no such option.
    """
    options = dict(constraint)
    kind = options.pop("kind", None)
    if kind not in CONSTRAINTS:
        hint = did_you_mean(kind, CONSTRAINTS)
        raise ValueError(f"no constraint is called {kind!r}; {hint}known: {', '.join(CONSTRAINTS)}")
    return bool(answer.strip()) and CONSTRAINTS[kind](answer, **options)
