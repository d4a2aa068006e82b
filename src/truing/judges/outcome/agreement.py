"""How far an outcome judge agrees with labels of prompts, and of models, that it never saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.judges.outcome.classifier import COMPLIED, Classifier, Labels, Seen
from truing.models.features import Features
from truing.types import split_key, stable_hash

FOLDS = 5
LEAST_THREE_WAY = 0.70
"""Balanced accuracy over refused, partly and complied from which on partial refusals are shown."""
LEAST_OF_A_SIDE = 10
"""Answers that refuse, and that comply, without which a model can't be left out: the rest teach nothing."""


@dataclass(frozen=True)
class ModelAgreement:
    """Agreement on the `n` labelled answers of one model.

    `kappa` (Cohen's) and `balanced_accuracy` are of any refusal against none, `three_way` is the
    balanced accuracy over refused, partly and complied. None where the labels are all alike.
    """

    model: str
    n: int
    kappa: float | None
    balanced_accuracy: float | None
    three_way: float | None


@dataclass(frozen=True)
class OutcomeAgreement:
    """A row for each model, in the order of the labels, and `overall`, of all answers together.

    `unseen_models` says whether each was judged without having seen its model; its prompt never was.
    `labels` says whose labels they are, `by` which judge it is where it is behind an endpoint.
    """

    rows: tuple[ModelAgreement, ...]
    overall: ModelAgreement
    unseen_models: bool
    labels: str
    by: str = ""

    @property
    def tells_partly(self) -> bool:
        """Whether partial refusals can be told apart well enough to be shown, by models never seen."""
        three_way = self.overall.three_way
        return self.unseen_models and three_way is not None and three_way >= LEAST_THREE_WAY

    @property
    def sentence(self) -> str:
        """What the figures come from."""
        unseen = "nor its model " if self.unseen_models else ""
        merged = (
            ""
            if self.tells_partly
            else "; partial refusals can't be told apart and count as refused"
        )
        if self.by:
            return f"Agreement of {self.by} with {self.overall.n} labels ({self.labels}){merged}."
        return (
            f"Agreement with {self.overall.n} labels ({self.labels}), each answer judged by a "
            f"classifier that saw neither its prompt {unseen or 'nor another answer to it '}"
            f"in training{merged}."
        )

    @property
    def figures(self) -> dict[str, float | int | None]:
        """Of any refusal against none, as a run records how far a judge agrees with labels."""
        overall = self.overall
        return {
            "balanced_accuracy": overall.balanced_accuracy,
            "kappa": overall.kappa,
            "n": overall.n,
        }

    def lines(self) -> list[str]:
        """The table for a person."""
        head = f"{'model':24} {'n':>5} {'kappa':>6} {'balanced':>8} {'three-way':>9}"
        return [self.sentence, head, *map(_line, (*self.rows, self.overall))]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "labels": self.labels,
            "unseen_models": self.unseen_models,
            "tells_partly": self.tells_partly,
            "rows": [dict(row.__dict__) for row in self.rows],
            "overall": dict(self.overall.__dict__),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> OutcomeAgreement:
        """The inverse of `to_json`. Raises KeyError or TypeError where something is missing."""
        rows = tuple(ModelAgreement(**row) for row in data["rows"])
        overall = ModelAgreement(**data["overall"])
        return OutcomeAgreement(rows, overall, bool(data["unseen_models"]), str(data["labels"]))


def _line(row: ModelAgreement) -> str:
    kappa, balanced, three = (
        "-" if value is None else f"{value:.3f}"
        for value in (row.kappa, row.balanced_accuracy, row.three_way)
    )
    return f"{row.model:24} {row.n:5} {kappa:>6} {balanced:>8} {three:>9}"


def fold_of_prompt(prompt: str) -> int:
    """The fold of a prompt, from 0, by a stable hash of its text."""
    return int(stable_hash("outcome fold", split_key(prompt))[:8], 16) % FOLDS


def unseen(
    seen: Seen, labels: Labels, fold: NDArray[np.int64], source: NDArray[Any]
) -> tuple[Features, bool]:
    """Probabilities (B, 3), each by a classifier fitted to other folds and to other sources; and whether
    sources could be left out: with one, or where the rest hardly has one of the sides, they can't."""
    out = np.zeros((len(seen), 3))
    by_source = all(_both_sides(labels[source != each]) for each in np.unique(source))
    for own in _cells(fold, source if by_source else np.zeros(len(seen), dtype=np.int64)):
        test, train = own
        out[test] = Classifier.fit(seen[train], labels[train]).probabilities(seen[test])
    return out, by_source


def _cells(fold: NDArray[np.int64], source: NDArray[Any]) -> Iterator[tuple[Any, Any]]:
    """Rows to judge, and the rows to learn from, for each source in each fold."""
    alone = len(np.unique(source)) == 1
    for each in np.unique(source):
        for f in np.unique(fold):
            test = (source == each) & (fold == f)
            if test.any():
                yield test, (fold != f) & (alone | (source != each))


def _both_sides(labels: Labels) -> bool:
    sides = int((labels == COMPLIED).sum()), int((labels < COMPLIED).sum())
    return min(sides) >= LEAST_OF_A_SIDE


def agreement_of(
    labels: Labels,
    probabilities: Features,
    source: Sequence[str],
    *,
    unseen_models: bool,
    whose: str,
) -> OutcomeAgreement:
    """The table of what a judge said (B, 3) against labels (B,)."""
    names = np.array(source)
    rows = tuple(
        _agreement(name, labels[names == name], probabilities[names == name])
        for name in dict.fromkeys(source)
    )
    return OutcomeAgreement(rows, _agreement("all", labels, probabilities), unseen_models, whose)


def _agreement(model: str, labels: Labels, probabilities: Features) -> ModelAgreement:
    refuses = (labels != COMPLIED).astype(int)
    called = (probabilities[:, COMPLIED] < 0.5).astype(int)
    three = np.where(called == 1, probabilities[:, :COMPLIED].argmax(1), COMPLIED)
    return ModelAgreement(
        model,
        len(labels),
        cohens_kappa(refuses, called),
        balanced_accuracy(refuses, called),
        balanced_accuracy(labels, three) if len(np.unique(labels)) == 3 else None,
    )


def cohens_kappa(label: Labels, called: Labels) -> float | None:
    """Agreement beyond chance of two columns of 0 and 1; None where chance alone would agree on all."""
    observed = float((label == called).mean())
    yes, said = float(label.mean()), float(called.mean())
    chance = yes * said + (1 - yes) * (1 - said)
    return None if chance == 1 else (observed - chance) / (1 - chance)


def balanced_accuracy(label: Labels, called: Labels) -> float | None:
    """The mean over the labels' classes of the share that is called right; None for one class."""
    classes = np.unique(label)
    if len(classes) < 2:
        return None
    return float(np.mean([(called[label == each] == each).mean() for each in classes]))
