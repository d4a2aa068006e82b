"""Shares and paired differences over wordings and items that are both samples.

Attacks have families that were chosen; in each, wordings are a sample of those that somebody might
write, and the items (what is asked for) are a sample as well. Wordings are nested in families, items
are crossed with them, and a wording may be tried with some items only. With the families fixed, the
variance of the mean of N scores is

    V = sum_w (n_w / N)^2 var(wording) + sum_i (n_i / N)^2 var(item) + sum_c (n_c / N)^2 var(cell),

where n counts the scores of a wording, an item, a cell (wording x item). The three variances are
moments (Searle, Casella and McCulloch, 1992, Variance Components, chapter 5): with residuals from each
family's mean, the sums of squared sums over wordings, items and cells, solved for what they would be in
expectation in this very table; below 0 counts as 0. Weighing squared sums by nothing more makes V that
of cluster-robust variances in two ways (Cameron, Gelbach and Miller, 2011, Journal of Business and
Economic Statistics 29(2)), but without their bias where wordings or items are few.

A share's interval is Wilson's (1927, JASA 22) with the effective sample size p (1 - p) / V + 1, as surveys
do with clusters (Franco, Little, Louis and Slud, 2019, Journal of Survey Statistics and Methodology 7(3));
V and p (1 - p) are both estimates, which is where the 1 is from. That of a difference is Tango's (1998,
Statistics in Medicine 17, equations 3 to 5), the same idea for pairs, with the shares of pairs won and
lost and the effective number of pairs.

Departures, chosen by simulation (`benchmarks/interval_coverage.py` prints what they cover):

- few scores that differ say little of how they cluster: a single success of 104 can't tell whether its
  wording works or it was chance. 1 / n is therefore a mean of the estimate, weighed by the spread within
  families times the effective number of wordings, and of 1 / that number, weighed by PRIOR;
- so a table without any spread, all 0 or all 1, has as many independent draws as wordings: its interval
  isn't of width zero, and isn't that of N independent scores;
- the quantile is Student's by Satterthwaite (1946, Biometrics Bulletin 2) for the parts of items and
  cells alone. That of wordings hardly adds to the uncertainty of V where wordings mostly succeed
  always or never, as its size then follows from the share itself.

Scores between the ends (probabilities) are taken for as spread as their mean allows: never too short.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from truing.statistics.means import TAILS
from truing.statistics.score_intervals import tango, wilson
from truing.types import Estimate, Score, Unscored

PRIOR = 0.25
"""How many wordings' worth of belief there is, before any score, that each goes one way only."""

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def crossed_share(
    values: Sequence[Score],
    families: Sequence[Hashable],
    wordings: Sequence[Hashable],
    items: Sequence[Hashable],
) -> Estimate:
    """The mean of scores from 0 to 1 with its 95 % interval, for other wordings and items like these.

    Each score names its family, its wording (equal names in two families are two wordings) and its item.
    `n` counts scores; those that are Unscored are left out and counted. With a lone wording the interval
    is for other items under it, with a lone item for other wordings of it; with both there is none.
    Raises ValueError for a score outside of 0 to 1, or where a score lacks one of its names.
    """
    return _estimate(values, families, wordings, items, least=0.0)


def crossed_difference(
    ours: Sequence[Score],
    theirs: Sequence[Score],
    families: Sequence[Hashable],
    wordings: Sequence[Hashable],
    items: Sequence[Hashable],
) -> Estimate:
    """The mean of `ours` - `theirs`, score by score paired, with its 95 % interval, as `crossed_share`.

    A pair with one side Unscored is left out and counted.
    """
    if len(ours) != len(theirs):
        raise ValueError("give as many scores of theirs as of ours: they are compared in pairs")
    if not all(0 <= s <= 1 for s in (*ours, *theirs) if not isinstance(s, Unscored)):
        raise ValueError("a score lies between 0 and 1; leave one that doesn't out and count it")
    differences = [
        a if isinstance(a, Unscored) else b if isinstance(b, Unscored) else a - b
        for a, b in zip(ours, theirs, strict=True)
    ]
    return _estimate(differences, families, wordings, items, least=-1.0)


def _estimate(
    values: Sequence[Score],
    families: Sequence[Hashable],
    wordings: Sequence[Hashable],
    items: Sequence[Hashable],
    *,
    least: float,
) -> Estimate:
    rows = list(zip(values, families, wordings, items, strict=True))
    scored = [row for row in rows if not isinstance(row[0], Unscored)]
    unscored = len(rows) - len(scored)
    values_N = np.array([row[0] for row in scored], dtype=np.float64)
    if not ((values_N >= least) & (values_N <= 1)).all():
        raise ValueError("a score lies between 0 and 1; leave one that doesn't out and count it")
    if not scored:
        return Estimate(None, None, None, 0, unscored)
    value = float(values_N.mean())
    table = _Table.of(
        [row[1] for row in scored], [row[1:3] for row in scored], [row[3] for row in scored]
    )
    if table.independent is None:
        return Estimate(value, None, None, len(scored), unscored)
    size, quantile = _precision(table, values_N)
    if least == 0:
        low, high = wilson(value, size, quantile)
    else:
        low, high = tango(value, float(np.abs(values_N).mean()), size, quantile)
    low, high = max(least, min(low, value)), min(1.0, max(high, value))
    return Estimate(value, low, high, len(scored), unscored)


