"""What judgements say of answers, and a reward that asks nobody where only a figure is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from truing.people.vocabulary import RATINGS
from truing.rewards.mixture import Mixture, build_reward, check_reward, needs_model
from truing.rewards.people import (
    BEST,
    NOBODY_ASKED,
    PEOPLE,
    WORST,
    Judged,
    comparison_shares,
    people_asked,
    preferred_shares,
    ranking_shares,
    rating_shares,
)
from truing.rewards.reward import Answered
from truing.spec.reward import RewardSpec
from truing.types import Case, InputError, Unscored

ANSWERS = [Answered(Case("Why?"), "Because."), Answered(Case("Why?"), "No idea at all.")]


def reward_spec(*more: dict[str, Any], **people: Any) -> RewardSpec:
    part = {"name": "people", "store": "people.db", **people}
    return RewardSpec.model_validate({"parts": [part, *more]})


def test_each_kind_of_judgement_is_a_share() -> None:
    assert comparison_shares(3, 5, "first") == {3: 1.0, 5: 0.0}
    assert comparison_shares(3, 5, "second") == {3: 0.0, 5: 1.0}
    assert comparison_shares(3, 5, "tie") == {3: 0.5, 5: 0.5}
    assert [rating_shares(1, value)[1] for value in (1, 4, 7)] == [0.0, 0.5, 1.0]
    assert ranking_shares({1: 1, 2: 2, 3: 3}) == {1: 1.0, 2: 0.5, 3: 0.0}
    assert ranking_shares({1: 1, 2: 1, 3: 2}) == {1: 0.75, 2: 0.75, 3: 0.0}
    assert (RATINGS[0], RATINGS[-1]) == (WORST, BEST)


def test_disagreement_is_a_probability_and_not_a_majority() -> None:
    said = [
        Judged(n, 1, comparison_shares(3, 5, preferred))
        for n, preferred in enumerate(("first", "first", "second"))
    ]
    assert preferred_shares(said) == pytest.approx({3: 2 / 3, 5: 1 / 3})
    # Two judgements now and one later are worth what the three are at once.
    parts = (preferred_shares(said[:2])[3] * 2 + preferred_shares(said[2:])[3]) / 3
    assert parts == pytest.approx(2 / 3)


def test_nobody_is_asked_where_only_a_figure_is_wanted() -> None:
    asks = build_reward(reward_spec(), lambda: pytest.fail("there is no model"))
    assert asks(ANSWERS) == [Unscored(f"people: {NOBODY_ASKED}")] * 2
    spec = reward_spec(nobody="model")
    stands_in = build_reward(spec, lambda: lambda answers: [0.25] * len(answers))
    assert stands_in(ANSWERS) == [0.25] * 2
    assert needs_model(spec) and not needs_model(reward_spec())
    with pytest.raises(InputError, match=r"best-of-n needs .* people are asked while training"):
        check_reward(reward_spec(), [ANSWERS[0].case], needed="best-of-n needs a score")


def test_what_people_said_joins_the_other_parts() -> None:
    spec = reward_spec({"name": "length", "target": 1}, weight=2.0)
    mixture = build_reward(spec, lambda: pytest.fail("there is no model"))
    assert isinstance(mixture, Mixture)
    scores = mixture.given(PEOPLE, [0.75, Unscored("nobody has judged it")])(ANSWERS)
    assert scores[1] == Unscored("people: nobody has judged it")
    alone = build_reward(RewardSpec.model_validate({"parts": [spec.parts[1].model_dump()]}), asks)
    [length] = alone(ANSWERS[:1])
    assert not isinstance(length, Unscored) and scores[0] == pytest.approx(1.5 + length)


def asks() -> Any:
    pytest.fail("there is no model")


@pytest.mark.parametrize(
    ("people", "words"),
    [
        ({"wanted": 0}, "reward.parts.0.wanted: .*greater than or equal to 1"),
        ({"wanted": 2, "least": 3}, "least: 3 judgements can't come from 2 people"),
        ({"minutes": 0}, "reward.parts.0.minutes"),
        ({"deadline": "2030-01-01T10:00:00"}, "give its zone"),
        ({"deadline": "tomorrow"}, "reward.parts.0.deadline"),
        ({"nobody": "wait"}, "reward.parts.0.nobody"),
        ({"wnated": 2}, "reward.parts.0.wnated: unknown key; did you mean 'wanted'"),
    ],
)
def test_wrong_keys_are_refused_by_name(people: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        check_reward(reward_spec(**people), [])
    assert "\n" not in str(refused.value)


def test_people_are_asked_by_one_part_with_a_store() -> None:
    with pytest.raises(InputError, match="one part only"):
        people_asked(reward_spec({"name": "people", "store": "other.db"}))
    with pytest.raises(InputError, match=r"reward.parts.0.store: Field required"):
        people_asked(RewardSpec.model_validate({"parts": [{"name": "people"}]}))
