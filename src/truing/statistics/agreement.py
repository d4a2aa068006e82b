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
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from truing.statistics.means import SEED, within
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


@dataclass(frozen=True)
class Column:
    """All values of one question as arrays (n,), one place for each; `codes` are places in `values`.

    Units and tasks are numbered; equal numbers, equal unit or task.
    """

    tasks: NDArray[np.int64]
    units: NDArray[np.int64]
    annotators: NDArray[np.int64]
    codes: NDArray[np.int64]
    values: tuple[Value, ...]

    def among(self, people: Iterable[int]) -> Column:
        """What these people said."""
        chosen_N = np.isin(self.annotators, np.fromiter(people, np.int64))
        return Column(
            self.tasks[chosen_N],
            self.units[chosen_N],
            self.annotators[chosen_N],
            self.codes[chosen_N],
            self.values,
        )

    def observations(self) -> list[Observation]:
        """One by one."""
        rows = zip(
            self.tasks.tolist(),
            self.units.tolist(),
            self.annotators.tolist(),
            self.codes.tolist(),
            strict=True,
        )
        return [Observation(t, u, who, self.values[code]) for t, u, who, code in rows]


def column(observations: Sequence[Observation]) -> Column:
    """Observations as arrays."""
    tasks: dict[Hashable, int] = {}
    units: dict[Hashable, int] = {}
    values: dict[Value, int] = {}
    rows = [
        (
            tasks.setdefault(each.task, len(tasks)),
            units.setdefault(each.unit, len(units)),
            each.annotator,
            values.setdefault(each.value, len(values)),
        )
        for each in observations
    ]
    task, unit, annotator, code = np.array(rows, np.int64).reshape(-1, 4).T
    return Column(task, unit, annotator, code, tuple(values))


def _distances(
    scale: Scale, values: Sequence[Value], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared distances (R, V, V) between values; `counts` (R, V) are those of all pairable values."""
    if scale == "nominal":
        return 1.0 - np.eye(len(values))[None]
    if scale == "interval":
        points = np.array([[float(value) for value in values]])
    else:  # ordinal: as far apart as there are values between them, the ends counted half
        points = np.cumsum(counts, axis=1) - counts / 2
    return np.asarray((points[:, :, None] - points[:, None, :]) ** 2)


def _alphas(
    coincidences: NDArray[np.float64], scale: Scale, values: Sequence[Value]
) -> NDArray[np.float64]:
    """Alphas of coincidence matrices (R, V, V); those in which nothing varies are left out."""
    counts = coincidences.sum(axis=2)
    total = counts.sum(axis=1)
    distances = _distances(scale, values, counts)
    expected = (counts[:, :, None] * counts[:, None, :] * distances).sum(axis=(1, 2))
    observed = (coincidences * distances).sum(axis=(1, 2))
    known = (total >= 2) & (expected > 0)
    return np.asarray(1 - (total[known] - 1) * observed[known] / expected[known])


@dataclass(frozen=True)
class _Patterns:
    """Tasks that are judged alike, counted: coincidences (K, V, V) and how many tasks have them (K,)."""

    coincidences: NDArray[np.float64]
    times: NDArray[np.int64]
    values: list[Value]


def _patterns(
    tasks: NDArray[np.int64], tallies: NDArray[np.int64], values: list[Value]
) -> _Patterns:
    """`tallies` (U, V) say how often each unit was given each value; `tasks` (U,) whose it is."""
    rows, row_of, times = np.unique(tallies, axis=0, return_inverse=True, return_counts=True)
    # All ordered pairs of values of one unit, each weighing 1 / (raters - 1).
    pairs = rows[:, :, None] * rows[:, None, :] - rows[:, :, None] * np.eye(len(values))
    coincidences = pairs / (rows.sum(axis=1) - 1)[:, None, None]
    names, task_of = np.unique(tasks, return_inverse=True)
    if len(names) < len(tasks):  # a task of several units is the sum of theirs
        made_of = np.zeros((len(names), len(rows)), np.int64)
        np.add.at(made_of, (task_of, row_of.ravel()), 1)
        made_of, times = np.unique(made_of, axis=0, return_counts=True)
        coincidences = np.tensordot(made_of.astype(np.float64), coincidences, axes=1)
    return _Patterns(coincidences, times, values)


def krippendorff_alpha(
    observed: Column | Sequence[Observation],
    scale: Scale,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """Alpha with its 95 % interval; `n` counts units judged by two or more, `unscored` the others.

    The value is None where no unit was judged twice or all values are alike: there is then nothing
    to be reliable about. The interval is None with fewer than two tasks.
    """
    given = observed if isinstance(observed, Column) else column(observed)
    units, first, unit_of, raters = np.unique(
        given.units, return_index=True, return_inverse=True, return_counts=True
    )
    paired = raters > 1
    count, lone = int(paired.sum()), int(len(units) - paired.sum())
    if not count:
        return Estimate(None, None, None, 0, lone)
    tallies = np.zeros((len(units), len(given.values)), np.int64)
    np.add.at(tallies, (unit_of, given.codes), 1)
    used = np.flatnonzero(tallies[paired].any(axis=0))
    used = np.array(sorted(used, key=lambda code: _key(given.values[code])))
    patterns = _patterns(
        given.tasks[first[paired]],
        tallies[np.ix_(paired, used)],
        [given.values[code] for code in used],
    )
    whole = np.tensordot(patterns.times.astype(np.float64), patterns.coincidences, axes=1)
    alphas = _alphas(whole[None], scale, patterns.values)
    value = float(alphas[0]) if len(alphas) else None
    total = int(patterns.times.sum())
    if value is None or total < 2:
        return Estimate(value, None, None, count, lone)
    # Tasks judged alike are drawn together: it is the same distribution, and what it costs hangs on
    # how many ways there are to judge a task, not on how many tasks there are.
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(total, patterns.times / total, size=resamples)
    drawn = np.tensordot(draws.astype(np.float64), patterns.coincidences, axes=1)
    alphas = _alphas(drawn, scale, patterns.values)
    if not len(alphas):
        return Estimate(value, None, None, count, lone)
    return within(value, alphas, count, lone)


def _key(value: Value) -> tuple[int, int, str]:
    """Numbers by size, words by alphabet."""
    return (0, value, "") if isinstance(value, int) else (1, 0, value)


def confusion(observations: Sequence[Observation], annotator: int) -> Counter[tuple[Value, Value]]:
    """How often this person said the first value where another said the second, over shared units."""
    units: dict[Hashable, list[Observation]] = defaultdict(list)
    for each in observations:
        units[each.unit].append(each)
    counts: Counter[tuple[Value, Value]] = Counter()
    for observed in units.values():
        own = [each.value for each in observed if each.annotator == annotator]
        others = [each.value for each in observed if each.annotator != annotator]
        counts.update((mine, theirs) for mine in own for theirs in others)
    return counts


def agreement_rate(counts: Mapping[tuple[Value, Value], int]) -> float | None:
    """The share of pairs in a confusion that are equal; None without pairs."""
    total = sum(counts.values())
    equal = sum(count for (mine, theirs), count in counts.items() if mine == theirs)
    return equal / total if total else None