@dataclass(frozen=True)
class _Table:
    """Where N scores lie: the place of each one's family, wording, item and cell.

    `independent` is how many draws the scores are worth if each wording (or, where it is a lone one, each
    item) goes one way only; None where both are lone.
    """

    family: Places
    wording: Places
    item: Places
    cell: Places
    independent: float | None

    @staticmethod
    def of(
        families: Sequence[Hashable], wordings: Sequence[Hashable], items: Sequence[Hashable]
    ) -> _Table:
        """Families with a wording each can't tell wordings apart: then they count as one family."""
        family, wording, item = _places(families), _places(wordings), _places(items)
        if wording.max() == family.max():
            family = np.zeros_like(family)
        cell = _places(list(zip(wording.tolist(), item.tolist(), strict=True)))
        sampled = next((each for each in (wording, item) if each.max() > 0), None)
        worth = None if sampled is None else len(cell) ** 2 / _squares(np.bincount(sampled))
        return _Table(family, wording, item, cell, worth)

    def family_means(self, values_N: Floats) -> Floats:
        """For each score the mean of its family."""
        means = np.bincount(self.family, values_N) / np.bincount(self.family)
        return np.asarray(means[self.family])

    def expected(self) -> Floats:
        """(3, 3): the sums of squared sums over wordings, items and cells (rows) that residuals have in
        expectation where one of the three variances (columns) is 1: |Z_j' M Z_k|^2, M taking off means.
        """
        family_N = np.bincount(self.family).astype(np.float64)
        by_family = _counted(self.family, self.item)
        shares = by_family / family_N[:, None]
        between = _counted(self.wording, self.item)
        of_wording = _family_of(self.wording, self.family)
        between -= np.bincount(self.wording)[:, None] * shares[of_wording]
        count_I = by_family.sum(0)
        items = (
            _squares(count_I)
            - 2 * float((count_I * (by_family * shares).sum(0)).sum())
            + _squares((by_family @ by_family.T) / np.sqrt(np.outer(family_N, family_N)))
        )
        count_C = np.bincount(self.cell)
        of_cell, wording_C = _family_of(self.cell, self.family), _family_of(self.cell, self.wording)
        item_C = _family_of(self.cell, self.item)
        wording_share = np.bincount(self.wording) / family_N[of_wording]
        squared_W = np.bincount(of_wording, wording_share**2)[of_cell]
        squared_I = (shares**2).sum(1)[of_cell]
        wording_cell = count_C**2 * (1 - 2 * wording_share[wording_C] + squared_W)
        item_cell = count_C**2 * (1 - 2 * shares[of_cell, item_C] + squared_I)
        wi, wc, ic = _squares(between), float(wording_cell.sum()), float(item_cell.sum())
        wordings, cells = (_nested(each, self.family) for each in (self.wording, self.cell))
        return np.array([[wordings, wi, wc], [wi, items, ic], [wc, ic, cells]])


def _places(names: Sequence[Hashable]) -> Places:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def _squares(numbers: NDArray[np.generic]) -> float:
    return float((np.asarray(numbers, dtype=np.float64) ** 2).sum())


def _counted(rows_N: Places, columns_N: Places) -> Floats:
    table = np.zeros((rows_N.max() + 1, columns_N.max() + 1))
    np.add.at(table, (rows_N, columns_N), 1)
    return table


def _family_of(inner_N: Places, outer_N: Places) -> Places:
    """The place of what each inner group lies in."""
    found = np.zeros(inner_N.max() + 1, np.int64)
    found[inner_N] = outer_N
    return found


def _nested(inner_N: Places, family_N: Places) -> float:
    """|Z' M Z|^2 of groups that each lie in one family."""
    count = np.bincount(inner_N).astype(np.float64)
    of_group, sizes = _family_of(inner_N, family_N), np.bincount(family_N)
    squared = np.bincount(of_group, count**2)
    cubed = np.bincount(of_group, count**3)
    return _squares(count) - 2 * float((cubed / sizes).sum()) + _squares(squared / sizes)


def _variances(table: _Table, values_N: Floats) -> Floats:
    """The parts of V that are of wordings, of items and of cells."""
    residual_N = values_N - table.family_means(values_N)
    groups = (table.wording, table.item, table.cell)
    sums = np.array([_squares(np.bincount(group, residual_N)) for group in groups])
    solved, *_ = np.linalg.lstsq(table.expected(), sums, rcond=1e-10)
    weights = np.array([_squares(np.bincount(group)) for group in groups]) / len(values_N) ** 2
    return np.asarray(np.maximum(solved, 0.0) * weights)


def _precision(table: _Table, values_N: Floats) -> tuple[float, float]:
    """The effective sample size, and the quantile to go with it."""
    wordings, items, cells = _variances(table, values_N).tolist()
    variance = wordings + items + cells
    apart_N = np.abs(values_N)
    spread = float(apart_N.mean() - values_N.mean() ** 2)
    within = float((table.family_means(apart_N) - table.family_means(values_N) ** 2).mean())
    independent = table.independent or 0.0
    known = independent * max(within, 0.0)
    once = variance / (spread + variance) if spread + variance > 0 else 0.0
    size = (known + PRIOR) / (known * once + PRIOR / independent)
    groups = (table.wording, table.item, table.cell)
    wording_count, item_count, cell_count = (int(group.max()) + 1 for group in groups)
    left = cell_count - wording_count - item_count + 1
    left = max(left, min(wording_count, item_count) - 1, 1)
    noise = 0.0
    if item_count > 1:
        noise = (items + cells) ** 2 / (item_count - 1) + cells**2 / left
    freedom = max(variance**2 / noise, 1.0) if noise > 0 else np.inf
    return size, float(stdtrit(min(freedom, 1e9), TAILS[1]))
