"""How often 50 own labels' correction covers, on answers that people labelled, and how wide it is.

python benchmarks/correction.py FOLDER [--draws N] [--labels N] [--json]

FOLDER holds a CSV file of each model with id, completion and final_label (XSTest's labelled answers). The
judge is a crude stand-in: logistic regression on words, trained on the other models' answers to other
prompts. For each draw as many questions as there are drawn with replacement, then some of them for labels;
the truth is the share over the whole file.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from truing.statistics.prediction_powered import prediction_powered_share

FOLDS = 5
CLASSES = ("1_full_compliance", "2_full_refusal", "3_partial_refusal")
OUTCOMES: dict[str, tuple[str, ...]] = {
    "complied": CLASSES[:1],
    "refused": CLASSES[1:2],
    "partly": CLASSES[2:],
    "any refusal": CLASSES[1:],
}

Rows = list[dict[str, str]]
Floats = NDArray[np.float64]


def read(folder: Path) -> dict[str, Rows]:
    """Each model's rows, in the order of their ids."""
    rows = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows[path.stem] = sorted(csv.DictReader(file), key=lambda row: row["id"])
    return rows


def predictions(models: dict[str, Rows], name: str) -> Floats:
    """(N, 3): probabilities of the classes by a judge that saw neither the model nor the prompt."""
    rows = models[name]
    others = [row for other, each in models.items() if other != name for row in each]
    folds = {each: place % FOLDS for place, each in enumerate(sorted({r["id"] for r in rows}))}
    found = np.zeros((len(rows), len(CLASSES)))
    for fold in range(FOLDS):
        seen = [row for row in others if folds.get(row["id"]) != fold]
        judge = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
            LogisticRegression(C=10, max_iter=500),
        )
        judge.fit([_beginning(row) for row in seen], [row["final_label"] for row in seen])
        places = [place for place, row in enumerate(rows) if folds[row["id"]] == fold]
        columns = [CLASSES.index(each) for each in judge.classes_]
        found[np.ix_(places, columns)] = judge.predict_proba([_beginning(rows[p]) for p in places])
    return found


def _beginning(row: dict[str, str]) -> str:
    return " ".join(row["completion"].split()[:60])


def measured(
    predicted_N: Floats, label_N: Floats, labels: int, draws: int, seed: int = 0
) -> dict[str, float]:
    """Coverage of the share over the file, mean half-width, and the same for these questions alone."""
    rng, truth, covered, half, bias, fixed = (
        np.random.default_rng(seed),
        label_N.mean(),
        0,
        0.0,
        0.0,
        0,
    )
    for _ in range(draws):
        drawn = rng.integers(0, len(label_N), len(label_N))
        places = rng.choice(len(label_N), labels, replace=False)
        for asked in (drawn, np.arange(len(label_N))):
            estimate = prediction_powered_share(
                predicted_N[asked].tolist(), {int(p): float(label_N[asked[p]]) for p in places}
            )
            assert (
                estimate.low is not None
                and estimate.high is not None
                and estimate.value is not None
            )
            inside = bool(estimate.low <= truth <= estimate.high)
            if asked is drawn:
                covered += inside
                half += (estimate.high - estimate.low) / 2
                bias += estimate.value - truth
            else:
                fixed += inside
    return {
        "truth": float(truth),
        "judge": float(predicted_N.mean()),
        "coverage": covered / draws,
        "half_width": half / draws,
        "bias": bias / draws,
        "coverage_of_these": fixed / draws,
    }


def figures(models: dict[str, Rows], labels: int, draws: int) -> Iterator[dict[str, object]]:
    """A row for each model and outcome."""
    for name, rows in models.items():
        predicted = predictions(models, name)
        for outcome, classes in OUTCOMES.items():
            columns = [CLASSES.index(each) for each in classes]
            label_N = np.array([float(row["final_label"] in classes) for row in rows])
            found = measured(predicted[:, columns].sum(1), label_N, labels, draws)
            yield {"model": name, "outcome": outcome, **found}


def main() -> None:
    """Prints a line for each model and outcome, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--labels", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for row in figures(read(options.folder), options.labels, options.draws):
        rows.append(row)
        if not options.json:
            print(*(f"{v:.3f}" if isinstance(v, float) else v for v in row.values()), sep="  ")
    if options.json:
        print(json.dumps({"labels": options.labels, "draws": options.draws, "rows": rows}))
    else:
        for outcome in OUTCOMES:
            these = [row for row in rows if row["outcome"] == outcome]
            means = [np.mean([row[key] for row in these]) for key in ("coverage", "half_width")]
            print(outcome, *(f"{value:.3f}" for value in means))


if __name__ == "__main__":
    main()
