"""From the distributions that a respondent gives to the figures of each question, beside their anchors.

All figures of a question are means over its groups of people, a dimension (country, party) at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from truing.data.survey import GroupShares, SurveyQuestion
from truing.evaluate.opinion_readings import Answered
from truing.statistics.opinion_anchors import (
    best_constant,
    corrected_representativeness,
    noise_floor,
    people_elsewhere,
    permuted_questions,
    uniform,
)
from truing.statistics.opinion_distances import (
    Floats,
    entropy,
    jensen_shannon_similarity,
    modal_share,
    representativeness,
    total_variation,
)
from truing.types import Score, Unscored

NO_PEOPLE = "the survey doesn't say what people answered"
NO_ORDER = "its options have no declared order"
NO_N = "the survey doesn't say how many people answered"
LONE_GROUP = "there is no other group of people"
LONE_KIND = "no other question has as many options"
_BY_OPTION: dict[str, Callable[[ArrayLike, ArrayLike], Floats]] = {
    "similarity": jensen_shannon_similarity,
    "total_variation": total_variation,
}


@dataclass(frozen=True)
class GroupScore:
    """How well a group is represented, and how well the uniform distribution represents it; both with the
    noise of few people taken off where their number is known."""

    score: float
    uniform: float
    n: float | None


def over_groups(question: SurveyQuestion, figure: Callable[[Floats], ArrayLike]) -> Score:
    """The mean over dimensions of a figure's mean over each one's groups, of their shares (G, K)."""
    means = []
    for values in question.groups.values():
        each = np.asarray(figure(np.array([group.shares for group in values.values()])))
        if np.isfinite(each).any():
            means.append(float(np.nanmean(each)))
    return (
        float(np.mean(means)) if means else Unscored(LONE_GROUP if question.groups else NO_PEOPLE)
    )


def ordered(
    question: SurveyQuestion, figure: Callable[[Floats, Sequence[float]], ArrayLike]
) -> Score:
    """The same of a figure that takes the options' positions, too."""
    scale = question.scale
    if not question.groups:
        return Unscored(NO_PEOPLE)
    return (
        Unscored(NO_ORDER) if scale is None else over_groups(question, lambda q: figure(q, scale))
    )


def representing(question: SurveyQuestion, shares: ArrayLike) -> Score:
    """The representativeness of a distribution."""
    return ordered(question, lambda people, scale: representativeness(shares, people, scale))


def anchors(question: SurveyQuestion) -> dict[str, Score]:
    """What a representativeness is held against, whoever is asked."""
    return {
        "uniform": representing(question, uniform(len(question.options))),
        "constant": ordered(question, lambda people, scale: best_constant(people, scale)[1]),
        "elsewhere": ordered(question, people_elsewhere),
        "noise_floor": _noise_floor(question),
        **{
            f"{name}_uniform": over_groups(question, _against(of, uniform(len(question.options))))
            for name, of in _BY_OPTION.items()
        },
        "people_entropy": over_groups(question, entropy),
        "people_modal_share": over_groups(question, modal_share),
        "chance": 1 / len(question.options),
    }


def _against(
    of: Callable[[ArrayLike, ArrayLike], Floats], shares: ArrayLike
) -> Callable[[Floats], Floats]:
    return lambda people: of(shares, people)


def _noise_floor(question: SurveyQuestion) -> Score:
    if not question.groups or question.scale is None:
        return Unscored(NO_ORDER if question.groups else NO_PEOPLE)
    groups = [group for values in question.groups.values() for group in values.values()]
    known = [(group.shares, group.n) for group in groups if group.n is not None]
    if len(known) < len(groups):
        return Unscored(NO_N)
    shares, sizes = zip(*known, strict=True)
    whole = np.maximum(np.round(np.asarray(sizes, dtype=np.float64)), 1)
    return float(np.mean(noise_floor(np.array(shares), whole, question.scale)))


def figures(question: SurveyQuestion, answered: Answered) -> dict[str, Score]:
    """The figures of a question's answer: distances to people, and how spread out it is."""
    shares = answered.shares
    return {
        "representativeness": representing(question, shares),
        **{name: over_groups(question, _against(of, shares)) for name, of in _BY_OPTION.items()},
        "entropy": float(entropy(shares)),
        "modal_share": float(modal_share(shares)),
        "position": position(question, shares),
    }


