"""The prompt race, on scores that are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from truing.prompts.rendering import Prompt
from truing.prompts.search import SearchResult, search
from truing.types import Case, Score, Unscored

CASES = [
    Case(
        prompt=f"Question number {number}?",
        correct_answers=(f"Answer {number}.",),
        incorrect_answers=(f"Mistake {number}.",),
    )
    for number in range(60)
]
NAMES = [f"instruction {number}" for number in range(17)]


class Race:
    """Scores each instruction by its number, and remembers who was asked what."""

    def __init__(self, bonus: float = 0.0, unscored: str = "") -> None:
        self.bonus, self.unscored = bonus, unscored
        self.asked: list[tuple[Prompt, tuple[str, ...]]] = []

    def __call__(self, prompt: Prompt, cases: Sequence[Case]) -> list[Score]:
        self.asked.append((prompt, tuple(case.id for case in cases)))
        if prompt.instruction == self.unscored:
            return [Unscored("no answer")] * len(cases)
        number = int(prompt.instruction.split()[1])
        return [number / 100 + self.bonus * len(prompt.shots)] * len(cases)

    def run(self, names: Sequence[str] = NAMES, shots: Sequence[int] = (0, 4)) -> SearchResult:
        return search(names, shots, CASES, self, questions=32, seed=0)


def test_the_best_instruction_wins_and_few_shots_where_they_help() -> None:
    assert Race().run().best.prompt == Prompt("instruction 16")
    helped = Race(bonus=0.1).run().best.prompt
    assert (helped.instruction, len(helped.shots)) == ("instruction 16", 4)


def test_rounds_ask_more_of_fewer_and_the_last_asks_all() -> None:
    trials = Race().run().trials
    rounds = [[t for t in trials if t.round == number] for number in range(1, 5)]
    assert [len(tried) for tried in rounds] == [17, 8, 4, 6]
    assert [{t.questions for t in tried} for tried in rounds] == [{4}, {8}, {16}, {32}]


def test_the_first_named_instruction_reaches_the_last_round() -> None:
    final = {t.prompt.instruction for t in Race().run().trials if t.round == 4}
    assert final == {"instruction 0", "instruction 15", "instruction 16"}


def test_ties_go_to_the_prompt_named_first() -> None:
    race = Race()
    found = search(["a 5", "b 5", "c 5"], (0,), CASES, race, questions=8, seed=0)
    assert found.best.prompt == Prompt("a 5")


def test_a_prompt_that_cannot_be_scored_never_wins() -> None:
    assert Race(unscored="instruction 16").run().best.prompt == Prompt("instruction 15")


def test_demonstrations_are_never_asked() -> None:
    race = Race(bonus=0.1)
    demonstrated = {shot.question for shot in race.run().best.prompt.shots}
    asked = {case for _, cases in race.asked for case in cases}
    assert len(demonstrated) == 4
    assert not {case.prompt for case in CASES if case.id in asked} & demonstrated


def test_only_the_given_cases_are_looked_at() -> None:
    race = Race()
    race.run()
    known = {case.id for case in CASES}
    assert all(set(cases) <= known for _, cases in race.asked)


def test_nobody_is_asked_a_question_twice() -> None:
    race = Race()
    race.run()
    asked = [(prompt, case) for prompt, cases in race.asked for case in cases]
    assert len(set(asked)) == len(asked)


def test_a_survivor_is_scored_on_what_it_was_asked_in_earlier_rounds_too() -> None:
    def measure(prompt: Prompt, cases: Sequence[Case]) -> list[Score]:
        return [float(case.prompt.split()[2].rstrip("?")) for case in cases]

    found = search(NAMES, (0,), CASES, measure, questions=32, seed=0)
    by_round = {trial.round: trial for trial in found.trials}
    order = np.random.default_rng((0, 1)).permutation(len(CASES))
    for trial in by_round.values():
        assert trial.score == pytest.approx(order[: trial.questions].mean())


def test_the_same_seed_gives_the_same_race() -> None:
    one, same = Race(), Race()
    assert one.run() == same.run() and one.asked == same.asked
