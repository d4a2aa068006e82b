"""Evaluations: respondents and cases in, one row per (respondent, case) out."""

from truing.evaluate.attacks import ATTACKS
from truing.evaluate.drift import DRIFT
from truing.evaluate.evaluation import Evaluation
from truing.evaluate.graded_answers import ANSWERS
from truing.evaluate.hacking import HACKING
from truing.evaluate.trivia import TRIVIA
from truing.evaluate.truthfulness import TRUTHFULNESS
from truing.types import Metric

EVALUATIONS: dict[str, Evaluation] = {
    each.name: each for each in (TRUTHFULNESS, ANSWERS, TRIVIA, ATTACKS, DRIFT, HACKING)
}
"""Every evaluation by name. Adding one is a file like trivia.py and a line here."""


def metric_of(evaluation: str, name: str) -> Metric:
    """A metric that an evaluation declares."""
    return next(metric for metric in EVALUATIONS[evaluation].metrics if metric.name == name)