def position(question: SurveyQuestion, shares: Sequence[float]) -> Score:
    """The mean place on the declared scale, from 0 (its least position) to 1 (its greatest)."""
    if question.scale is None:
        return Unscored(NO_ORDER)
    scale = np.asarray(question.scale)
    return float(np.dot(shares, (scale - scale.min()) / (scale.max() - scale.min())))


def permuted(
    questions: Sequence[SurveyQuestion], answers: Sequence[Answered | Unscored]
) -> list[dict[str, Score]]:
    """For each question how well the answers to *other* questions represent people on it.

    Whoever answers by content does worse then; whoever answers by place, or alike whatever is asked,
    doesn't. Answers are handed on by their rank on the scale.
    """
    places = [n for n, answer in enumerate(answers) if isinstance(answer, Answered)]
    kinds = [(len(questions[n].options), questions[n].scale is None) for n in places]
    matched_DQ = permuted_questions(kinds)
    names = ("permuted", *(f"{name}_permuted" for name in _BY_OPTION))
    result: list[dict[str, Score]] = [
        dict.fromkeys(names, answer if isinstance(answer, Unscored) else Unscored(LONE_KIND))
        for answer in answers
    ]
    for column, place in enumerate(places):
        others = sorted({int(other) for other in matched_DQ[:, column]} - {-1})
        counts = [int((matched_DQ[:, column] == other).sum()) for other in others]
        if not others:
            continue
        theirs = np.array([_handed_on(questions, answers, places[o], place) for o in others])
        result[place] = _of_others(questions[place], theirs, counts)
    return result


def _of_others(question: SurveyQuestion, theirs: Floats, counts: Sequence[int]) -> dict[str, Score]:
    """How well several distributions (N, K) represent people, each counted so often."""

    def by_position(people: Floats, scale: Sequence[float]) -> Floats:
        return _mean_of_others(partial(representativeness, scale=scale), theirs, counts, people)

    return {
        "permuted": ordered(question, by_position),
        **{
            f"{name}_permuted": over_groups(question, partial(_mean_of_others, of, theirs, counts))
            for name, of in _BY_OPTION.items()
        },
    }


def _mean_of_others(
    of: Callable[[ArrayLike, ArrayLike], Floats],
    theirs: Floats,
    counts: Sequence[int],
    people: Floats,
) -> Floats:
    """(G,): the mean over the distributions of a figure of each with each group."""
    return np.asarray(np.average(of(theirs[:, None], people[None]), axis=0, weights=counts))


def _handed_on(
    questions: Sequence[SurveyQuestion],
    answers: Sequence[Answered | Unscored],
    other: int,
    place: int,
) -> Floats:
    """The other question's answer over this one's options, by rank on their scales."""
    answer = answers[other]
    assert isinstance(answer, Answered)
    shares = np.empty(len(answer.shares))
    shares[_by_rank(questions[place])] = np.asarray(answer.shares)[_by_rank(questions[other])]
    return shares


def _by_rank(question: SurveyQuestion) -> list[int]:
    scale = question.scale or range(len(question.options))
    return [int(place) for place in np.argsort(scale, kind="stable")]


def group_scores(question: SurveyQuestion, answered: Answered) -> dict[str, dict[str, GroupScore]]:
    """How well each group is represented; nothing where the options have no order."""
    scale = question.scale
    if scale is None:
        return {}
    return {
        dimension: {
            name: _group_score(answered.shares, group, scale) for name, group in values.items()
        }
        for dimension, values in question.groups.items()
    }


def _group_score(shares: Sequence[float], group: GroupShares, scale: Sequence[float]) -> GroupScore:
    each = (shares, uniform(len(shares)))
    if group.n is None:
        ours, flat = (float(representativeness(p, group.shares, scale)) for p in each)
    else:
        ours, flat = (
            float(corrected_representativeness(p, group.shares, group.n, scale)) for p in each
        )
    return GroupScore(ours, flat, group.n)


def people_pooled(groups: Mapping[str, Mapping[str, GroupShares]]) -> list[float] | None:
    """People's mean shares over all groups, as a picture shows them; None where there are none."""
    shares = [group.shares for values in groups.values() for group in values.values()]
    return [float(each) for each in np.mean(shares, axis=0)] if shares else None
