"""What knows nothing of a language and must be beaten: an answer's length, and the words that are in it.

Each is fitted as the reward model is, to the same judgements, with ridge and temperature by the same folds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from truing.rewards.learned.sample import Said
from truing.types import normalised

LEAST = 2
"""Training answers that a word must be in to count."""
RIDGES: Mapping[str, tuple[float, ...]] = {
    "length": (0.1, 1.0, 10.0),
    "words": (0.3, 1.0, 3.0, 10.0, 30.0, 100.0),
}
Tables = Mapping[str, tuple[Any, Any]]
"""Features of training answers and of held-out ones, dense or sparse, by name."""


def length(train: Sequence[Said], held_out: Sequence[Said]) -> Tables:
    """The logarithm of 1 + words, standardised by the training answers."""
    own, others = (
        np.log1p([float(len(text.split())) for _, text in part]) for part in (train, held_out)
    )
    spread = own.std() + 1e-6
    return {
        "log words": ((own[:, None] - own.mean()) / spread, (others[:, None] - own.mean()) / spread)
    }


def words(train: Sequence[Said], held_out: Sequence[Said]) -> Tables:
    """log(1 + count) of each word that is in two training answers or more, as it is and with rows of
    length 1: cross-validation takes the better."""
    in_answers = Counter(word for _, text in train for word in set(_words(text)))
    known = sorted(word for word, count in in_answers.items() if count >= LEAST)
    column = {word: place for place, word in enumerate(known)}
    own, others = _counted(train, column), _counted(held_out, column)
    return {"counts": (own, others), "shares": (_unit(own), _unit(others))}


BASELINES: Mapping[str, Callable[[Sequence[Said], Sequence[Said]], Tables]] = {
    "length": length,
    "words": words,
}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", normalised(text))


def _counted(answers: Sequence[Said], column: Mapping[str, int]) -> Any:
    rows, columns, values = [], [], []
    for row, (_, text) in enumerate(answers):
        for word, count in Counter(_words(text)).items():
            if word in column:
                rows.append(row)
                columns.append(column[word])
                values.append(np.log1p(count))
    shape = (len(answers), max(1, len(column)))
    return sparse.csr_matrix((values, (rows, columns)), shape=shape, dtype=np.float64)


def _unit(table: Any) -> Any:
    norm: NDArray[np.float64] = np.sqrt(np.asarray(table.multiply(table).sum(1)).ravel())
    return sparse.diags(1 / np.maximum(norm, 1e-12)) @ table
