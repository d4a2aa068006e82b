"""The race of prompts on scores that are known beforehand: the best is found, the budget never exceeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.prompts.halving import FEWEST, KEPT, RaceResult, RaceTrial, race
from truing.prompts.proposals import Proposal
from truing.prompts.rendering import Prompt
from truing.types import Case, InputError, Score, Unscored

CASES = [Case(f"Question {number}?", (f"Answer {number}.",), ("No.",)) for number in range(120)]


def named(count: int, start: int = 0) -> list[Proposal]:
    return [Proposal(Prompt(f"instruction {n}"), "named") for n in range(start, start + count)]


class Scripted:
    """Instruction n is worth n / 100, each question adds its own noise, the same for all."""

    def __init__(self, noise: float = 0.0, unscored: str = "") -> None:
        rng = np.random.default_rng(0)
        self.noise = {case.id: noise * float(rng.normal()) for case in CASES}
        self.unscored = unscored
        self.asked: list[tuple[str, str]] = []

    def __call__(self, prompt: Prompt, cases: Sequence[Case]) -> list[Score]:
        self.asked += [(prompt.instruction, case.id) for case in cases]
        if prompt.instruction == self.unscored:
            return [Unscored("no answer")] * len(cases)
        worth = int(prompt.instruction.split()[1]) / 100
        return [worth + self.noise[case.id] for case in cases]


def run(
    scores: Scripted, count: int = 17, budget: int = 1000, generations: int = 3, new: int = 6
) -> RaceResult:
    def propose(generation: int, best: Sequence[tuple[Proposal, float]]) -> list[Proposal]:
        return [
            Proposal(Prompt(f"instruction {40 + 10 * generation + n}"), "slots") for n in range(new)
        ]

    return race(named(count), propose, CASES, scores, budget=budget, generations=generations)


def test_the_known_best_is_found_though_questions_differ_in_difficulty() -> None:
    found = run(Scripted(noise=0.3))
    assert found.best.proposal.prompt == Prompt("instruction 75")
    assert found.best.proposal.origin == "slots"


@given(
    count=st.integers(1, 40),
    budget=st.integers(40, 3000),
    generations=st.integers(1, 3),
    new=st.integers(0, 30),
)
def test_the_budget_is_never_exceeded_and_nothing_is_paid_for_twice(
    count: int, budget: int, generations: int, new: int
) -> None:
    scores = Scripted()
    found = run(scores, count, budget, generations, new)
    assert len(scores.asked) == len(set(scores.asked)) == found.spent <= budget
    assert found.trials[-1].spent == found.spent


def test_all_prompts_of_a_round_answer_the_same_questions_and_later_rounds_more() -> None:
    rounds: list[list[RaceTrial]] = []
    scores = Scripted()
    found = race(
        named(17), lambda g, best: [], CASES, scores,
        budget=1500, generations=1, say=lambda trials: rounds.append(list(trials)),
    )  # fmt: skip
    counts = [{s.questions for s in trials} for trials in rounds]
    assert all(len(count) == 1 for count in counts)
    asked = [count.pop() for count in counts]
    assert asked == sorted(asked) and asked[0] >= FEWEST
    assert [len(trials) for trials in rounds] == [17, 9, 5, KEPT + 1]
    assert [sum(s.kept for s in trials) for trials in rounds] == [9, 5, 4, 1]
    assert tuple(s for trials in rounds for s in trials) == found.trials


def test_the_tasks_own_instruction_reaches_the_last_round() -> None:
    last = run(Scripted()).trials[-(KEPT + 1) :]
    assert "instruction 0" in {s.proposal.prompt.instruction for s in last}


def test_ties_go_to_the_instruction_named_first_and_the_unscored_never_wins() -> None:
    proposals = [Proposal(Prompt(f"{word} 5"), "named") for word in "abc"]
    found = race(proposals, lambda g, b: [], CASES, Scripted(), budget=100, generations=1)
    assert found.best.proposal.prompt == Prompt("a 5")
    best = run(Scripted(unscored="instruction 75")).best
    assert best.proposal.prompt == Prompt("instruction 74")


def test_duplicates_are_folded() -> None:
    twice = [*named(3), Proposal(Prompt("  Instruction   1 "), "model")]
    found = race(twice, lambda g, b: twice, CASES, Scripted(), budget=100, generations=2)
    assert {s.proposal.prompt for s in found.trials} == {p.prompt for p in named(3)}


def test_the_best_so_far_is_what_is_proposed_from() -> None:
    heard: list[list[str]] = []

    def propose(generation: int, best: Sequence[tuple[Proposal, float]]) -> list[Proposal]:
        heard.append([proposal.prompt.instruction for proposal, _ in best])
        return []

    race(named(17), propose, CASES, Scripted(), budget=1000, generations=2)
    assert heard[0] == [f"instruction {n}" for n in range(KEPT)]
    assert heard[1] == [f"instruction {n}" for n in (16, 15, 14, 13)]


def test_a_budget_that_compares_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="give 32 or more"):
        run(Scripted(), budget=31)
    assert run(Scripted(), budget=32).spent <= 32


def test_the_same_race_twice_is_the_same() -> None:
    assert run(Scripted(noise=0.3)) == run(Scripted(noise=0.3))
