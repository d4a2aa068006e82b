"""What comparisons, rankings and ratings say of answers' scores, as one likelihood.

Every judgement says that a score, or a difference of two, lies between two thresholds of a logistic scale:

    log P(a < x + noise < b) = log sigma(b - x) + log sigma(x - a) + log(1 - exp(a - b)),

because sigma(b - x) - sigma(a - x) is the product of the three. The first two are ordinary logistic terms
and the third knows no score, so that whatever people judged adds up to

    loss = sum_n w_n log(1 + exp(-z_n)) - sum_m w_m log(1 - exp(-g_m)),    z = C s + K t,  g = G t,

with scores s and thresholds t. It is convex in both (Pratt, 1981, Journal of the American Statistical
Association 76(373)), and in the weights of a linear head that gives the scores.

- A comparison: x = s_i - s_j, and "i is better" is x > 0 (Bradley and Terry, 1952, Biometrika 39(3/4)). A
  tie is half a win of each, x > 0 and x < 0 with half the weight.
- The same with a threshold for ties (Rao and Kupper, 1967, JASA 62(317), equation 2.3, theta = exp(t)):
  better is x > t, a tie -t < x < t.
- A rating of K levels: t_(k-1) < s_i < t_k (McCullagh, 1980, JRSS B 42(2), section 2). Levels that nobody
  gave have no threshold. All people share the thresholds: somebody who rates high is taken for somebody
  who saw better answers.
- A ranking of k answers is its k (k - 1) / 2 comparisons, each of weight 2 / (k (k - 1)), so that it weighs
  as one judgement. Not Plackett and Luce's model, which knows no ties; the sum is a composite likelihood
  (Varin, Reid and Firth, 2011, Statistica Sinica 21).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Ties = Literal["half_win", "rao_kupper"]


@dataclass(frozen=True)
class Ranked:
    """Answers by their place among all, and a rank for each (1 the best, equal ones are ties)."""

    answers: tuple[int, ...]
    ranks: tuple[int, ...]

    @property
    def pairs(self) -> list[tuple[int, int, bool]]:
        """(better, worse, whether it is a tie) of every two answers."""
        ordered = sorted(zip(self.ranks, self.answers, strict=True))
        return [(a, b, r == s) for (r, a), (s, b) in combinations(ordered, 2)]


@dataclass(frozen=True)
class Rated:
    """An answer by its place among all, and its rating."""

    answer: int
    level: int


Opinion = Ranked | Rated
"""One judgement of one person; a comparison is a ranking of two."""


@dataclass(frozen=True)
class Likelihood:
    """The terms of J judgements of A answers: see above for C, K, G. `term_judgement` (N,) and
    `gap_judgement` (M,) say whose each is, `start` (T,) are thresholds to begin with.

    `levels` are the ratings that were given, in order; `has_tie` says that the first threshold is that of
    ties, the others are those between levels.
    """

    contrast: Any
    cuts: Floats
    weight: Floats
    term_judgement: Places
    gaps: Floats
    gap_weight: Floats
    gap_judgement: Places
    start: Floats
    judgements: int
    levels: tuple[int, ...] = ()
    has_tie: bool = False

    def losses(self, score_A: Floats, thresholds_T: Floats) -> Floats:
        """(J,) -log P of each judgement."""
        odds_N = self.contrast @ score_A + self.cuts @ thresholds_T
        term_N = self.weight * np.logaddexp(0, -odds_N)
        gap_M = -self.gap_weight * log_within(self.gaps @ thresholds_T)
        of_terms = np.bincount(self.term_judgement, term_N, self.judgements)
        return np.asarray(of_terms + np.bincount(self.gap_judgement, gap_M, self.judgements))

    def weighted(self, times_J: Floats) -> Likelihood:
        """The same where each judgement counts so many times; none of those that count 0 times."""
        weight_N = self.weight * times_J[self.term_judgement]
        weight_M = self.gap_weight * times_J[self.gap_judgement]
        terms, gaps = weight_N > 0, weight_M > 0
        return replace(
            self,
            contrast=self.contrast[np.flatnonzero(terms)],
            cuts=self.cuts[terms],
            weight=weight_N[terms],
            term_judgement=self.term_judgement[terms],
            gaps=self.gaps[gaps],
            gap_weight=weight_M[gaps],
            gap_judgement=self.gap_judgement[gaps],
        )

    def among(self, places: Sequence[int]) -> Likelihood:
        """The terms of judgements of these answers, whose scores then stand in this order. No judgement
        may be of these and of others."""
        contrast = self.contrast[:, list(places)]
        terms = np.flatnonzero(np.diff(contrast.indptr))
        gaps = np.isin(self.gap_judgement, self.term_judgement[terms])
        return replace(
            self,
            contrast=contrast[terms],
            cuts=self.cuts[terms],
            weight=self.weight[terms],
            term_judgement=self.term_judgement[terms],
            gaps=self.gaps[gaps],
            gap_weight=self.gap_weight[gaps],
            gap_judgement=self.gap_judgement[gaps],
        )

    @property
    def judged(self) -> int:
        """How many judgements have a term."""
        return len(np.unique(self.term_judgement))

    @property
    def bounds(self) -> Floats:
        """(G, T): each gap that must stay open, once."""
        T = len(self.start)
        tie = [np.eye(T)[0] * 2] if self.has_tie else []
        first = int(self.has_tie)
        between = [np.eye(T)[k + 1] - np.eye(T)[k] for k in range(first, T - 1)]
        rows = [*tie, *between]
        return np.array(rows, dtype=np.float64).reshape(len(rows), T)


def log_within(gap: Floats) -> Floats:
    """log(1 - exp(-gap)), minus infinity where the gap isn't open."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(gap > 0, np.log(-np.expm1(-np.abs(gap))), -np.inf)


