"""What graders think of the policy while it learns: judges that the reward never saw, or programs.

Means join the log. What they are means of is a file beside it (`looks/` in the run's folder): a row for
each question and look, the base's answers first, so that intervals can be drawn over questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from truing.candidates import Candidate
from truing.evaluate.answers import free_answers
from truing.evaluate.divergence import divergences
from truing.evaluate.graded_answers import GRADED
from truing.evaluate.local import LocalRespondent
from truing.learn.loop import LogRow
from truing.learn.sources.samples import LOGGED_SAMPLES, sample_rows
from truing.methods.graders import Graders
from truing.methods.setup import Setup
from truing.models.language_model import LanguageModel
from truing.policies.language import LanguagePolicy
from truing.rewards.reward import Answered
from truing.runs.entries import is_file
from truing.runs.folder import LOOKS, add_look, read_rows
from truing.tasks.texts import JUDGED_EVALUATION
from truing.types import Row, Score, Unscored

KL_QUESTIONS = 8
"""So many of the questions have their KL to base at each look; all would take longer than the rest."""


def _mean(scores: Sequence[Score]) -> float | None:
    known = [score for score in scores if not isinstance(score, Unscored)]
    return float(np.mean(known)) if known else None


def _unscored(scores: Sequence[Score]) -> int:
    return sum(isinstance(score, Unscored) for score in scores)


class Monitor:
    """Looks at the policy's answers to the validation questions every few steps."""

    def __init__(
        self,
        setup: Setup,
        graders: Graders,
        policy: LanguagePolicy,
        seed: int,
        file: Path,
    ) -> None:
        """`file` gets what each look saw, question by question."""
        self.setup = setup
        self.graders = graders
        self.policy = policy
        self.seed = seed
        self.file = file
        self.cases = setup.validation[: setup.spec.rl.monitored]
        if graders.judged:
            graders.judges.add_references(self.cases)

    @property
    def chosen_by(self) -> str:
        """The grade by which the step to keep is chosen: what the reward stands for, first of all."""
        task = self.setup.spec.task
        graded = (JUDGED_EVALUATION, GRADED)
        keys = [key.split(".", 1) for key in (*task.gold, *task.headline)]
        return next((name for evaluation, name in keys if evaluation in graded), "reward")

    def begin(self) -> None:
        """Looks at the base, from which later looks are measured; not again where that is done."""
        if is_file(self.file) and any(row.detail.get("step") == 0 for row in read_rows(self.file)):
            return
        answers = self._answered(self.policy.reference)
        kl: list[Score] = [0.0] * len(answers)
        self._note(0, answers, {**self._scores(answers), "kl": kl})

    def look(self, step: int) -> LogRow:
        """Means over the validation questions: reward, judged figures; and a few answers."""
        answers = self._answered(self.policy.trained)
        scores = self._scores(answers)
        self._note(step, answers, {**scores, "kl": self._distances()})
        unscored = {name: count for name in scores if (count := _unscored(scores[name]))}
        return {
            "monitor": {
                **{name: _mean(of) for name, of in scores.items()},
                "n": len(answers),
                **({"unscored": unscored} if unscored else {}),
            },
            "samples": sample_rows(answers[:LOGGED_SAMPLES], scores["reward"][:LOGGED_SAMPLES]),
        }

    def _candidate(self, model: LanguageModel) -> Candidate:
        return Candidate("rl", self.seed, model, self.setup.base_prompt)

    def _answered(self, model: LanguageModel) -> list[Answered]:
        completions = free_answers(
            self._candidate(model), self.cases, self.setup.spec.rl.max_new_tokens
        )
        return [Answered.of(c, done) for c, done in zip(self.cases, completions, strict=True)]

    def _scores(self, answers: Sequence[Answered]) -> dict[str, list[Score]]:
        return {"reward": self.graders.reward(answers), **self.graders.grades(answers)}

    def _distances(self) -> list[Score]:
        """KL to base of answers drawn to the first questions, as `drift` measures it."""
        cases, longest = self.cases[:KL_QUESTIONS], self.setup.spec.rl.max_new_tokens
        ours, base = (
            LocalRespondent(self._candidate(model))
            for model in (self.policy.trained, self.policy.reference)
        )
        drawn = ours.answer(cases, longest, temperature=1.0, tokens=True)
        return divergences(ours, base, cases, drawn)

    def _note(
        self, step: int, answers: Sequence[Answered], scores: Mapping[str, Sequence[Score]]
    ) -> None:
        rows = [
            Row(
                "rl",
                self.seed,
                LOOKS,
                each.case.id,
                {name: of[place] for name, of in scores.items() if place < len(of)},
                each.case.category,
                {"step": step, "answer": each.answer, "finished": each.finished},
            )
            for place, each in enumerate(answers)
        ]
        add_look(self.file, step, rows)
