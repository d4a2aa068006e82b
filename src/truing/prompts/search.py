"""Choosing a prompt by successive halving (Jamieson and Talwalkar, 2016), on training questions only.

Every round asks twice as many questions of half as many prompts, those it has asked before included;
the last survivors, and the instruction named first (the task's own, which a newcomer has to beat), are
then tried with few-shot sets drawn from training questions that no round asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from truing.data.texts import Demonstration
from truing.prompts.rendering import Prompt
from truing.types import Case, Score, Unscored

Measure = Callable[[Prompt, Sequence[Case]], Sequence[Score]]
FINALISTS = 2  # instructions that are tried with few-shot sets


@dataclass(frozen=True)
class Trial:
    """A prompt, its mean score, the number of questions behind it and the round it was tried in."""

    prompt: Prompt
    score: float
    questions: int
    round: int

    def to_json(self, metric: str) -> dict[str, Any]:
        """For run.json; `metric` is the name of what the score is."""
        return {
            "instruction": self.prompt.instruction,
            "shots": len(self.prompt.shots),
            metric: self.score,
            "questions": self.questions,
            "round": self.round,
        }


@dataclass(frozen=True)
class SearchResult:
    """The winner and everything tried, in order."""

    best: Trial
    trials: tuple[Trial, ...]


def mean_score(scores: Sequence[Score]) -> float:
    """The mean of what is scored; -1, below every score, where nothing is."""
    known = [score for score in scores if not isinstance(score, Unscored)]
    return float(np.mean(known)) if known else -1.0


@dataclass
class Scoreboard:
    """What prompts have scored. `cases` are asked in their order, so n questions are the first n."""

    cases: Sequence[Case]
    measure: Measure
    scores: dict[str, list[Score]] = field(default_factory=dict)

    @property
    def spent(self) -> int:
        """Questions scored so far, over all prompts."""
        return sum(map(len, self.scores.values()))

    def cost(self, prompts: Sequence[Prompt], count: int) -> int:
        """Questions to be scored until each has answered the first `count`."""
        return sum(max(0, count - len(self.scores.get(prompt.id, ()))) for prompt in prompts)

    def ask(self, prompt: Prompt, count: int) -> float:
        """The mean score on the first `count` questions, of which those not answered yet are asked."""
        known = self.scores.setdefault(prompt.id, [])
        if len(known) < count:
            known += self.measure(prompt, self.cases[len(known) : count])
        return mean_score(known[:count])


def few_shot_set(cases: Sequence[Case], size: int, rng: np.random.Generator) -> list[Demonstration]:
    """Questions with their best answers, drawn without replacement."""
    answered = [case for case in cases if case.correct_answers]
    chosen = [answered[int(i)] for i in rng.permutation(len(answered))[:size]]
    return [Demonstration(case.prompt, case.correct_answers[0]) for case in chosen]


def search(
    instructions: Sequence[str],
    shots: Sequence[int],
    cases: Sequence[Case],
    measure: Measure,
    *,
    questions: int,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> SearchResult:
    """The prompt with the best mean score. `questions` are asked in the last round.

    Ties go to the prompt named first. Only `cases` are looked at; few-shot demonstrations come from
    those that are never asked, as long as there are some.
    """
    rng = np.random.default_rng((seed, 1))
    order = [cases[int(i)] for i in rng.permutation(len(cases))]
    last = min(questions, max(1, len(order) - max(shots, default=0)))
    asked, spare = order[:last], order[last:] or order
    trials: list[Trial] = []
    board = Scoreboard(asked, measure)

    def trial(prompt: Prompt, count: int, number: int) -> Trial:
        tried = Trial(prompt, board.ask(prompt, count), count, number)
        trials.append(tried)
        progress()
        return tried

    alive = [Prompt(instruction) for instruction in dict.fromkeys(instructions)]
    number = 1
    while len(alive) > FINALISTS:
        halvings = max(1, round(np.log2(len(alive) / FINALISTS)))
        count = max(1, min(last, -(-last // 2**halvings)))
        tried = sorted((trial(p, count, number) for p in alive), key=lambda t: -t.score)
        alive = [t.prompt for t in tried[: max(FINALISTS, len(alive) // 2)]]
        number += 1
    first = Prompt(instructions[0])
    alive += [first] if first not in alive else []
    finals = []
    for size in dict.fromkeys(shots):
        demonstrations = tuple(few_shot_set(spare, size, rng))
        finals += [trial(Prompt(p.instruction, demonstrations), last, number) for p in alive]
    return SearchResult(max(finals, key=lambda t: t.score), tuple(trials))
