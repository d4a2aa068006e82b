"""Points of proxy against gold: how far a policy had gone, and what reward and judges gained by then.

Each look of a training's monitor is a point. Its distance is the square root of the mean KL to base of
the answers to the watched questions; its gains are paired differences to the base's answers to the same
questions. Questions are redrawn for all points at once, with distance and both gains, so bands and fits
speak of other questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.statistics.best_of_n import best_of_n, kl_bound
from truing.statistics.means import RESAMPLES, SEED, within
from truing.statistics.overoptimisation import FORMS, Fit, Points, fit
from truing.types import Estimate, Metric, Row, Unscored

Floats = NDArray[np.float64]
Redrawn = tuple[Floats, Floats]
"""Means at each place (P,), and under redrawn questions (R, P)."""
Looks = Mapping[int, Mapping[int, Sequence[Row]]]
"""Rows of what was seen, by seed and step."""
REWARD, KL = "reward", "kl"
SIZES = (2, 3, 4, 6, 8, 12, 16)
"""Of how many answers the best is chosen."""
CURVES = ("proxy", "gold")


@dataclass(frozen=True)
class Point:
    """A step of a training (or n, of best-of-n): its distance from base, and both gains."""

    seed: int
    step: int
    distance: Estimate
    proxy: Estimate
    gold: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        estimates = ("distance", *CURVES)
        return {
            "seed": self.seed,
            "step": self.step,
            **{name: getattr(self, name).to_json() for name in estimates},
        }


@dataclass(frozen=True)
class Series:
    """Points of one kind, and the laws fitted to each of their curves, or why there is none."""

    points: tuple[Point, ...]
    fits: Mapping[str, tuple[Fit | Unscored, ...]]

    def best(self, curve: str) -> Fit | Unscored:
        """The law that is nearest to the points of a curve."""
        fitted = [each for each in self.fits[curve] if isinstance(each, Fit)]
        return min(fitted, key=lambda each: each.error) if fitted else self.fits[curve][0]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "points": [point.to_json() for point in self.points],
            "fits": {
                curve: [
                    {"unscored": each.reason} if isinstance(each, Unscored) else each.to_json()
                    for each in fits
                ]
                for curve, fits in self.fits.items()
            },
        }


@dataclass(frozen=True)
class Seen:
    """One place of a series: the KL of questions (NaN where it wasn't measured), and both gains."""

    seed: int
    step: int
    kl_Q: Floats
    proxy_Q: Floats
    gold_Q: Floats


def value(row: Row, name: str) -> float:
    """A metric of a row; NaN where it has none."""
    score = row.metrics.get(name)
    return score if isinstance(score, float) else float("nan")


def training_series(looks: Looks, gold: Metric, resamples: int = RESAMPLES) -> Series | None:
    """The series of all seeds of a training; None where nothing but the base was looked at."""
    questions = sorted(
        {r.case for steps in looks.values() for rows in steps.values() for r in rows}
    )
    places = {question: place for place, question in enumerate(questions)}
    seen = []
    for seed, steps in looks.items():
        if 0 not in steps:
            continue
        tables = {step: _table(rows, places, gold) for step, rows in steps.items()}
        base = tables.pop(0)
        for step, table in tables.items():
            kl_Q, *gains = (table[0], table[1] - base[1], table[2] - base[2])
            seen.append(Seen(seed, step, kl_Q, *gains))
    return series(seen, resamples)


def drawn_series(draws: Sequence[Row], gold: Metric, resamples: int = RESAMPLES) -> Series | None:
    """The series of best-of-n, chosen by the reward among the base's answers; None without answers.

    Its distance is at most what it says: the root of log n - (n - 1) / n. Gains are over the mean answer.
    """
    by_case: dict[str, list[Row]] = defaultdict(list)
    for row in draws:
        by_case[row.case].append(row)
    most = min((len(rows) for rows in by_case.values()), default=0)
    sizes = [n for n in SIZES if n <= most]
    sign = -1.0 if gold.better == -1 else 1.0
    seen = []
    for n in sizes:
        proxy, of_gold = (
            np.array([_choosing(by_case[case], name, n) for case in sorted(by_case)])
            for name in (REWARD, gold.name)
        )
        kl_Q = np.full(len(by_case), kl_bound(n))
        seen.append(Seen(0, n, kl_Q, proxy, sign * of_gold))
    return series(seen, resamples)


def _choosing(rows: Sequence[Row], name: str, n: int) -> float:
    """What choosing the best of n by reward gains in a metric of one case; NaN where it can't be told."""
    missing = Unscored(f"no {name}")
    rewards, values = ([row.metrics.get(each, missing) for row in rows] for each in (REWARD, name))
    best, any_answer = best_of_n(rewards, values, n), best_of_n(rewards, values, 1)
    if isinstance(best, Unscored) or isinstance(any_answer, Unscored):
        return float("nan")
    return best - any_answer


def _table(rows: Sequence[Row], places: Mapping[str, int], gold: Metric) -> Floats:
    """(3, Q): KL, reward, and gold counted upwards where it is for the better."""
    table = np.full((3, len(places)), np.nan)
    sign = -1.0 if gold.better == -1 else 1.0
    for row in rows:
        values = (value(row, KL), value(row, REWARD), sign * value(row, gold.name))
        table[:, places[row.case]] = values
    return table


def series(seen: Sequence[Seen], resamples: int = RESAMPLES) -> Series | None:
    """Points and fits of what was seen; places without a KL or without a question are left out."""
    whole = [
        each
        for each in seen
        if all(np.isfinite(of).any() for of in (each.kl_Q, each.proxy_Q, each.gold_Q))
    ]
    if not whole:
        return None
    questions = len(whole[0].gold_Q)
    generator = np.random.default_rng(SEED)
    weight_RQ = generator.multinomial(questions, np.full(questions, 1 / questions), resamples)
    kl, proxy, gold = (
        _redrawn(np.stack(of), weight_RQ)
        for of in zip(*((each.kl_Q, each.proxy_Q, each.gold_Q) for each in whole), strict=True)
    )
    distance = (np.sqrt(np.maximum(kl[0], 0.0)), np.sqrt(np.maximum(kl[1], 0.0)))
    points = tuple(
        Point(
            each.seed,
            each.step,
            _estimate(distance, place, each.kl_Q),
            _estimate(proxy, place, each.proxy_Q),
            _estimate(gold, place, each.gold_Q),
        )
        for place, each in enumerate(whole)
    )
    return Series(points, {"proxy": _fits(distance, proxy), "gold": _fits(distance, gold)})


def _fits(distance: Redrawn, gain: Redrawn) -> tuple[Fit | Unscored, ...]:
    points = Points(distance[0], gain[0], distance[1], gain[1])
    return tuple(fit(form, points) for form in FORMS)


def _redrawn(values_PQ: Floats, weight_RQ: NDArray[np.int64]) -> Redrawn:
    """Means over questions (P,), and under redrawn ones (R, P); NaN where a redraw has none of them."""
    seen_PQ = np.isfinite(values_PQ)
    filled_PQ = np.where(seen_PQ, values_PQ, 0.0)
    total_RP = weight_RQ @ seen_PQ.T.astype(float)
    sum_RP = weight_RQ @ filled_PQ.T
    mean_RP = np.where(total_RP > 0, sum_RP / np.maximum(total_RP, 1), np.nan)
    return filled_PQ.sum(-1) / seen_PQ.sum(-1), mean_RP


def _estimate(means: Redrawn, place: int, values_Q: Floats) -> Estimate:
    value, redrawn_R = float(means[0][place]), means[1][:, place]
    count = int(np.isfinite(values_Q).sum())
    if count < 2:
        return Estimate(value, None, None, count)
    return within(value, redrawn_R[np.isfinite(redrawn_R)], count)
