"""A linear probe: logistic regression on a frozen model's hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold

from truing.models.features import Features

STRENGTHS = (1e-4, 1e-3, 1e-2)  # inverse ridge penalties tried by cross-validation


@dataclass(frozen=True)
class Probe:
    """p(1 | features) = sigmoid((features - mean) / scale @ weights + bias)."""

    mean: Features
    scale: Features
    weights: Features
    bias: float

    def log_probability(self, features: Features) -> Features:
        """log p(1 | features) of each row (nats)."""
        logit = (features - self.mean) / self.scale @ self.weights + self.bias
        return -np.logaddexp(0.0, -logit)


@dataclass(frozen=True)
class Agreement:
    """How well a probe or judge agrees with labels it was not fitted to."""

    accuracy: float
    balanced_accuracy: float
    n: int

    def to_json(self) -> dict[str, float | int]:
        """For run.json."""
        return dict(self.__dict__)


def _fit(features: Features, labels: NDArray[np.int64], strength: float) -> Probe:
    mean, scale = features.mean(0), features.std(0) + 1e-6
    regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=500)
    regression.fit((features - mean) / scale, labels)
    return Probe(mean, scale, regression.coef_[0], float(regression.intercept_[0]))


def fit_probe(
    features: Features, labels: NDArray[np.int64], groups: Sequence[int], folds: int = 4
) -> tuple[Probe, Agreement]:
    """A probe, and its agreement with labels of questions (groups) held out from the fit.

    The ridge penalty with the best cross-validated balanced accuracy is taken; with so few to choose
    from, the figure's optimism is small. Raises ValueError where a class has no example.
    """
    splitter = GroupKFold(n_splits=min(folds, len(set(groups))))
    best: tuple[float, float, float] | None = None
    for strength in STRENGTHS:
        predicted = np.zeros(len(labels), dtype=np.int64)
        for train, test in splitter.split(features, labels, groups):
            probe = _fit(features[train], labels[train], strength)
            predicted[test] = probe.log_probability(features[test]) > np.log(0.5)
        balanced = float(balanced_accuracy_score(labels, predicted))
        if best is None or balanced > best[0]:
            best = (balanced, float(np.mean(predicted == labels)), strength)
    assert best is not None
    return _fit(features, labels, best[2]), Agreement(best[1], best[0], len(labels))
