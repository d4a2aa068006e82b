"""How an answer compares with a question's true and false reference answers, as numbers.

Word overlap alone can't tell 'It is older' from 'It is younger'; words that only one side uses,
character n-grams and a language model's sentence vectors each catch part of what it misses.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from truing.models.features import Features

_NEGATIONS = frozenset(
    ["no", "not", "never", "none", "nothing", "cannot", "neither", "nor", "without"]
)


@dataclass(frozen=True)
class Text:
    """An answer prepared for comparison. `vector` is its sentence vector, scaled to length 1."""

    text: str
    vector: Features

    @cached_property
    def words(self) -> Counter[str]:
        """Lower-case words and numbers."""
        return Counter(re.findall(r"[^\W_]+", self.text.casefold()))

    @cached_property
    def stems(self) -> frozenset[str]:
        """First five letters of each word: a crude stem."""
        return frozenset(word[:5] for word in self.words)

    @cached_property
    def grams(self) -> Counter[str]:
        """Character 4-grams over the words."""
        text = f" {' '.join(self.words.elements())} "
        return Counter(text[i : i + 4] for i in range(len(text) - 3))

    @property
    def negated(self) -> bool:
        """Whether it has a word of denial."""
        return not _NEGATIONS.isdisjoint(self.words)


def overlap(a: Counter[str], b: Counter[str]) -> float:
    """F1 of two bags: with words, ROUGE-1 (Lin, 2004). 0 where both are empty."""
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 0.0


def _sides(similarity_true: Sequence[float], similarity_false: Sequence[float]) -> list[float]:
    best = max(similarity_true) - max(similarity_false)
    average = float(np.mean(similarity_true) - np.mean(similarity_false))
    return [best, average]


def _log_odds(answer: Text, true: Sequence[Text], false: Sequence[Text]) -> list[float]:
    """Naive Bayes over the stems that the references use, and counts of one-sided stems."""
    in_true = Counter(stem for text in true for stem in text.stems)
    in_false = Counter(stem for text in false for stem in text.stems)
    odds = sum(math.log((in_true[s] + 0.5) / (in_false[s] + 0.5)) for s in answer.stems)
    only_true = sum(1 for s in answer.stems if s in in_true and s not in in_false)
    only_false = sum(1 for s in answer.stems if s in in_false and s not in in_true)
    return [odds, float(only_true), float(only_false)]


def truth_features(answer: Text, true: Sequence[Text], false: Sequence[Text]) -> Features:
    """(10,) features that are positive, mostly, for an answer nearer to the true references."""
    words = _sides(
        [overlap(answer.words, t.words) for t in true],
        [overlap(answer.words, f.words) for f in false],
    )
    grams = _sides(
        [overlap(answer.grams, t.grams) for t in true],
        [overlap(answer.grams, f.grams) for f in false],
    )
    vectors = _sides(
        [float(answer.vector @ t.vector) for t in true],
        [float(answer.vector @ f.vector) for f in false],
    )
    denial = float(np.mean([t.negated for t in true]) - np.mean([f.negated for f in false]))
    sign = 1.0 if answer.negated else -1.0
    return np.array([*words, *grams, *vectors, *_log_odds(answer, true, false), sign * denial])


def rouge_rule(answer: Text, true: Sequence[Text], false: Sequence[Text]) -> bool:
    """The baseline of Lin et al. (2022): true where the nearest reference by ROUGE-1 is true."""
    return max(overlap(answer.words, t.words) for t in true) > max(
        overlap(answer.words, f.words) for f in false
    )


def leave_out(
    place: int, own: Sequence[Text], other: Sequence[Text]
) -> tuple[list[Text], list[Text]]:
    """References for grading one of themselves: without it, and without its mirror image.

    A reference is often the mirror image of one on the other side ('is older', 'is younger'). Left
    in, the mirror would be its nearest neighbour, and a judge would learn that what resembles a false
    reference is true.
    """
    answer = own[place]
    mirror = max(range(len(other)), key=lambda i: overlap(answer.words, other[i].words))
    return (
        [text for i, text in enumerate(own) if i != place],
        [text for i, text in enumerate(other) if i != mirror],
    )
