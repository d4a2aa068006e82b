"""Prompt sensitivity: what the wording of an instruction does to scores, and to who is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from truing.statistics.crossed import Floats, Order, Spread, order, spread
from truing.statistics.means import RESAMPLES, mean
from truing.types import Estimate, Row

Table = dict[str, dict[str, float]]  # scores by wording and question


@dataclass(frozen=True)
class Spreading:
    """A candidate's spread over the wordings of one family.

    `lines`: each wording's mean over the questions that all of them share; the best and the worst have
    intervals.
    """

    candidate: str
    metric: str
    spread: Spread
    lines: Mapping[str, Estimate]

    def to_json(self, variants: Sequence[str]) -> dict[str, Any]:
        """Mean, deviation, min, max, best and worst; see docs/truthfulness.md."""
        best, worst = self.spread.best, self.spread.worst
        ends = {
            key: {
                "prompt": variants[end.place],
                **self.lines[variants[end.place]].to_json(),
                "again": end.again,
                "elsewhere": end.elsewhere,
            }
            for key, end in (("best", best), ("worst", worst))
        }
        return {
            "mean": self.spread.mean.to_json(),
            "sd": self.spread.deviation.to_json(),
            "sd_seen": self.spread.seen,
            "min": worst.value,
            "max": best.value,
            **ends,
        }


@dataclass(frozen=True)
class Ordering:
    """Two candidates under the wordings of one family."""

    first: str
    second: str
    metric: str
    order: Order

    @property
    def clear(self) -> tuple[int, int]:
        """Under how many wordings the first, and the second, is clearly above."""
        differences = self.order.differences
        return (
            sum(d.low is not None and d.low > 0 for d in differences),
            sum(d.high is not None and d.high < 0 for d in differences),
        )

    @property
    def above(self) -> tuple[int, int]:
        """Under how many wordings the first, and the second, is above at all."""
        values = [d.value or 0.0 for d in self.order.differences]
        return sum(v > 0 for v in values), sum(v < 0 for v in values)

    @property
    def depends(self) -> bool:
        """Whether each is clearly above the other under some wording."""
        return min(self.clear) > 0

    def sentence(self, label: str) -> str:
        """What was found, in plain words. `label` is the metric's name for people."""
        number = len(self.order.differences)
        (up, down), (clear_up, clear_down) = self.above, self.clear
        ahead, behind, times, clear = (
            (self.first, self.second, up, clear_up)
            if up >= down
            else (self.second, self.first, down, clear_down)
        )
        if self.depends:
            return (
                f"{label}: who is better depends on the wording: {self.first} is clearly above "
                f"{self.second} under {clear_up} of {number} wordings, clearly below under {clear_down}."
            )
        beyond = f"clearly under {clear}" if clear else "clearly under none"
        if times == number:
            return f"{label}: {ahead} is above {behind} under all {number} wordings, {beyond}."
        if times == 0:
            return f"{label}: {ahead} and {behind} are equal under all {number} wordings."
        other = min(up, down)
        turned = f"below under {other}" if other else "below under none"
        doubt = ", never clearly" if other and not min(self.clear) else ""
        under = f"{ahead} is above {behind} under {times} of {number} wordings"
        return f"{label}: {under}, {beyond}; {turned}{doubt}."

    def to_json(self, variants: Sequence[str]) -> dict[str, Any]:
        """Shares, differences and the sentence."""
        up, down = self.above
        clear_up, clear_down = self.clear
        return {
            "first": self.first,
            "second": self.second,
            "metric": self.metric,
            "depends_on_wording": self.depends,
            "share_first_above": self.order.share.to_json(),
            "first_above": up,
            "second_above": down,
            "first_clearly_above": clear_up,
            "second_clearly_above": clear_down,
            "difference": self.order.difference.to_json(),
            "sd_of_difference": self.order.deviation.to_json(),
            "differences": {
                name: d.to_json() for name, d in zip(variants, self.order.differences, strict=True)
            },
            "sentence": self.sentence(self.metric),
        }


