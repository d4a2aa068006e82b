"""People as a reward: what their judgements say of answers, as a probability.

    score of an answer = mean over judgements of its share in each, 0 to 1

    comparison: 1 preferred, 1/2 a tie, 0 not
    ranking:    (answers below it + 1/2 of those beside it) / (answers ranked - 1)
    rating:     (rating - 1) / 6, its place on the scale

Of comparisons and rankings that is the probability that people prefer it to another answer to the same
prompt (Borda's score; a tie is half a win). It is linear in the judgements: two of three people who prefer
it make 2/3, not 1, and a judgement that comes later adds its part without changing what came before.

People are asked by training alone (learn/sources/people.py). Where only a figure is wanted - a check, an
evaluation, best-of-n - the reward asks nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from truing.rewards.reward import Answered, Reward
from truing.spec.part import worded
from truing.spec.people import PeopleSpec
from truing.spec.reward import RewardSpec
from truing.types import InputError, Score, Unscored

if TYPE_CHECKING:
    from truing.people.live.judgements import LiveJudgement

PEOPLE = "people"
WORST, BEST = 1, 7
"""The scale of ratings."""
NOBODY_ASKED = "people are asked while training runs, not where only a figure is wanted"


@dataclass(frozen=True)
class Judged:
    """One judgement: `shares` is what it says of each answer, 0 (worst) to 1 (best)."""

    id: int
    task: int
    shares: Mapping[int, float]


FromJudgements = Callable[[Sequence[Judged]], Mapping[int, float]]
"""A function from judgements to scores of the answers that they are about."""


def comparison_shares(first: int, second: int, preferred: str) -> dict[int, float]:
    """What a comparison says of its two answers."""
    share = {"first": 1.0, "tie": 0.5, "second": 0.0}[preferred]
    return {first: share, second: 1.0 - share}


def rating_shares(answer: int, rating: int) -> dict[int, float]:
    """What a rating says of its answer."""
    return {answer: (rating - WORST) / (BEST - WORST)}


def ranking_shares(ranks: Mapping[int, int]) -> dict[int, float]:
    """What a ranking says of its answers; 1 is the best rank, equal ranks are ties."""
    others = max(1, len(ranks) - 1)

    def share(rank: int) -> float:
        below = sum(other > rank for other in ranks.values())
        beside = sum(other == rank for other in ranks.values()) - 1
        return (below + beside / 2) / others

    return {answer: share(rank) for answer, rank in ranks.items()}


def judged_of(judgement: LiveJudgement) -> Judged:
    """What a judgement of the store says of its answers, by completion."""
    if judgement.ranks:
        shares = ranking_shares(judgement.ranks)
    elif judgement.rating:
        [(answer, rating)] = judgement.rating.items()
        shares = rating_shares(answer, rating)
    else:
        shares = comparison_shares(judgement.first, judgement.second, judgement.preferred)
    return Judged(judgement.id, judgement.task, shares)


def preferred_shares(judged: Sequence[Judged]) -> dict[int, float]:
    """The mean of what judgements say of each answer."""
    shares: dict[int, list[float]] = defaultdict(list)
    for each in judged:
        for answer, share in each.shares.items():
            shares[answer].append(share)
    return {answer: sum(given) / len(given) for answer, given in shares.items()}


@dataclass(frozen=True)
class People:
    """The reward `people` where only a figure is wanted: it asks nobody.

    `model` is the reward that stands in for them where the spec says so.
    """

    model: Reward | None = None

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        """The stand-in's scores; without one, unscored."""
        if self.model is not None:
            return self.model(answers)
        return [Unscored(NOBODY_ASKED)] * len(answers)


def people_spec(options: Mapping[str, Any], number: int) -> PeopleSpec:
    """The keys of the part of this number. Raises InputError naming the one that is wrong."""
    try:
        return PeopleSpec.model_validate(dict(options))
    except ValidationError as error:
        place = ("reward", "parts", number)
        raise InputError(worded(error.errors()[0], PeopleSpec, "spec", place)) from None


def people_asked(spec: RewardSpec) -> PeopleSpec | None:
    """How people are asked; None where the reward needs nobody. Raises InputError where that is wrong."""
    places = people_parts(spec)
    if len(places) > 1:
        raise InputError("reward.parts: people can be asked by one part only; leave out the other")
    return people_spec(spec.parts[places[0]].options, places[0]) if places else None


def people_parts(spec: RewardSpec) -> list[int]:
    """The numbers of the parts that ask people."""
    return [number for number, part in enumerate(spec.parts) if part.name == PEOPLE]