@dataclass
class _Terms:
    """Terms as they are written down, one after the other."""

    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    signs: list[float] = field(default_factory=list)
    cuts: list[dict[int, float]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    judgements: list[int] = field(default_factory=list)
    gaps: list[tuple[dict[int, float], float, int]] = field(default_factory=list)

    def above(
        self, judgement: int, weight: float, score: dict[int, float], cut: dict[int, float]
    ) -> None:
        """A term whose log-odds are the sum of signed scores and thresholds."""
        self.rows += [len(self.cuts)] * len(score)
        self.columns += list(score)
        self.signs += list(score.values())
        self.cuts.append(cut)
        self.weights.append(weight)
        self.judgements.append(judgement)


def likelihood(
    opinions: Sequence[Opinion],
    answers: int,
    ties: Ties = "half_win",
    like: Likelihood | None = None,
) -> Likelihood:
    """The likelihood of opinions on so many answers. `ties` says what they are of comparisons; without
    any, both are the same.

    `like` is one whose thresholds these are to have: a rating that nobody gave there is taken for the
    nearest that somebody gave. Raises ValueError where nothing prefers one answer to another.
    """
    pairs = [pair for each in opinions if isinstance(each, Ranked) for pair in each.pairs]
    tied = sum(tie for _, _, tie in pairs)
    if like is None:
        levels = tuple(sorted({each.level for each in opinions if isinstance(each, Rated)}))
        has_tie = ties == "rao_kupper" and tied > 0
        start_T = _start(opinions, levels, tied / len(pairs) if has_tie else None)
        if not pairs and len(levels) < 2:
            raise ValueError("nothing prefers one answer to another")
    else:
        levels, has_tie, start_T = like.levels, like.has_tie, like.start
    terms = _Terms()
    for number, each in enumerate(opinions):
        if isinstance(each, Ranked):
            _add_ranked(terms, number, each, has_tie)
        elif len(levels) > 1:
            nearest = min(levels, key=lambda level: (abs(level - each.level), level))
            _add_rated(terms, number, Rated(each.answer, nearest), levels, int(has_tie))
    return _arranged(terms, start_T, answers, len(opinions), levels, has_tie)


def _start(opinions: Sequence[Opinion], levels: tuple[int, ...], tied: float | None) -> Floats:
    """Thresholds at which scores of 0 would give the shares of ties and of levels that were given."""
    given = np.array([each.level for each in opinions if isinstance(each, Rated)])
    shares = [float((given <= level).mean()) for level in levels[:-1]]
    between = [float(np.log(share / (1 - share))) for share in shares]
    tie = [] if tied is None else [float(2 * np.arctanh(min(tied, 0.95)))]
    return np.array([*tie, *between], dtype=np.float64)


def _add_ranked(terms: _Terms, number: int, ranked: Ranked, has_tie: bool) -> None:
    pairs = ranked.pairs
    for better, worse, tie in pairs:
        weight = 1 / len(pairs)
        forwards, backwards = {better: 1.0, worse: -1.0}, {better: -1.0, worse: 1.0}
        if not tie:
            terms.above(number, weight, forwards, {0: -1.0} if has_tie else {})
        elif has_tie:
            terms.above(number, weight, forwards, {0: 1.0})
            terms.above(number, weight, backwards, {0: 1.0})
            terms.gaps.append(({0: 2.0}, weight, number))
        else:
            terms.above(number, weight / 2, forwards, {})
            terms.above(number, weight / 2, backwards, {})


def _add_rated(
    terms: _Terms, number: int, rated: Rated, levels: tuple[int, ...], first: int
) -> None:
    level = levels.index(rated.level)
    if level > 0:
        terms.above(number, 1.0, {rated.answer: 1.0}, {first + level - 1: -1.0})
    if level < len(levels) - 1:
        terms.above(number, 1.0, {rated.answer: -1.0}, {first + level: 1.0})
    if 0 < level < len(levels) - 1:
        terms.gaps.append(({first + level: 1.0, first + level - 1: -1.0}, 1.0, number))


def _arranged(
    terms: _Terms,
    start_T: Floats,
    answers: int,
    judgements: int,
    levels: tuple[int, ...],
    has_tie: bool,
) -> Likelihood:
    shape = (len(terms.cuts), answers)
    contrast = sparse.csr_matrix((terms.signs, (terms.rows, terms.columns)), shape=shape)
    return Likelihood(
        contrast=contrast,
        cuts=_dense(terms.cuts, len(start_T)),
        weight=np.array(terms.weights, dtype=np.float64),
        term_judgement=np.array(terms.judgements, dtype=np.int64),
        gaps=_dense([gap for gap, _, _ in terms.gaps], len(start_T)),
        gap_weight=np.array([weight for _, weight, _ in terms.gaps], dtype=np.float64),
        gap_judgement=np.array([number for _, _, number in terms.gaps], dtype=np.int64),
        start=start_T,
        judgements=judgements,
        levels=levels if len(levels) > 1 else (),
        has_tie=has_tie,
    )


def _dense(rows: Sequence[dict[int, float]], width: int) -> Floats:
    table = np.zeros((len(rows), width))
    for row, entries in zip(table, rows, strict=True):
        for column, value in entries.items():
            row[column] = value
    return table
