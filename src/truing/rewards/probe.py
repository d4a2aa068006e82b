"""A linear probe: logistic regression on a frozen model's hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def _fit(features: Features, labels: NDArray[np.int64], strengths: Sequence[float]) -> list[Probe]:
    """A probe for each strength. Float32 moves the weights by 1e-6 and takes a third of the time."""
    from sklearn.linear_model import LogisticRegression  # scikit-learn takes a second to load

    mean = features.mean(0, dtype=np.float64).astype(np.float32)
    scale = features.std(0, dtype=np.float64).astype(np.float32) + np.float32(1e-6)
    scaled = (features - mean) / scale
    probes = []
    for strength in strengths:
        regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=500)
        regression.fit(scaled, labels)
        probes.append(Probe(mean, scale, regression.coef_[0], float(regression.intercept_[0])))
    return probes


def fit_probe(
    features: Features, labels: NDArray[np.int64], groups: NDArray[np.int64], folds: int = 4
) -> tuple[Probe, Agreement]:
    """A probe, and its agreement with labels of questions (groups) held out from the fit.

    The ridge penalty with the best cross-validated balanced accuracy is taken; with so few to choose
    from, the figure's optimism is small. Raises ValueError where a class has no example.
    """
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold

    splitter = GroupKFold(n_splits=min(folds, len(np.unique(groups))))
    predicted = np.zeros((len(STRENGTHS), len(labels)), dtype=np.int64)
    for train, test in splitter.split(features, labels, groups):
        for row, probe in zip(
            predicted, _fit(features[train], labels[train], STRENGTHS), strict=True
        ):
            row[test] = probe.log_probability(features[test]) > np.log(0.5)
    balanced = [float(balanced_accuracy_score(labels, row)) for row in predicted]
    best = int(np.argmax(balanced))  # the first of equals: the stronger penalty
    accuracy = float(np.mean(predicted[best] == labels))
    [probe] = _fit(features, labels, STRENGTHS[best : best + 1])
    return probe, Agreement(accuracy, balanced[best], len(labels))