@dataclass(frozen=True)
class Sensitivity:
    """Everything about one family of wordings in one evaluation."""

    family: str
    evaluation: str
    variants: tuple[str, ...]
    spreads: tuple[Spreading, ...]
    orders: tuple[Ordering, ...]

    def to_json(self) -> dict[str, Any]:
        """`candidates.<name>.<metric>` and `orders`."""
        candidates: dict[str, Any] = {}
        for part in self.spreads:
            place = candidates.setdefault(part.candidate, {})
            place[part.metric] = part.to_json(self.variants)
        return {
            "wordings": list(self.variants),
            "candidates": candidates,
            "orders": [part.to_json(self.variants) for part in self.orders],
        }


def sensitivities(
    rows: Sequence[tuple[str, Row]],
    families: Mapping[str, tuple[str, ...]],
    seed: int,
    resamples: int = RESAMPLES,
) -> list[Sensitivity]:
    """One for each family and evaluation. `rows` are (prompt, row).

    A candidate is compared on the questions that were scored under every wording of the family, two
    candidates on those scored for both; what has fewer than two such questions is left out.
    """
    tables: dict[tuple[str, str, str], Table] = {}
    for prompt, row in rows:
        for metric, score in row.metrics.items():
            key = (row.evaluation, row.candidate, metric)
            by_case = tables.setdefault(key, {}).setdefault(prompt, {})
            if isinstance(score, float):
                by_case[row.case] = score
    results = []
    for family, variants in families.items():
        for evaluation in dict.fromkeys(key[0] for key in tables):
            mine = {key[1:]: t for key, t in tables.items() if key[0] == evaluation}
            mine = {key: t for key, t in mine.items() if all(w in t for w in variants)}
            spreads = _spreads(mine, variants, seed, resamples)
            orders = _orders(mine, variants, seed, resamples)
            if spreads:
                results.append(Sensitivity(family, evaluation, variants, spreads, orders))
    return results


def _array(table: Table, variants: Sequence[str], cases: Sequence[str]) -> Floats:
    return np.array([[table[variant][case] for case in cases] for variant in variants])


def _common(tables: Sequence[Table], variants: Sequence[str]) -> tuple[list[str], int]:
    """The questions scored everywhere, and how many are scored only somewhere."""
    scored = [table[variant].keys() for table in tables for variant in variants]
    everywhere = set(scored[0]).intersection(*scored)
    return sorted(everywhere), len(set().union(*scored)) - len(everywhere)


def _spreads(
    tables: Mapping[tuple[str, str], Table], variants: tuple[str, ...], seed: int, resamples: int
) -> tuple[Spreading, ...]:
    spreads = []
    for (candidate, metric), table in tables.items():
        cases, missing = _common([table], variants)
        if len(cases) < 2:
            continue
        scores = _array(table, variants, cases)
        result = spread(scores, unscored=missing, resamples=resamples, seed=seed)
        own = {
            variant: Estimate(float(row.mean()), None, None, len(cases), missing)
            for variant, row in zip(variants, scores, strict=True)
        }
        for end in (result.best.place, result.worst.place):
            values = scores[end].tolist()
            own[variants[end]] = mean(values, unscored=missing, resamples=resamples, seed=seed)
        spreads.append(Spreading(candidate, metric, result, own))
    return tuple(spreads)


def _orders(
    tables: Mapping[tuple[str, str], Table], variants: tuple[str, ...], seed: int, resamples: int
) -> tuple[Ordering, ...]:
    orderings = []
    for (first, metric), (second, same) in combinations(tables, 2):
        if metric != same:
            continue
        ours, theirs = tables[first, metric], tables[second, metric]
        cases, missing = _common([ours, theirs], variants)
        if len(cases) < 2:
            continue
        a, b = _array(ours, variants, cases), _array(theirs, variants, cases)
        orderings.append(
            Ordering(
                first, second, metric, order(a, b, unscored=missing, resamples=resamples, seed=seed)
            )
        )
    return tuple(orderings)
