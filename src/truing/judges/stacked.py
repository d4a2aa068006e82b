"""A trained judge: a linear probe on an answer's vector, and boosted trees on what else is known of it.

Stacking (Wolpert, 1992): the trees see the probe's output beside the comparison with the references, so
the probe's outputs that they learn from must be of answers the probe hasn't seen. Folds are of questions,
at both levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.judges.trees import Trees
from truing.models.features import Features

FOLDS = 5
PENALTY = 0.4
"""The probe's ridge penalty, a share of the number of answers that it learns from."""
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """What judges see of answers: `vectors` (B, 2 E) and `compared` (B, K)."""

    vectors: Features
    compared: Features

    def __getitem__(self, chosen: Any) -> Answers:
        return Answers(self.vectors[chosen], self.compared[chosen])

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Judge:
    """One judge. `mean`, `scale` and `weights` (2 E,) and `bias` (1,) are the probe's."""

    mean: Features
    scale: Features
    weights: Features
    bias: Features
    trees: Trees

    def probability(self, answers: Answers) -> Features:
        """Of a yes for each answer: (B,)."""
        probe = (answers.vectors - self.mean) / self.scale @ self.weights + self.bias
        odds = self.trees.log_odds(np.column_stack([answers.compared, probe]))
        # Sums over many numbers differ in the last digit from process to process; the same spec and
        # seed shall give the same bytes.
        return (1 / (1 + np.exp(-odds))).round(9)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """For a safetensors file."""
        probe = {name: getattr(self, name) for name in ("mean", "scale", "weights", "bias")}
        trees = {f"trees/{name}": array for name, array in self.trees.tensors().items()}
        return probe | trees

    @staticmethod
    def from_tensors(tensors: Mapping[str, NDArray[Any]]) -> Judge:
        """The inverse of `tensors`. Raises TypeError where an array is missing."""
        parts = {name: array for name, array in tensors.items() if not name.startswith("trees/")}
        trees = {n.removeprefix("trees/"): a for n, a in tensors.items() if n.startswith("trees/")}
        return Judge(**parts, trees=Trees.from_tensors(trees))


class _Probes:
    """Ridge regression on labels of -1 and 1, by fold: sums over a fold are made once."""

    def __init__(self, vectors: Features, labels: Labels, fold: NDArray[np.int64]) -> None:
        self.mean = vectors.mean(0, dtype=np.float64).astype(np.float32)
        self.scale = vectors.std(0, dtype=np.float64).astype(np.float32) + np.float32(1e-6)
        self._rows = (vectors - self.mean) / self.scale
        self._fold = fold
        signs = (2 * labels - 1).astype(np.float32)
        self._products, self._sums, self._sizes = [], [], []
        for f in range(FOLDS):
            rows, sign = self._with_one(self._rows[fold == f]), signs[fold == f]
            self._products.append((rows.T @ rows).astype(np.float64))
            self._sums.append((rows.T @ sign).astype(np.float64))
            self._sizes.append(len(rows))

    @staticmethod
    def _with_one(rows: Features) -> Features:
        return np.column_stack([rows, np.ones(len(rows), dtype=np.float32)])

    def without(self, *folds: int) -> Features:
        """Weights and bias (2 E + 1,) fitted to the other folds."""
        used = [f for f in range(FOLDS) if f not in folds]
        product = np.sum([self._products[f] for f in used], axis=0)
        penalty = PENALTY * sum(self._sizes[f] for f in used)
        # The bias pays no penalty.
        diagonal = np.append(np.full(len(product) - 1, penalty), 0.0)
        target = np.sum([self._sums[f] for f in used], axis=0)
        return np.linalg.solve(product + np.diag(diagonal), target)

    def unseen(self, fold: int) -> Features:
        """Outputs (B,) for a judge that `fold` is kept from: each by a probe without its own fold."""
        out = np.zeros(len(self._rows))
        for f in range(FOLDS):
            here = self._fold == f
            if here.any():
                out[here] = self._with_one(self._rows[here]) @ self.without(fold, f)
        return out


def cross_fit(
    answers: Answers, labels: Labels, fold: NDArray[np.int64], seed: int
) -> tuple[list[Judge], Features]:
    """A judge for each fold, fitted to the others, and its probabilities (B,) for its own fold.

    `fold` (B,) is the fold of each answer's question. Raises ValueError where a judge would see one
    label only.
    """
    probes = _Probes(answers.vectors, labels, fold)
    judges, probability = [], np.zeros(len(labels))
    for f in range(FOLDS):
        rest, own = fold != f, fold == f
        if len(np.unique(labels[rest])) < 2:
            raise ValueError(f"all answers outside of fold {f} have the same label")
        rows = np.column_stack([answers.compared, probes.unseen(f)])
        trees = Trees.fit(rows[rest], labels[rest], seed)
        *weights, bias = probes.without(f)
        judge = Judge(probes.mean, probes.scale, np.array(weights), np.array([bias]), trees)
        if own.any():
            probability[own] = judge.probability(answers[own])
        judges.append(judge)
    return judges, probability
