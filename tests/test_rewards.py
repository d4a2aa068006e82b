"""What a reward may give, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from truing.rewards.reward import Answered, scored
from truing.trajectories import reward_tensor
from truing.types import Case, InputError, Unscored

ANSWERS = [Answered(Case(f"Question {n}?"), f"Answer {n}.") for n in range(4)]


def _giving(given: Any) -> Any:
    def reward(answers: Sequence[Answered]) -> Any:
        return given

    return reward


def test_none_and_nan_are_unscored_and_never_0() -> None:
    found = scored(_giving([1, None, float("nan"), Unscored("empty answer")]), ANSWERS)
    assert found == [
        1.0,
        Unscored("the reward gave None"),
        Unscored("the reward gave NaN"),
        Unscored("empty answer"),
    ]
    tensor = reward_tensor(found)
    assert tensor[0] == 1 and tensor[1:].isnan().all()


@pytest.mark.parametrize(
    "given",
    [
        [0.5, 1.0, -2.0, 3.0],
        (0.5, 1.0, -2.0, 3.0),
        np.array([0.5, 1.0, -2.0, 3.0], dtype=np.float32),
        torch.tensor([0.5, 1.0, -2.0, 3.0]),
        iter([np.float64(0.5), True, torch.tensor(-2), 3]),
    ],
)
def test_numbers_of_any_kind(given: Any) -> None:
    found = scored(_giving(given), ANSWERS)
    assert found == [0.5, 1.0, -2.0, 3.0] and all(type(score) is float for score in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0, 2.0], "reward gave 2 scores for 4 answers"),
        (torch.zeros(5), "5 scores for 4 answers"),
        (torch.zeros(4, 2), "a Tensor for answer 0"),
        ([1.0, "2", 3.0, 4.0], "a str for answer 1"),
        ([1.0, 2.0, [3.0], 4.0], "a list for answer 2"),
        ([1.0, 2.0, 3.0, float("inf")], "inf for answer 3; scores must be finite"),
        (1.0, "TypeError"),
        (None, "TypeError"),
    ],
)
def test_wrong_shapes_and_kinds_are_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scored(_giving(given), ANSWERS)


def test_a_reward_that_raises_is_named() -> None:
    def broken(answers: Sequence[Answered]) -> list[float]:
        return [len(answer.text) for answer in answers]  # type: ignore[attr-defined]

    with pytest.raises(
        InputError, match=r"reward: broken failed on 4 answers \(AttributeError"
    ) as e:
        scored(broken, ANSWERS)  # type: ignore[arg-type]
    assert isinstance(e.value.__cause__, AttributeError)
