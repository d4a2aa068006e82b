"""How often the intervals of statistics/crossed.py cover the truth, for the table in the documentation.

python tests/support/coverage_table.py: 200 tables with known variance components for each row, 95 %
intervals from 400 resamples. Minutes on one core.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from tables import covers, table
from truing.statistics.crossed import spread

TABLES = 200


def coverage(wordings: int, questions: int, effect: float) -> tuple[float, float]:
    """Shares of tables whose intervals cover (the standard deviation, the mean)."""
    rng = np.random.default_rng((wordings, questions, round(1000 * effect)))
    found = [
        spread(table(rng, (wordings, questions), effect, 0.35, 0.3), resamples=400, seed=number)
        for number in range(TABLES)
    ]
    return (
        float(np.mean([covers(one.deviation, effect) for one in found])),
        float(np.mean([covers(one.mean, 0.4) for one in found])),
    )


if __name__ == "__main__":
    titles = ("wordings", "questions", "standard deviation", "covered", "mean covered")
    print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")
    for wordings, questions, effect in product((10, 20, 28), (120, 400), (0.03, 0.1)):
        deviation, mean = coverage(wordings, questions, effect)
        print(f"| {wordings} | {questions} | {effect} | {deviation:.2f} | {mean:.2f} |", flush=True)
