"""Which questions are trained on and which are held out: by what they ask, not where they stand.

A question's side depends on its normalised text alone, so adding, removing or reordering others
moves nothing from one side to the other.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from truing.types import Case, InputError, normalised, split_key, stable_hash

NEAR_DUPLICATE = 0.7
"""Likeness from which two questions count as nearly the same."""

_FUNCTION_WORDS_TEXT = (
    "a about all an and any are as at be been but by can could did do does for from get had has "
    "have how i if in into is it its may might most must no not of on or our should so some than "
    "that the their them there these they this to was we were what when where which who whom "
    "whose why will with would you your"
)
_FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_TEXT.split())


def share(case: Case, purpose: str) -> float:
    """A number in [0, 1), uniform over questions, fixed by the question's text (of a family: by its
    name) and the purpose."""
    text = f"family {case.family}" if case.family else split_key(case.prompt)
    return int(stable_hash(purpose, text)[:13], 16) / 16**13


def is_held_out(case: Case, held_out: float) -> bool:
    """Whether the case falls on the held-out side. A larger share only adds questions to it."""
    return share(case, "split") < held_out


def split(cases: Sequence[Case], held_out: float) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """(training side, held-out side), each in the given order; `held_out` is the expected share.

    Raises InputError where a side is left empty, or `held_out` isn't between 0 and 1.
    """
    if not 0 < held_out < 1:
        raise InputError(f"data.held_out: {held_out} is no share; give one between 0 and 1")
    held = tuple(case for case in cases if is_held_out(case, held_out))
    train = tuple(case for case in cases if not is_held_out(case, held_out))
    for side, name in ((train, "training"), (held, "held-out")):
        if not side:
            raise InputError(
                f"data.held_out: with {held_out} the {name} side of {len(cases)} question(s) is "
                "empty; give more questions or another share"
            )
    return train, held


def limit_cases(
    cases: Sequence[Case], limit: int | None, held_out: float | None = None
) -> tuple[Case, ...]:
    """At most `limit` cases, chosen by hash, in the given order.

    A larger limit keeps all that a smaller one chose. Both sides of the split shrink alike up to
    chance; where `held_out` is given and one side would vanish though it needn't, the last chosen
    case gives way to the first of that side. Raises InputError where the limit is below 1.
    """
    if limit is None:
        return tuple(cases)
    if limit < 1:
        raise InputError(f"data.limit: {limit} leaves no question; give 1 or more")
    ranked = sorted(range(len(cases)), key=lambda i: (share(cases[i], "limit"), i))
    chosen, rest = ranked[:limit], ranked[limit:]
    if held_out is not None and limit >= 2:
        sides = {is_held_out(cases[i], held_out) for i in chosen}
        missing = [i for i in rest if is_held_out(cases[i], held_out) not in sides]
        if len(sides) == 1 and missing:
            chosen[-1] = missing[0]
    return tuple(cases[i] for i in sorted(chosen))


def content_words(text: str) -> frozenset[str]:
    """The words that carry the question, case and plural folded; all its words where none does."""
    words = re.findall(r"\w+", normalised(text).replace("'s ", " ").replace("’s ", " "))
    folded = {word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words}
    return frozenset(folded - _FUNCTION_WORDS or folded)


def near_duplicates(
    cases: Sequence[Case], threshold: float = NEAR_DUPLICATE
) -> list[tuple[Case, Case, float]]:
    """Pairs of questions that ask nearly the same, most alike first: (earlier, later, likeness).

    Likeness is the Jaccard index of their content words: shared words over all words of the two,
    1 for the same words in any order. It misses paraphrases with other words, and it's cheap: two
    questions can only reach the threshold if they share one of their rarest words, so only such
    pairs are looked at.
    """
    words = [content_words(case.prompt) for case in cases]
    counts = Counter(word for bag in words for word in bag)
    seen: dict[str, list[int]] = {}
    likenesses: list[tuple[Case, Case, float]] = []
    for later, bag in enumerate(words):
        # Of two sets as alike as that, one of the first n - ceil(threshold n) + 1 words of each, in
        # any common order, is shared. Rarest first leaves the fewest pairs.
        rarest = sorted(bag, key=lambda word: (counts[word], word))
        prefix = rarest[: len(bag) - math.ceil(threshold * len(bag) - 1e-9) + 1]
        for earlier in sorted({i for word in prefix for i in seen.get(word, ())}):
            likeness = len(bag & words[earlier]) / len(bag | words[earlier])
            if likeness >= threshold:
                likenesses.append((cases[earlier], cases[later], likeness))
        for word in prefix:
            seen.setdefault(word, []).append(later)
    return sorted(likenesses, key=lambda pair: -pair[2])


def leaks(
    train: Sequence[Case], held_out: Sequence[Case], threshold: float = NEAR_DUPLICATE
) -> list[tuple[Case, Case, float]]:
    """Near-duplicates across the split: (training case, held-out case, likeness)."""
    in_train = {case.id for case in train}
    pairs = near_duplicates([*train, *held_out], threshold)
    return [pair for pair in pairs if pair[0].id in in_train and pair[1].id not in in_train]


def leak_warning(train: Sequence[Case], held_out: Sequence[Case]) -> str | None:
    """What to tell the user where held-out questions have near-duplicates in training, or None."""
    leaked = leaks(train, held_out)
    if not leaked:
        return None
    learnt, asked, _ = leaked[0]
    count = len({pair[1].id for pair in leaked})
    return (
        f"{count} held-out question(s) have a near-duplicate among the training questions, for "
        f"example {asked.prompt!r} and {learnt.prompt!r}; held-out figures may flatter training"
    )
