"""Boosted trees as arrays: fitted by scikit-learn, kept and read without it.

scikit-learn keeps its models as pickles, which can run code when they are read; arrays can't.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.models.features import Features

TREES, DEPTH, RATE = 300, 6, 0.03
LEAF, COLUMNS, RIDGE = 20, 0.3, 1.0
"""Least answers in a leaf, share of the columns that a split is shown, penalty on leaves' values."""


@dataclass(frozen=True)
class Trees:
    """Gradient-boosted trees for a yes-or-no question (Friedman, 2001).

    Each array is (trees, nodes), the first node the root; a leaf's `column` is -1. A row goes `left`
    where its number in `column` is at most `threshold`. `value` is what a leaf adds to the log-odds,
    which begin with `start` (1,).
    """

    column: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float64]
    start: NDArray[np.float64]

    @staticmethod
    def fit(rows: Features, labels: NDArray[np.int64], seed: int) -> Trees:
        """Fitted to rows (B, K) with labels 0 and 1. Raises ValueError where only one is there."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(
            max_iter=TREES,
            learning_rate=RATE,
            max_depth=DEPTH,
            min_samples_leaf=LEAF,
            max_features=COLUMNS,
            l2_regularization=RIDGE,
            early_stopping=False,
            random_state=seed,
        ).fit(rows, labels)
        return Trees.from_sklearn(model)

    @staticmethod
    def from_sklearn(model: Any) -> Trees:
        """The arrays of a fitted model for two classes."""
        # Not a public part of scikit-learn; a test holds our figures to its own.
        trees = [only.nodes for [only] in model._predictors]
        nodes = max(map(len, trees))

        def stacked(part: str, kind: type) -> NDArray[Any]:
            rows: NDArray[Any] = np.zeros((len(trees), nodes), dtype=kind)
            for row, tree in zip(rows, trees, strict=True):
                row[: len(tree)] = tree[part]
            return rows

        column = stacked("feature_idx", np.int32)
        column[stacked("is_leaf", np.bool_)] = -1
        return Trees(
            column=column,
            threshold=stacked("num_threshold", np.float64),
            left=stacked("left", np.int32),
            right=stacked("right", np.int32),
            value=stacked("value", np.float64),
            start=np.array([model._baseline_prediction]).reshape(1),
        )

    def log_odds(self, rows: Features) -> Features:
        """Of a yes for each row (B, K): (B,)."""
        rows = rows.astype(np.float64)
        total = np.full(len(rows), self.start[0])
        every = np.arange(len(rows))
        for column, threshold, left, right, value in zip(
            self.column, self.threshold, self.left, self.right, self.value, strict=True
        ):
            node = np.zeros(len(rows), dtype=np.int64)
            while (inner := column[node] >= 0).any():
                smaller = rows[every, column[node]] <= threshold[node]
                below = np.where(smaller, left[node], right[node])
                node = np.where(inner, below, node)
            total += value[node]
        return total

    def tensors(self) -> dict[str, NDArray[Any]]:
        """For a safetensors file."""
        return dict(self.__dict__)

    @staticmethod
    def from_tensors(tensors: Mapping[str, NDArray[Any]]) -> Trees:
        """The inverse of `tensors`. Raises TypeError where an array is missing."""
        return Trees(**tensors)
