"""Evaluations: respondents and cases in, one row per (respondent, case) out."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from truing.evaluate.attacks import ATTACKS
from truing.evaluate.best_of_n import BEST_OF_N
from truing.evaluate.drift import DRIFT
from truing.evaluate.evaluation import Evaluation
from truing.evaluate.graded_answers import ANSWERS
from truing.evaluate.hacking import HACKING
from truing.evaluate.opinions import OPINIONS
from truing.evaluate.preferences import PREFERENCES
from truing.evaluate.refusals import REFUSALS
from truing.evaluate.rules import RULES
from truing.evaluate.trivia import TRIVIA
from truing.evaluate.truthfulness import TRUTHFULNESS
from truing.evaluate.wins import WINS
from truing.types import Metric

EVALUATIONS: dict[str, Evaluation] = {
    each.name: each
    for each in (
        TRUTHFULNESS,
        ANSWERS,
        WINS,
        PREFERENCES,
        TRIVIA,
        RULES,
        ATTACKS,
        REFUSALS,
        OPINIONS,
        DRIFT,
        HACKING,
        BEST_OF_N,
    )
}
"""Every evaluation by name. Adding one is a file like trivia.py and a line here."""


def metric_of(evaluation: str, name: str) -> Metric:
    """A metric that an evaluation declares."""
    return next(metric for metric in EVALUATIONS[evaluation].metrics if metric.name == name)


class _Room(ModuleType):
    """This room, which can be called as well.

    The function of the public names is called as the room is: whoever writes `from truing import
    evaluate` when the room is loaded gets the room, and calls the function all the same.
    """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """See `truing.recipes.evaluate.evaluate`, which lies above."""
        return import_module("truing.recipes.evaluate").evaluate(*arguments, **options)


sys.modules[__name__].__class__ = _Room
