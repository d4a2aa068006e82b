"""A rule's check by a model behind an endpoint: it is shown the rule, also where the candidate isn't."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from truing.data.rules import filled
from truing.rewards.reward import Answered
from truing.rewards.rubrics.judge import ServedJudge
from truing.types import Score

SAYS = "says"
"""The column under which a rubric shows the rule."""


@dataclass(frozen=True)
class RuleJudge:
    """Grades whether answers keep the rule that `says` so, with its slots filled from the case."""

    judge: ServedJudge
    says: str

    def __call__(self, answered: Answered) -> Score:
        """The grade of one answer."""
        return self.many([answered])[0]

    def many(self, answers: Sequence[Answered]) -> list[Score]:
        """The grade of each answer."""
        return self.judge.many([self._with_rule(each) for each in answers])

    def _with_rule(self, answered: Answered) -> Answered:
        columns = answered.case.columns
        says = {SAYS: filled(self.says, columns)}
        return replace(answered, case=replace(answered.case, columns={**columns, **says}))


def served_in(graders: Iterable[object]) -> list[ServedJudge]:
    """The judges behind endpoints among graders and checks of rules, each once."""
    judges = [each.judge if isinstance(each, RuleJudge) else each for each in graders]
    return list(dict.fromkeys(judge for judge in judges if isinstance(judge, ServedJudge)))
