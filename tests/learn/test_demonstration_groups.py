"""Demonstrations of one group stand in one batch, in an order that the seed draws anew each epoch."""

from __future__ import annotations

from truing.learn.sources.demonstrations import Demonstrations
from truing.policies.language import PromptCompletion

ACTIONS = [PromptCompletion((number,), (7,)) for number in range(12)]
GROUPS = [f"pair {number // 2}" for number in range(12)]


def test_those_of_a_group_are_in_one_batch() -> None:
    source = Demonstrations(ACTIONS, 2, 0, GROUPS)
    steps = [source.batch(step)[0].data for step in range(1, 13)]
    for batch in steps:
        assert {action.prompt[0] // 2 for action in batch} == {batch[0].prompt[0] // 2}
    assert sorted(a.prompt for b in steps[:6] for a in b) == sorted(a.prompt for a in ACTIONS)
    assert steps[:6] != steps[6:]


def test_without_groups_those_of_a_prompt_are() -> None:
    alike = [PromptCompletion((number // 2,), (number,)) for number in range(12)]
    source = Demonstrations(alike, 2, 0)
    for step in range(1, 7):
        assert len({action.prompt for action in source.batch(step)[0].data}) == 1
