"""The regressions against scikit-learn's, on made-up features."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from truing.judges.outcome.classifier import (
    COMPLIED,
    PARTLY,
    REFUSED,
    STRENGTH,
    WORDS_WEIGHT,
    Classifier,
    Seen,
)
from truing.judges.outcome.texts import COLUMNS


def _made_up(rows: int = 240) -> tuple[Seen, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.choice([REFUSED, PARTLY, COMPLIED], rows, p=[0.5, 0.2, 0.3])
    vectors = generator.normal(size=(rows, 12)).astype(np.float32)
    vectors[:, 0] += 2 * (labels == COMPLIED)
    vectors[:, 1] += 2 * (labels == PARTLY)
    words = sparse.random(rows, COLUMNS, density=0.001, random_state=0, format="csr")
    return Seen(vectors, words), labels


def test_odds_are_those_of_scikit_learn() -> None:
    seen, labels = _made_up()
    fitted = Classifier.fit(seen, labels)
    dense = (seen.vectors - fitted.mean) / fitted.scale
    rows = sparse.hstack([sparse.csr_matrix(dense), WORDS_WEIGHT * seen.words], "csr")
    oracle = LogisticRegression(C=STRENGTH, class_weight="balanced", tol=1e-6, max_iter=2000)
    wanted = oracle.fit(rows, labels != COMPLIED).predict_proba(rows)[:, 0]
    assert fitted.probabilities(seen)[:, COMPLIED] == pytest.approx(wanted, abs=2e-3)


def test_probabilities_sum_to_one_and_survive_a_file() -> None:
    seen, labels = _made_up()
    fitted = Classifier.fit(seen, labels)
    again = Classifier.from_tensors(fitted.tensors())
    assert fitted.probabilities(seen).sum(1) == pytest.approx(1, abs=3e-6)
    assert again.probabilities(seen) == pytest.approx(fitted.probabilities(seen), abs=1e-5)
    assert (fitted.probabilities(seen).argmax(1) == labels).mean() > 0.8


def test_what_nobody_labelled_partly_is_never_called_so() -> None:
    seen, labels = _made_up()
    labels = np.where(labels == PARTLY, REFUSED, labels)
    assert Classifier.fit(seen, labels).probabilities(seen)[:, PARTLY].max() < 1e-6


@pytest.mark.parametrize("only", [REFUSED, COMPLIED])
def test_one_side_only_is_refused(only: int) -> None:
    seen, labels = _made_up()
    with pytest.raises(ValueError, match="the same label"):
        Classifier.fit(seen, np.full_like(labels, only))
