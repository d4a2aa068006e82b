"""How far the representativeness of a group would be otherwise with other questions and other people.

Two designs. Where only shares are known, each of n people: questions are redrawn, and each question's
shares anew as a multinomial of n (people are taken as others on every question). Where each respondent's
answers are known: respondents and questions are both redrawn, whole rows and columns (Owen, 2007, The
pigeonhole bootstrap, Annals of Applied Statistics 1(2), section 3), so that what one person says on many
questions stays together.

What a redrawn sample says is further from the model than the sample is, as the sample is further than the
group: values are corrected for that (see opinion_anchors), and of redrawn ones only their deviations from
their own middle count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from truing.statistics.means import RESAMPLES, SEED, TAILS, within
from truing.statistics.opinion_anchors import corrected_representativeness
from truing.statistics.opinion_distances import Floats
from truing.types import Estimate


def effective_n(weights: ArrayLike) -> float:
    """How many people with equal weights say as much as these (Kish, 1965): (sum w)^2 / sum w^2.

    0 where no weight is above 0.
    """
    values = np.asarray(weights, dtype=np.float64)
    squares = float((values**2).sum())
    return float(values.sum()) ** 2 / squares if squares > 0 else 0.0


def multinomial_interval(
    model: Sequence[ArrayLike],
    people: Sequence[ArrayLike],
    n: Sequence[float],
    scales: Sequence[Sequence[float]],
    *,
    unscored: int = 0,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """The corrected mean representativeness over questions, with its interval over questions and people.

    Each question has the model's distribution, the group's shares, how many people they are of and
    the options' positions. One question has no interval.
    """
    questions = len(model)
    if not questions:
        return Estimate(None, None, None, 0, unscored)
    generator = np.random.default_rng(seed)
    values_Q, noise_QR = np.empty(questions), np.empty((questions, resamples))
    for place, (ours, theirs, size, scale) in enumerate(zip(model, people, n, scales, strict=True)):
        values_Q[place] = float(corrected_representativeness(ours, theirs, size, scale))
        whole = max(round(size), 1)
        shares = np.asarray(theirs, dtype=np.float64)
        drawn_RK = generator.multinomial(whole, shares / shares.sum(), resamples) / whole
        noise_QR[place] = corrected_representativeness(ours, drawn_RK, size, scale)
    noise_QR -= noise_QR.mean(1, keepdims=True)
    value = float(values_Q.mean())
    if questions == 1:
        return Estimate(value, None, None, 1, unscored)
    counts_RQ = generator.multinomial(questions, np.full(questions, 1 / questions), resamples)
    means_R = (counts_RQ * (values_Q + noise_QR.T)).sum(1) / questions
    return within(value, _widened(value, means_R, questions), questions, unscored)


def respondents_by_questions(
    model: Sequence[ArrayLike],
    answers_PQ: NDArray[np.int64],
    scales: Sequence[Sequence[float]],
    weights_P: ArrayLike | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """The same from each respondent's answers: an option's place for each question, -1 where there is
    none (not asked, refused). Questions that nobody answered are counted as unscored."""
    people, questions = answers_PQ.shape
    weights = np.ones(people) if weights_P is None else np.asarray(weights_P, dtype=np.float64)
    answered = [bool(weights[answers_PQ[:, place] >= 0].any()) for place in range(questions)]
    places = [place for place, any_answer in enumerate(answered) if any_answer]
    if not places:
        return Estimate(None, None, None, 0, questions)
    generator = np.random.default_rng(seed)
    counts_RP = generator.multinomial(people, np.full(people, 1 / people), resamples)
    values_Q, noise_QR = np.empty(len(places)), np.empty((len(places), resamples))
    for row, place in enumerate(places):
        ours, scale = model[place], scales[place]
        shares_K, size = _shares(answers_PQ[:, place], weights[None], len(scale))
        values_Q[row] = corrected_representativeness(ours, shares_K[0], size[0], scale)
        drawn_RK, sizes_R = _shares(answers_PQ[:, place], weights * counts_RP, len(scale))
        noise_QR[row] = corrected_representativeness(ours, drawn_RK, size[0], scale)
        noise_QR[row][sizes_R <= 0] = np.nan  # nobody of those who answered was drawn
    noise_QR -= np.nanmean(noise_QR, axis=1, keepdims=True)
    value = float(values_Q.mean())
    unscored = questions - len(places)
    if len(places) == 1:
        return Estimate(value, None, None, 1, unscored)
    counts_RQ = generator.multinomial(len(places), np.full(len(places), 1 / len(places)), resamples)
    drawn_RQ = values_Q + np.nan_to_num(noise_QR.T)
    means_R = (counts_RQ * drawn_RQ).sum(1) / len(places)
    return within(value, _widened(value, means_R, len(places)), len(places), unscored)


def _widened(value: float, redrawn_R: Floats, questions: int) -> Floats:
    """Redrawn means as far apart as means of few questions are: the bootstrap's variance is short by
    1 / questions, and its quantiles are those of a normal variable where Student's belong."""
    student = float(stdtrit(questions - 1, TAILS[1]) / ndtri(TAILS[1]))
    return np.asarray(value + student * np.sqrt(questions / (questions - 1)) * (redrawn_R - value))


def _shares(
    answers_P: NDArray[np.int64], weights_RP: Floats, options: int
) -> tuple[Floats, Floats]:
    """(R, K) shares of those who answered, and (R,) their effective number; uniform where it is 0."""
    chosen_PK = (answers_P[:, None] == np.arange(options)).astype(np.float64)
    sums_RK = weights_RP @ chosen_PK
    total_R = sums_RK.sum(1)
    squares_R = weights_RP**2 @ chosen_PK.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares_RK = np.where(total_R[:, None] > 0, sums_RK / total_R[:, None], 1 / options)
        sizes_R = np.where(squares_R > 0, total_R**2 / squares_R, 0.0)
    return shares_RK, sizes_R
