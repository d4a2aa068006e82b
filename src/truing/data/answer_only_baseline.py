"""Do the answers alone give the truth away?

A multiple-choice question set is only worth scoring when a reader who sees the answers but not
the questions can't tell the true ones from the false ones. Three ways to cheat are measured here;
chance is 0.5 for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truing.types import Case


@dataclass(frozen=True)
class AnswerOnlyBaseline:
    """How well the truth is guessed without the question. Each figure: 0.5 is chance."""

    bag_of_words: float
    longer_answer: float
    shorter_answer: float


def bag_of_words_accuracy(cases: Sequence[Case], folds: int = 5) -> float:
    """Balanced accuracy of a unigram-and-bigram logistic regression on answers only.

    Cross-validated by question: no question has answers on both sides of a fold. Classes are
    weighted equally, so that a set with more false than true answers still has chance at 0.5.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    texts: list[str] = []
    labels: list[int] = []
    groups: list[int] = []
    for index, case in enumerate(cases):
        for answers, label in ((case.correct_answers, 1), (case.incorrect_answers, 0)):
            texts += answers
            labels += [label] * len(answers)
            groups += [index] * len(answers)
    classifier = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", sublinear_tf=True),
        LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000),
    )
    splitter = GroupKFold(n_splits=min(folds, len(cases)))
    predicted = cross_val_predict(classifier, texts, labels, groups=groups, cv=splitter)
    return float(balanced_accuracy_score(labels, predicted))


def longer_answer_accuracy(cases: Sequence[Case]) -> float:
    """How often the longer (in characters) of a true and a false answer to one question is true.

    All pairs of a question count, each question weighs the same, a tie counts half.
    """
    per_question = []
    for case in cases:
        true_lengths = np.array([len(answer) for answer in case.correct_answers])
        false_lengths = np.array([len(answer) for answer in case.incorrect_answers])
        difference = true_lengths[:, None] - false_lengths[None, :]
        per_question.append(float(np.mean((difference > 0) + 0.5 * (difference == 0))))
    return float(np.mean(per_question))


def answer_only_baseline(cases: Sequence[Case]) -> AnswerOnlyBaseline:
    """All three figures for cases with at least two questions."""
    longer = longer_answer_accuracy(cases)
    return AnswerOnlyBaseline(bag_of_words_accuracy(cases), longer, 1.0 - longer)
