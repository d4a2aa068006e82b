"""Racing prompts by successive halving on a budget of questions, generation after generation.

Jamieson and Talwalkar (2016), with the budget spread evenly over rounds as in Karnin et al. (2013,
algorithm 3, "sequential halving"). Three things differ: questions come in one fixed order, so that all
prompts of a round are compared on the same ones; answers once scored are kept and not paid for again;
survivors meet new proposals in the next generation.

A budget counts scored (prompt, question) pairs. It is never exceeded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.prompts.proposals import Proposal, fresh
from truing.prompts.rendering import Prompt
from truing.prompts.search import Measure, Scoreboard
from truing.types import Case, InputError

KEPT = 4  # prompts that survive a generation
FEWEST = 4  # questions, below which comparing prompts is no more than a draw
FINAL_SHARE = 0.25  # of the budget, for the survivors of all generations

Propose = Callable[[int, Sequence[tuple[Proposal, float]]], Sequence[Proposal]]
"""(generation, the best so far with their mean scores) -> new proposals."""


@dataclass(frozen=True)
class RaceTrial:
    """A proposal in one round: its mean score on `questions` questions, and whether it went on."""

    proposal: Proposal
    generation: int
    round: int
    score: float
    questions: int
    kept: bool
    spent: int

    def to_json(self, metric: str) -> dict[str, Any]:
        """A line of the log."""
        prompt = self.proposal.prompt
        return {
            "generation": self.generation,
            "round": self.round,
            "id": prompt.id,
            "origin": self.proposal.origin,
            "parent": self.proposal.parent,
            "instruction": prompt.instruction,
            "shots": [shot.question for shot in prompt.shots],
            metric: self.score if self.score >= 0 else None,
            "questions": self.questions,
            "kept": self.kept,
            "spent": self.spent,
        }


@dataclass
class BudgetedScoreboard(Scoreboard):
    """A scoreboard with a budget of questions, which is never exceeded."""

    budget: int = field(kw_only=True)

    def affordable(self, prompts: Sequence[Prompt], purse: int) -> int:
        """The largest number of questions that the purse lets each of them have answered."""
        low, high = 0, len(self.cases)
        while low < high:
            middle = (low + high + 1) // 2
            if self.cost(prompts, middle) <= purse:
                low = middle
            else:
                high = middle - 1
        return low

    def ask(self, prompt: Prompt, count: int) -> float:
        """See Scoreboard."""
        assert self.spent + self.cost([prompt], count) <= self.budget
        return super().ask(prompt, count)


@dataclass(frozen=True)
class RaceResult:
    """The best proposal with its last trial; everything tried, in order; the questions scored."""

    best: RaceTrial
    trials: tuple[RaceTrial, ...]
    spent: int


def check_budget(budget: int, generations: int) -> None:
    """Raises InputError where the budget can't compare two prompts in each generation."""
    least = math.ceil(2 * FEWEST * generations / (1 - FINAL_SHARE))
    if budget < least:
        raise InputError(
            f"prompt.search.budget: {budget} questions are too few for {generations} generations; give "
            f"{least} or more"
        )


def race(
    named: Sequence[Proposal],
    propose: Propose,
    cases: Sequence[Case],
    measure: Measure,
    *,
    budget: int,
    generations: int,
    say: Callable[[Sequence[RaceTrial]], object] = lambda trials: None,
) -> RaceResult:
    """The best prompt among `named` and what `propose` adds in each generation.

    `cases` are training questions in the order in which they are asked. The first named prompt (the
    task's own instruction) reaches the last round. Ties go to the prompt that was there first. `say`
    hears each round, best first. Raises InputError as `check_budget` does.
    """
    board = BudgetedScoreboard(cases, measure, budget=budget)
    known: set[str] = set()
    alive, best = fresh(named, known), [(proposal, math.nan) for proposal in named[:KEPT]]
    check_budget(budget, generations)
    own, trials = alive[0], list[RaceTrial]()
    final = int(FINAL_SHARE * budget)
    for generation in range(1, generations + 1):
        share = (budget - final - board.spent) // (generations - generation + 1)
        alive += fresh(propose(generation, best), known)
        rounds = _generation(board, alive, share, generation, say)
        trials += rounds
        survivors = [s for s in rounds if s.kept and s.round == rounds[-1].round]
        best = [(trial.proposal, trial.score) for trial in survivors]
        alive = [trial.proposal for trial in survivors]
    finalists = [own, *(proposal for proposal in alive if proposal != own)]
    last = _round(board, finalists, budget - board.spent, generations + 1, 1, 1)
    say(last)
    return RaceResult(last[0], (*trials, *last), board.spent)


def _generation(
    board: BudgetedScoreboard,
    alive: Sequence[Proposal],
    share: int,
    generation: int,
    say: Callable[[Sequence[RaceTrial]], object],
) -> list[RaceTrial]:
    """Rounds until KEPT are left, each with an equal part of the share. Of more proposals than the share
    can give a few questions each, the first are taken."""
    rounds = max(1, math.ceil(math.log2(max(1, len(alive)) / KEPT)))
    while len(alive) > 2 and board.affordable(_prompts(alive), share // rounds) < min(
        FEWEST, len(board.cases)
    ):
        alive = alive[:-1]
        rounds = max(1, math.ceil(math.log2(len(alive) / KEPT)))
    before, trials = board.spent, list[RaceTrial]()
    for number in range(1, rounds + 1):
        purse = (share - (board.spent - before)) // (rounds - number + 1)
        kept = KEPT if number == rounds else max(KEPT, math.ceil(len(alive) / 2))
        trials += (ranked := _round(board, alive, purse, generation, number, kept))
        say(ranked)
        alive = [trial.proposal for trial in ranked if trial.kept]
    return trials


def _round(
    board: BudgetedScoreboard,
    alive: Sequence[Proposal],
    purse: int,
    generation: int,
    number: int,
    kept: int,
) -> list[RaceTrial]:
    """Every proposal asked as many questions as the purse allows, the same ones; best first."""
    count = board.affordable(_prompts(alive), purse)
    means = [board.ask(proposal.prompt, count) for proposal in alive]
    ranked = sorted(zip(alive, means, strict=True), key=lambda pair: -pair[1])
    return [
        RaceTrial(proposal, generation, number, score, count, place < kept, board.spent)
        for place, (proposal, score) in enumerate(ranked)
    ]


def _prompts(proposals: Sequence[Proposal]) -> list[Prompt]:
    return [proposal.prompt for proposal in proposals]
