"""Length and vocabulary of the two sides, and the words that tell them apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truing.shift.features import WORD

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_PRIOR = 500.0
_LISTED = 15
_WORD = re.compile(WORD)


def words_of(text: str) -> list[str]:
    """Words, case folded."""
    return _WORD.findall(text.casefold())


@dataclass(frozen=True)
class Side:
    """Words per prompt (at `QUANTILES`) and vocabulary of one side.

    `unknown` is the share of its words, counted as often as they occur, that the other side never uses.
    """

    prompts: int
    mean_words: float
    words: tuple[float, ...]
    distinct: int
    unknown: float
    lengths: tuple[int, ...]

    def to_json(self) -> dict[str, object]:
        """Figures to six decimals; the single lengths stay out."""
        return {
            "prompts": self.prompts,
            "mean_words": round(self.mean_words, 6),
            "words_at_quantiles": dict(zip(map(str, QUANTILES), self.words, strict=True)),
            "distinct_words": self.distinct,
            "words_unknown_to_the_other_side": round(self.unknown, 6),
        }


def side(own: Sequence[Sequence[str]], other: Sequence[Sequence[str]]) -> Side:
    """Figures of prompts given as words, against those of the other side."""
    counts = Counter(word for words in own for word in words)
    known = {word for words in other for word in words}
    lengths = [len(words) for words in own]
    strange = sum(count for word, count in counts.items() if word not in known)
    return Side(
        len(own),
        float(np.mean(lengths)),
        tuple(float(q) for q in np.quantile(lengths, QUANTILES)),
        len(counts),
        strange / counts.total() if counts else 0.0,
        tuple(lengths),
    )


def telling_words(
    train: Sequence[Sequence[str]], target: Sequence[Sequence[str]]
) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Words typical of training and of target with their z-scores, most typical first.

    Monroe, Colaresi and Quinn (2008), "Fightin' words", equations 15 to 22: log-odds ratios with an
    informative Dirichlet prior, divided by their standard deviation. Departure: a word counts once a
    prompt, so that one long prompt can't make a word typical.
    """
    y_train = Counter(word for words in train for word in set(words))
    y_target = Counter(word for words in target for word in set(words))
    both = y_train + y_target
    if not both:
        return [], []
    scale = _PRIOR / both.total()

    def log_odds(counts: Counter[str], word: str, prior: float) -> float:
        mine = counts[word] + prior
        return float(np.log(mine / (counts.total() + _PRIOR - mine)))

    scored = []
    for word, count in both.items():
        prior = scale * count
        difference = log_odds(y_target, word, prior) - log_odds(y_train, word, prior)
        spread = np.sqrt(1 / (y_target[word] + prior) + 1 / (y_train[word] + prior))
        scored.append((word, float(difference / spread)))
    scored.sort(key=lambda pair: (pair[1], pair[0]))
    return (
        [(word, -z) for word, z in scored[:_LISTED] if z < 0],
        [(word, z) for word, z in reversed(scored[-_LISTED:]) if z > 0],
    )
