"""Agreement figures by hand, and that no answer is judged by a classifier that saw its prompt or model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from truing.judges.outcome import agreement as module
from truing.judges.outcome.agreement import (
    LEAST_THREE_WAY,
    OutcomeAgreement,
    agreement_of,
    balanced_accuracy,
    cohens_kappa,
    unseen,
)
from truing.judges.outcome.classifier import COMPLIED, PARTLY, REFUSED, Classifier, Seen
from truing.judges.outcome.texts import COLUMNS


def test_figures_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    label = generator.integers(0, 2, 200)
    called = np.where(generator.random(200) < 0.8, label, 1 - label)
    assert cohens_kappa(label, called) == pytest.approx(cohen_kappa_score(label, called))
    assert balanced_accuracy(label, called) == pytest.approx(balanced_accuracy_score(label, called))


def test_what_is_undefined_is_none() -> None:
    ones = np.ones(5, dtype=np.int64)
    assert cohens_kappa(ones, ones) is None and balanced_accuracy(ones, ones) is None


def test_each_answer_is_judged_without_its_prompt_and_its_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The vectors are the rows' numbers, so that what was learnt from can be seen."""
    rows = 120
    fold, source = np.arange(rows) % 3, np.array(["a", "b"])[np.arange(rows) // 60]
    labels = np.array([REFUSED, PARTLY, COMPLIED])[np.arange(rows) // 3 % 3]
    seen = Seen(np.arange(rows, dtype=np.float32)[:, None], sparse.csr_matrix((rows, COLUMNS)))

    class Recorded:
        def __init__(self, learnt: Seen) -> None:
            self.learnt = learnt.vectors[:, 0].astype(int)

        def probabilities(self, judged: Seen) -> np.ndarray:
            own = judged.vectors[:, 0].astype(int)
            assert not set(fold[own]) & set(fold[self.learnt])
            assert not set(source[own]) & set(source[self.learnt])
            return np.full((len(own), 3), 1 / 3)

    monkeypatch.setattr(Classifier, "fit", staticmethod(lambda learnt, labels: Recorded(learnt)))
    probabilities, by_model = unseen(seen, labels, fold, source)
    assert by_model and (probabilities == 1 / 3).all()


def test_a_model_whose_absence_leaves_one_side_cant_be_left_out() -> None:
    rows = 60
    source = np.array(["a", "b"])[(np.arange(rows) >= 50).astype(int)]
    labels = np.where(np.arange(rows) < 50, np.arange(rows) % 2 * COMPLIED, COMPLIED)
    generator = np.random.default_rng(0)
    seen = Seen(generator.normal(size=(rows, 4)), sparse.csr_matrix((rows, COLUMNS)))
    _, by_model = unseen(seen, labels, np.arange(rows) % module.FOLDS, source)
    assert not by_model


@pytest.mark.parametrize("partly_right", [0.0, 1.0])
def test_partly_is_shown_where_it_can_be_told(partly_right: float) -> None:
    labels = np.array([REFUSED, PARTLY, COMPLIED] * 10)
    said = np.zeros((30, 3))
    said[np.arange(30), labels] = 1.0
    said[labels == PARTLY] = [1 - partly_right, partly_right, 0]
    table = agreement_of(labels, said, ["m"] * 30, unseen_models=True, whose="made up")
    assert table.overall.kappa == 1.0
    assert table.overall.three_way == pytest.approx((2 + partly_right) / 3)
    assert table.tells_partly == (table.overall.three_way >= LEAST_THREE_WAY)
    assert ("can't be told apart" in table.sentence) == (not table.tells_partly)
    assert OutcomeAgreement.from_json(table.to_json()) == table
    assert any(line.startswith("m ") for line in table.lines())
