"""Judges of free answers: is it true, is it informative?

Both are small logistic regressions trained on the labelled answers of the questions they grade,
cross-fitted: an answer is graded by a model fitted without its question. They share nothing with the
reward but the frozen base model's vectors: other questions, other phrases, and references, which the
reward never sees.

Truth is judged by comparison with the question's references (similarity.py). Informativeness is
judged from the answer's vector and words against answers that say nothing and answers to other
questions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.data.uninformative import off_topic, phrases_for_judging
from truing.judges.correction import Calibration
from truing.judges.grading import FOLDS, Grade, JudgeAgreement, Labels, agreement_with, fold_of
from truing.judges.similarity import Text, leave_out, rouge_rule, truth_features
from truing.models.features import Embed, Features
from truing.types import Case, InputError, Unscored


def _references(case: Case) -> list[str]:
    return [*case.correct_answers, *case.incorrect_answers]


def _nothing(case: Case, cases: Sequence[Case]) -> list[str]:
    """Answers that tell nothing about the question."""
    return [*phrases_for_judging(case, 4), *off_topic(case, cases, 2)]


_Said = Sequence[
    tuple[tuple[Case, str, int], float]
]  # a labelled answer, and a judge's probability


def _calibration(judged: _Said) -> Calibration:
    return Calibration(
        np.array([p for _, p in judged]),
        np.array([label for (_, _, label), _ in judged]),
        np.array([int(case.id, 16) % 2**62 for (case, _, _), _ in judged]),
    )


class _CrossFitted:
    """One classifier for each fold, fitted on the other folds."""

    def __init__(
        self, make: Callable[[], Any], features: Any, label: Labels, fold: NDArray[np.int64]
    ) -> None:
        self._models = {}
        for f in sorted(set(range(FOLDS))):
            rest = fold != f
            if len(set(label[rest])) < 2:
                raise InputError(
                    "data: too few held-out questions to train a judge; give at least "
                    f"{2 * FOLDS} questions in all"
                )
            self._models[f] = make().fit(features[rest], label[rest])

    def probability(self, features: Any, fold: NDArray[np.int64]) -> Features:
        """p(1) of each row by the model of its fold: (rows,)."""
        out = np.zeros(len(fold))
        for f, model in self._models.items():
            chosen = fold == f
            if chosen.any():
                out[chosen] = model.predict_proba(features[chosen])[:, 1]
        # Sums over many numbers differ in the last digit from process to process; the same spec and
        # seed shall give the same bytes.
        return out.round(9)


class Judges:
    """Both judges for a set of cases, and for further cases with references of their own."""

    def __init__(self, cases: Sequence[Case], embed: Embed) -> None:
        self._embed = embed
        from sklearn.feature_extraction.text import HashingVectorizer  # slow to load

        self._words = HashingVectorizer(ngram_range=(1, 2), n_features=2**12, dtype=np.float32)
        answers = [
            (case, answer, says)
            for case in cases  # all of a question's answers together: they share its pass
            for says, some in ((1, _references(case)), (0, _nothing(case, cases)))
            for answer in some
        ]
        vectors = embed([(case.prompt, answer) for case, answer, _ in answers])
        full = vectors[np.array([says == 1 for _, _, says in answers])]
        self._center = full.mean(0, dtype=np.float64).astype(np.float32)
        self._scale = full.std(0, dtype=np.float64).astype(np.float32) + np.float32(1e-6)
        self._references: dict[str, tuple[list[Text], list[Text]]] = {}
        self._store_references(cases, full)
        self.agreement = {
            "truth": self._fit_truth(cases),
            "informative": self._fit_informative(answers, vectors),
        }

    def _texts(self, answers: Sequence[str], vectors: Features) -> list[Text]:
        scaled = (vectors - self._center) / self._scale
        scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
        return [Text(answer, vector) for answer, vector in zip(answers, scaled, strict=True)]

    def _store_references(self, cases: Sequence[Case], vectors: Features) -> None:
        start = 0
        for case in cases:
            answers = _references(case)
            texts = self._texts(answers, vectors[start : start + len(answers)])
            true = len(case.correct_answers)
            self._references[case.id] = (texts[:true], texts[true:])
            start += len(answers)

    def add_references(self, cases: Sequence[Case]) -> None:
        """Makes further cases gradable; the judges are not fitted to them."""
        new = [case for case in cases if case.id not in self._references]
        pairs = [(case.prompt, answer) for case in new for answer in _references(case)]
        if pairs:
            self._store_references(new, self._embed(pairs))

    def _fit_truth(self, cases: Sequence[Case]) -> JudgeAgreement:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        features, labels, folds, rouge = [], [], [], []
        graded: list[tuple[Case, str, int]] = []
        alone = 0
        for case in cases:
            true, false = self._references[case.id]
            alone += len(true) < 2 or len(false) < 2
            for label, own, other in ((1, true, false), (0, false, true)):
                if len(own) < 2 or len(other) < 2:
                    continue  # nothing to compare a lone reference with
                for place, text in enumerate(own):
                    rest, rest_other = leave_out(place, own, other)
                    sides = (rest, rest_other) if label else (rest_other, rest)
                    features.append(truth_features(text, *sides))
                    rouge.append(int(rouge_rule(text, *sides)))
                    labels.append(label)
                    folds.append(fold_of(case))
                    graded.append((case, text.text, label))
        if not features:
            raise InputError(
                "data: the truth judge needs questions with two true and two false answers"
            )
        x, y, fold = np.array(features), np.array(labels), np.array(folds)
        self._truth = _CrossFitted(
            lambda: make_pipeline(
                StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=500)
            ),
            x,
            y,
            fold,
        )
        probability_N = self._truth.probability(x, fold)
        self._truth_said = list(zip(graded, probability_N, strict=True))
        found = agreement_with(y, probability_N, np.array(rouge))
        return replace(found, questions_left_out=alone)

    def _informative_features(self, answers: Sequence[str], vectors: Features) -> Any:
        """Vectors and words side by side: (answers, 2 E + words), sparse."""
        from scipy import sparse

        words = self._words.transform([answer.casefold() for answer in answers])
        scaled = (vectors - self._center) / self._scale
        # Words count about as much as vectors: both blocks get the same total length.
        block = scaled / np.float32(np.sqrt(scaled.shape[1]))
        # Nine in ten of the dense matrix would be words that aren't there.
        return sparse.hstack((sparse.csr_matrix(block), words), format="csr")

    def _fit_informative(
        self, labelled: Sequence[tuple[Case, str, int]], vectors: Features
    ) -> JudgeAgreement:
        from sklearn.linear_model import LogisticRegression

        x = self._informative_features([answer for _, answer, _ in labelled], vectors)
        y = np.array([says for _, _, says in labelled])
        fold = np.array([fold_of(case) for case, _, _ in labelled])
        self._informative = _CrossFitted(
            lambda: LogisticRegression(C=3.0, class_weight="balanced", max_iter=1000), x, y, fold
        )
        probability_N = self._informative.probability(x, fold)
        self._informative_said = list(zip(labelled, probability_N, strict=True))
        return agreement_with(y, probability_N)

    @cached_property
    def calibration(self) -> dict[str, Calibration]:
        """What the judges say of the references and of answers that say nothing, each by models that
        haven't seen its question; 'both' are the products."""
        informative = {(case.id, text): p for (case, text, _), p in self._informative_said}
        both = [
            ((case, text, label), p * informative[case.id, text])
            for (case, text, label), p in self._truth_said
        ]
        nothing = [(case, text) for (case, text, says), _ in self._informative_said if not says]
        for (case, text), grade in zip(nothing, self.grade(nothing), strict=True):
            assert isinstance(grade.true, float) and isinstance(grade.informative, float)
            both.append(((case, text, 0), grade.true * grade.informative))
        return {
            "truth": _calibration(self._truth_said),
            "informative": _calibration(self._informative_said),
            "both": _calibration(both),
        }

    def grade(self, answers: Sequence[tuple[Case, str]]) -> list[Grade]:
        """Grades of free answers; an empty one is unscored. The cases' references must be known."""
        grades = [Grade(Unscored("empty answer"), Unscored("empty answer"))] * len(answers)
        full = [place for place, (_, answer) in enumerate(answers) if answer]
        if not full:
            return grades
        chosen = [answers[place] for place in full]
        vectors = self._embed([(case.prompt, answer) for case, answer in chosen])
        texts = self._texts([answer for _, answer in chosen], vectors)
        fold = np.array([fold_of(case) for case, _ in chosen])
        compared = np.array(
            [
                truth_features(text, *self._references[case.id])
                for text, (case, _) in zip(texts, chosen, strict=True)
            ]
        )
        true = self._truth.probability(compared, fold)
        seen = self._informative_features([answer for _, answer in chosen], vectors)
        informative = self._informative.probability(seen, fold)
        for place, p_true, p_informative in zip(full, true, informative, strict=True):
            grades[place] = Grade(float(p_true), float(p_informative))
        return grades
