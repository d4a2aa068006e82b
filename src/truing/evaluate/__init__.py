"""Evaluations: candidates and cases in, one row per (candidate, case) out."""

from truing.evaluate.attacks import attack_success
from truing.evaluate.drift import drift
from truing.evaluate.evaluation import Evaluation
from truing.evaluate.hacking import hacking
from truing.evaluate.trivia import trivia
from truing.evaluate.truthfulness import truthfulness

EVALUATIONS: dict[str, Evaluation] = {
    "truthfulness": truthfulness,
    "trivia": trivia,
    "attacks": attack_success,
    "drift": drift,
    "hacking": hacking,
}
"""Every evaluation by name. Adding one is a file like trivia.py and a line here."""
