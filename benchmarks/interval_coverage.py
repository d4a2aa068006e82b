"""How often the intervals of `truing.statistics.two_way` cover the truth, over made-up attacks.

python benchmarks/interval_coverage.py [--simulations N] [--json]

Successes are 0 or 1, thresholds of normal variables: one part of each wording, one of each item, one of
each score, with as much of the successes' variance between wordings and items as is asked for. In a
paired difference the parts of wordings and items are correlated between the two.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from truing.statistics.two_way import crossed_difference, crossed_share
from truing.types import Estimate

WORDINGS, OF_WORDINGS = 13, 0.71
SHARES = (0.15, 0.5, 0.85)
DIFFERENCES = ((0.15, 0.15), (0.5, 0.5), (0.15, 0.35), (0.5, 0.7), (0.02, 0.22))
OF_ITEMS = (0.03, 0.1)
CORRELATIONS = (0.4, 0.8)

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """Which family, wording and item each score has."""

    family: Places
    wording: Places
    item: Places


def crossed(families: int, items: int) -> Design:
    """Each wording with each item."""
    places = np.indices((families * WORDINGS, items)).reshape(2, -1)
    return Design(places[0] // WORDINGS, places[0], places[1])


def incomplete(families: int, items: int, rng: np.random.Generator) -> Design:
    """Each wording with two to four of the items, drawn."""
    pairs = [
        (wording, item)
        for wording in range(families * WORDINGS)
        for item in rng.choice(items, rng.integers(2, 5), replace=False)
    ]
    wording, item = np.array(pairs).T
    return Design(wording // WORDINGS, wording, item)


DESIGNS: dict[str, Callable[[np.random.Generator], Design]] = {
    "3 families, 8 items, all": lambda rng: crossed(3, 8),
    "3 families, 3 items, all": lambda rng: crossed(3, 3),
    "3 families, 2 to 4 of 12": lambda rng: incomplete(3, 12, rng),
    "1 family, 8 items, all": lambda rng: crossed(1, 8),
    "1 family, 3 items, all": lambda rng: crossed(1, 3),
    "1 family, 2 to 4 of 12": lambda rng: incomplete(1, 12, rng),
}


@lru_cache(maxsize=64)
def latent(share: float, part: float) -> float:
    """The correlation of normal variables that gives their thresholds' 0 and 1 the correlation `part`."""
    if part == 0:
        return 0.0
    at = float(ndtri(share))

    def excess(correlation: float) -> float:
        both = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]]).cdf([at, at])
        return float(both - share**2 - part * share * (1 - share))

    return float(brentq(excess, 1e-6, 1 - 1e-6))


def _alike(rng: np.random.Generator, count: int, correlation: float) -> NDArray[np.float64]:
    first, other = rng.normal(size=(2, count))
    return np.stack([first, correlation * first + (1 - correlation**2) ** 0.5 * other])


def successes(
    rng: np.random.Generator,
    design: Design,
    shares: tuple[float, float],
    of_items: float,
    correlation: float = 0.0,
) -> NDArray[np.float64]:
    """(2, N): what two respondents' scores are."""
    wordings = _alike(rng, int(design.wording.max()) + 1, correlation)[:, design.wording]
    items = _alike(rng, int(design.item.max()) + 1, correlation)[:, design.item]
    alone = rng.normal(size=wordings.shape)
    rows = []
    for place, share in enumerate(shares):
        parts = latent(share, OF_WORDINGS), latent(share, of_items)
        weights = np.sqrt([*parts, max(1 - sum(parts), 0.0)])
        total = weights @ np.stack([wordings[place], items[place], alone[place]])
        rows.append((total < ndtri(share)).astype(np.float64))
    return np.stack(rows)


def simulated(
    name: str,
    shares: tuple[float, float],
    of_items: float,
    correlation: float | None,
    simulations: int,
    seed: int = 0,
) -> Iterator[tuple[Estimate, float]]:
    """Estimates with the truth beside them; of a difference where a correlation is given."""
    rng = np.random.default_rng(seed)
    for _ in range(simulations):
        design = DESIGNS[name](rng)
        names = design.family.tolist(), design.wording.tolist(), design.item.tolist()
        theirs, ours = successes(rng, design, shares, of_items, correlation or 0.0).tolist()
        if correlation is None:
            yield crossed_share(ours, *names), shares[1]
        else:
            yield crossed_difference(ours, theirs, *names), shares[1] - shares[0]


def measured(
    name: str,
    shares: tuple[float, float],
    of_items: float,
    correlation: float | None,
    simulations: int,
) -> dict[str, object]:
    """Coverage and mean width of one design."""
    covered, width = 0, 0.0
    for estimate, truth in simulated(name, shares, of_items, correlation, simulations):
        assert estimate.low is not None and estimate.high is not None
        covered += estimate.low <= truth <= estimate.high
        width += estimate.high - estimate.low
    return {
        "design": name,
        "shares": list(shares if correlation is not None else shares[1:]),
        "of_items": of_items,
        "correlation": correlation,
        "coverage": covered / simulations,
        "width": width / simulations,
    }


def main() -> None:
    """Prints a line for each design, and JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for name in DESIGNS:
        for of_items in OF_ITEMS:
            plain = [((share, share), None) for share in SHARES]
            paired = [(pair, alike) for pair in DIFFERENCES for alike in CORRELATIONS]
            for shares, correlation in (*plain, *paired):
                row = measured(name, shares, of_items, correlation, options.simulations)
                rows.append(row)
                if not options.json:
                    print(*(f"{value}" for value in row.values()), sep="  ", flush=True)
    if options.json:
        print(json.dumps({"simulations": options.simulations, "rows": rows}))


if __name__ == "__main__":
    main()
