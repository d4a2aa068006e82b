"""Krippendorff's alpha with a bootstrap interval, and who takes what for what.

alpha = 1 - observed disagreement / expected disagreement. Krippendorff (2011), "Computing
Krippendorff's Alpha-Reliability": the coincidence matrix and the distances for nominal, ordinal and
interval data. 1 is perfect agreement, 0 what chance would give.

The interval is the percentile bootstrap over tasks, the unit that is drawn anew: the answers of one
ranking are not independent of each other. (Krippendorff's own bootstrap draws single pairs; it takes
them for independent.) Resamples in which nothing varies have no alpha and are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from truing.statistics import CONFIDENCE, SEED
from truing.types import Estimate

Scale = Literal["nominal", "ordinal", "interval"]
Value = int | str
RESAMPLES = 1000


@dataclass(frozen=True)
class Observation:
    """One value that one person gave to one unit; units of one task are drawn together."""

    task: Hashable
    unit: Hashable
    annotator: int
    value: Value


def _distances(
    scale: Scale, values: Sequence[Value], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared distances (V, V) between values; `counts` (V,) are those of all pairable values."""
    if scale == "nominal":
        return 1.0 - np.eye(len(values))
    if scale == "interval":
        points = np.array([float(value) for value in values])
        return np.asarray((points[:, None] - points[None, :]) ** 2)
    # Ordinal: as far apart as there are values between them, the ends counted half.
    middle = np.cumsum(counts) - counts / 2
    return np.asarray((middle[:, None] - middle[None, :]) ** 2)


def _alpha(
    coincidences: NDArray[np.float64], scale: Scale, values: Sequence[Value]
) -> float | None:
    """Alpha of a coincidence matrix (V, V); None where nothing varies."""
    counts = coincidences.sum(axis=1)
    total = counts.sum()
    distances = _distances(scale, values, counts)
    expected = (np.outer(counts, counts) * distances).sum()
    if total < 2 or expected <= 0:
        return None
    return float(1 - (total - 1) * (coincidences * distances).sum() / expected)


def _coincidences(ratings: Sequence[Value], index: Mapping[Value, int]) -> NDArray[np.float64]:
    """All ordered pairs of values of one unit, each weighing 1 / (raters - 1)."""
    matrix = np.zeros((len(index), len(index)))
    places = [index[value] for value in ratings]
    for first, left in enumerate(places):
        for second, right in enumerate(places):
            if first != second:
                matrix[left, right] += 1 / (len(places) - 1)
    return matrix


def krippendorff_alpha(
    observations: Sequence[Observation],
    scale: Scale,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """Alpha with its 95 % interval; `n` counts units judged by two or more, `unscored` the others.

    The value is None where no unit was judged twice or all values are alike: there is then nothing
    to be reliable about. The interval is None with fewer than two tasks.
    """
    units: dict[Hashable, list[Value]] = defaultdict(list)
    task_of: dict[Hashable, Hashable] = {}
    for each in observations:
        units[each.unit].append(each.value)
        task_of[each.unit] = each.task
    paired = {unit: ratings for unit, ratings in units.items() if len(ratings) > 1}
    lone = len(units) - len(paired)
    if not paired:
        return Estimate(None, None, None, 0, lone)
    values = sorted({value for ratings in paired.values() for value in ratings}, key=_key)
    index = {value: place for place, value in enumerate(values)}
    by_task: dict[Hashable, NDArray[np.float64]] = {}
    for unit, ratings in paired.items():
        task = task_of[unit]
        by_task[task] = by_task.get(task, 0) + _coincidences(ratings, index)
    matrices = np.stack(list(by_task.values()))
    value = _alpha(matrices.sum(axis=0), scale, values)
    if value is None or len(matrices) < 2:
        return Estimate(value, None, None, len(paired), lone)
    generator = np.random.default_rng(seed)
    share = np.full(len(matrices), 1 / len(matrices))
    draws = generator.multinomial(len(matrices), share, size=resamples)
    drawn = np.tensordot(draws.astype(np.float64), matrices, axes=1)
    alphas = [a for a in (_alpha(each, scale, values) for each in drawn) if a is not None]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(alphas, [tail, 1 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value), len(paired), lone)


def _key(value: Value) -> tuple[int, int, str]:
    """Numbers by size, words by alphabet."""
    return (0, value, "") if isinstance(value, int) else (1, 0, value)


def confusion(observations: Sequence[Observation], annotator: int) -> Counter[tuple[Value, Value]]:
    """How often this person said the first value where another said the second, over shared units."""
    units: dict[Hashable, list[Observation]] = defaultdict(list)
    for each in observations:
        units[each.unit].append(each)
    counts: Counter[tuple[Value, Value]] = Counter()
    for said in units.values():
        own = [each.value for each in said if each.annotator == annotator]
        others = [each.value for each in said if each.annotator != annotator]
        counts.update((mine, theirs) for mine in own for theirs in others)
    return counts


def agreement_rate(counts: Mapping[tuple[Value, Value], int]) -> float | None:
    """The share of pairs in a confusion that are equal; None without pairs."""
    total = sum(counts.values())
    equal = sum(count for (mine, theirs), count in counts.items() if mine == theirs)
    return equal / total if total else None
