"""What a trained judge sees of an answer: how it compares with the references, and its own vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from truing.judges.similarity import Text, overlap, truth_features
from truing.models.features import Features

_YES, _NO = frozenset(["yes", "yeah", "true"]), frozenset(["no", "nope", "false"])


def _polarity(text: Text) -> float:
    """+1 where it begins with a yes, -1 with a no, else 0."""
    first = next(iter(text.words), "")  # a counter keeps the order in which words came
    return 1.0 if first in _YES else -1.0 if first in _NO else 0.0


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _best(answer: Text, references: Sequence[Text]) -> list[float]:
    """Nearest reference by words, by character n-grams and by vector; its share that is covered."""
    return [
        max(overlap(answer.words, r.words) for r in references),
        max(overlap(answer.grams, r.grams) for r in references),
        max(float(answer.vector @ r.vector) for r in references),
        max(_share((answer.words & r.words).total(), r.words.total()) for r in references),
    ]


def _alone(answer: Text, question: Text) -> list[float]:
    """Length, what it takes from the question, denial, polarity."""
    total = answer.words.total()
    asked = (answer.words & question.words).total()
    return [float(total), _share(asked, total), float(answer.negated), _polarity(answer)]


def comparison(
    answer: Text, question: Text, true: Sequence[Text], false: Sequence[Text]
) -> Features:
    """(30,) numbers about an answer beside the references on both sides, for trees to cut up."""
    same_sign = [
        float(np.mean([_polarity(r) for r in side])) * _polarity(answer) for side in (true, false)
    ]
    denial = [float(np.mean([r.negated for r in side])) for side in (true, false)]
    used = Counter[str]()
    for reference in (*true, *false):
        used |= reference.words
    total = answer.words.total()
    unknown = total - (answer.words & (used | question.words)).total()
    best = [_best(answer, true), _best(answer, false)]
    counts = [float(len(true)), float(len(false)), _share(unknown, total)]
    return np.array(
        [
            *truth_features(answer, true, false),
            *best[0],
            *best[1],
            best[0][3] - best[1][3],
            *_alone(answer, question),
            *same_sign,
            *denial,
            *counts,
        ]
    )
