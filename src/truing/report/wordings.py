"""Intervals of figures over cases that are one of many wordings: for other wordings and other items.

An evaluation says which row is of which family, wording and item (`Evaluation.crossed`); its shares and
their paired differences are then figured by statistics/two_way.py, everything else as it is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from truing.report.task_metrics import Crossed
from truing.statistics.means import paired_difference, summary
from truing.statistics.two_way import crossed_difference, crossed_share
from truing.types import Estimate, Row, Score, Unscored

Place = tuple[str, str, str]
"""Family, wording and item."""
_ONE_SIDE = Unscored("scored on one side only")


def places_of(rows: Iterable[Row], crossed: Crossed) -> dict[str, Place]:
    """Where each case stands; cases that stand nowhere are left out."""
    return {row.case: place for row in rows if (place := crossed(row)) is not None}


def crossed_mean(
    scores: Mapping[str, float], places: Mapping[str, Place], unscored: int = 0
) -> Estimate | None:
    """The mean of one score for each case; None where a case stands nowhere, or one is no share."""
    if not _applies(scores, places):
        return None
    reasons = [Unscored("")] * unscored
    names = [*(places[case] for case in scores), *[("", "", "")] * unscored]
    return crossed_share([*scores.values(), *reasons], *_columns(names))


def crossed_apart(
    ours: Mapping[str, float], theirs: Mapping[str, float], places: Mapping[str, Place]
) -> Estimate | None:
    """The mean paired difference over cases, in the same way."""
    cases = sorted(ours.keys() | theirs.keys())
    if not (_applies(ours, places) and _applies(theirs, places)):
        return None
    first, second = ([_score(side, case) for case in cases] for side in (ours, theirs))
    return crossed_difference(first, second, *_columns([places[case] for case in cases]))


def difference_of(
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    places: Mapping[str, Place],
    *,
    resamples: int,
    seed: int,
) -> Estimate:
    """The paired difference, crossed where the cases are of many wordings."""
    crossed = crossed_apart(ours, theirs, places) if places else None
    return crossed or paired_difference(ours, theirs, resamples=resamples, seed=seed)


def row_means(rows: Sequence[Row], crossed: Crossed | None, seed: int) -> dict[str, Estimate]:
    """Mean and interval of each metric over the rows that have it."""
    figures = summary(rows, seed)
    places = places_of(rows, crossed) if crossed else {}
    for metric, figure in figures.items() if places else ():
        scored = [(row.case, row.metrics[metric]) for row in rows if metric in row.metrics]
        scores = {case: score for case, score in scored if not isinstance(score, Unscored)}
        figures[metric] = crossed_mean(scores, places, figure.unscored) or figure
    return figures


def _applies(scores: Mapping[str, float], places: Mapping[str, Place]) -> bool:
    return scores.keys() <= places.keys() and all(0 <= each <= 1 for each in scores.values())


def _score(side: Mapping[str, float], case: str) -> Score:
    return side.get(case, _ONE_SIDE)


def _columns(names: Sequence[Place]) -> tuple[list[str], list[str], list[str]]:
    return [each[0] for each in names], [each[1] for each in names], [each[2] for each in names]
