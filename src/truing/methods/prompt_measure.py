"""What prompts are compared by on training questions: likelihoods where they say enough, else grades."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from truing.candidates import Candidate
from truing.evaluate.answers import free_answers
from truing.evaluate.graded_answers import GRADED
from truing.evaluate.multiple_choice import COMPARED_BY, CONFIRMED_BY, score_choices
from truing.methods.setup import Setup
from truing.prompts.rendering import Prompt
from truing.rewards.reward import Answered, graded
from truing.tasks.texts import JUDGED_EVALUATION
from truing.types import Case, InputError, Score, Unscored

GRADE = "mean_grade"


class Named(TypedDict):
    """A measure's name, and what people call it."""

    name: str
    label: str


@dataclass(frozen=True)
class PromptMeasure:
    """`metrics` gives every metric of each case under a prompt; prompts are ranked by the one called
    `name`, and a winner is tried on held-out questions by all of `confirmed`."""

    name: str
    label: str
    confirmed: tuple[str, ...]
    metrics: Callable[[Prompt, Sequence[Case]], list[Mapping[str, Score]]]

    def __call__(self, prompt: Prompt, cases: Sequence[Case]) -> list[Score]:
        """What prompts are ranked by, of each case."""
        return [metrics[self.name] for metrics in self.metrics(prompt, cases)]

    @property
    def named(self) -> Named:
        """For the record of a search."""
        return {"name": self.name, "label": self.label}


def prompt_measure(setup: Setup) -> PromptMeasure:
    """What the task's prompts are compared by. Raises InputError where nothing grades answers."""
    task = setup.texts.task
    if JUDGED_EVALUATION in task.spec.evaluations or (task.asks_pairs and not task.spec.judges):
        return PromptMeasure(
            COMPARED_BY, COMPARED_BY.upper(), CONFIRMED_BY, lambda p, c: _likelihoods(setup, p, c)
        )
    graders = _headline_graders(setup)
    if not graders:
        raise InputError(
            f"task {setup.spec.task.name}: prompts are compared by the grades of answers; give the task "
            "judges, or leave the method 'prompt' out"
        )
    names = (*graders, GRADE)
    return PromptMeasure(GRADE, "Mean grade", names, lambda p, c: _grades(setup, graders, p, c))


def _likelihoods(setup: Setup, prompt: Prompt, cases: Sequence[Case]) -> list[Mapping[str, Score]]:
    return [choices.metrics for choices in score_choices(setup.renderer, prompt, cases)]


def _headline_graders(setup: Setup) -> dict[str, Callable[[Answered], Score]]:
    """The judges that the task's headline names; all of them where it names none."""
    every = setup.texts.task.graders
    headline = [name for name in every if f"{GRADED}.{name}" in setup.spec.task.headline]
    return {name: every[name] for name in headline or every}


def _grades(
    setup: Setup,
    graders: Mapping[str, Callable[[Answered], Score]],
    prompt: Prompt,
    cases: Sequence[Case],
) -> list[Mapping[str, Score]]:
    """Grades of the likeliest answers under the prompt, and their mean."""
    candidate = Candidate("prompt", setup.spec.seeds[0], setup.base.model, prompt)
    completions = free_answers(candidate, cases, setup.spec.evaluation.max_new_tokens)
    answers = [Answered.of(*pair) for pair in zip(cases, completions, strict=True)]
    columns = [graded(grade, answers) for grade in graders.values()]
    rows = [dict(zip(graders, scores, strict=True)) for scores in zip(*columns, strict=True)]
    return [{**row, GRADE: _mean(list(row.values()))} for row in rows]


def _mean(scores: Sequence[Score]) -> Score:
    """The mean; unscored where one of them is."""
    known = [score for score in scores if not isinstance(score, Unscored)]
    if len(known) < len(scores):
        return next(score for score in scores if isinstance(score, Unscored))
    return sum(known) / len(known)
