"""The whole comparison: from two lists of prompts to every figure that is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from truing.progress import Advance, Progress, SilentProgress
from truing.shift.coverage import Coverage, cover
from truing.shift.distance import Distance, embed, mmd, plane
from truing.shift.features import make_features
from truing.shift.grouping import Bools, Grouping, group_prompts, make_folds
from truing.shift.prompts import Asked
from truing.shift.remedy import FEWEST, Remedy, remedy
from truing.shift.two_sample import Auc, auc_with_interval, cross_fitted, noise_share
from truing.shift.use_cases import Described, describe
from truing.shift.wording import Side, side, telling_words, words_of
from truing.types import InputError, stable_hash

Floats = NDArray[np.float64]
_LISTED = 10


@dataclass(frozen=True)
class Study:
    """How two sets of prompts differ. `asked` holds the training prompts, then the target prompts (N).

    `score_N` is each prompt's cross-fitted log-odds of being a target prompt, `plane_N2` its place on
    the map. `left_out` counts prompts beyond the limit on (train, target).
    """

    asked: tuple[Asked, ...]
    target_N: Bools
    grouping: Grouping
    score_N: Floats
    auc: Auc
    distance: Distance
    plane_N2: Floats
    described: tuple[Described, Described]
    sides: tuple[Side, Side]
    telling: tuple[list[tuple[str, float]], list[tuple[str, float]]]
    coverage: Coverage
    remedy: Remedy
    left_out: tuple[int, int]

    def typical(self, target: bool) -> list[int]:
        """Rows of the prompts that are most surely of their side, no two of them nearly the same."""
        order = np.argsort(-self.score_N if target else self.score_N, kind="stable")
        seen: set[int] = set()
        rows: list[int] = []
        for row in order.tolist():
            group = int(self.grouping.near_N[row])
            if bool(self.target_N[row]) == target and group not in seen:
                seen.add(group)
                rows.append(row)
        return rows[:_LISTED]

    def uncovered(self) -> list[tuple[int, int, float]]:
        """Uncovered target prompts, the farthest first: row, nearest training row, similarity."""
        c = self.coverage
        return [
            (int(c.target_M[place]), int(c.nearest_M[place]), float(c.to_train_M[place]))
            for place in c.far_off()
        ]


def limited(prompts: Sequence[Asked], limit: int, seed: int) -> list[Asked]:
    """At most `limit` prompts in the given order, drawn by a hash of place, text and seed."""
    if len(prompts) <= limit:
        return list(prompts)
    keys = [stable_hash("limit", str(seed), each.place, each.text) for each in prompts]
    chosen = sorted(sorted(range(len(prompts)), key=lambda i: (keys[i], i))[:limit])
    return [prompts[i] for i in chosen]


def _check_sizes(train: Sequence[Asked], target: Sequence[Asked], select: int | None) -> None:
    for prompts, name in ((train, "TRAIN"), (target, "TARGET")):
        if len(prompts) < FEWEST:
            raise InputError(
                f"{name}: {len(prompts)} prompt(s) are too few to say anything; give at least {FEWEST}"
            )
    if select is not None and select > len(train):
        raise InputError(f"--select: {select} of {len(train)} training prompts; give fewer")


def _stages(progress: Progress, total: int) -> Callable[..., AbstractContextManager[Advance]]:
    """What to call for each of so many stages, with its name and the passes in it."""
    number = count(1)

    @contextmanager
    def stage(what: str, passes: int | None = None) -> Iterator[Advance]:
        with (
            progress.stage(f"Stage {next(number)} of {total}", at_once=False),
            progress.task(what, passes) as advance,
        ):
            yield advance

    return stage


def compare(
    train: Sequence[Asked],
    target: Sequence[Asked],
    *,
    select: int | None = None,
    limit: int = 5000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Study:
    """Every figure about two sets of prompts. The same input and seed give the same figures.

    Raises InputError for fewer than 20 prompts on a side, and where all prompts of a side hang together.
    """
    _check_sizes(train, target, select)
    sides = limited(train, limit, seed), limited(target, limit, seed)
    _check_sizes(*sides, select)
    prompts = (*sides[0], *sides[1])
    target_N = np.arange(len(prompts)) >= len(sides[0])
    stage = _stages(progress or SilentProgress(), 5)
    with stage("Reading words", 3) as advance:
        features = make_features([each.text for each in prompts])
        advance(1)
        grouping = group_prompts(prompts, target_N, features.bag_NV)
        fold_N = make_folds(grouping.group_N, target_N, seed)
        advance(2)
        coverage = cover(features.bag_NV, target_N, grouping.near_N)
        advance(3)
    with stage("Telling the sides apart", int(fold_N.max()) + 1) as advance:
        score_N = cross_fitted(features.all_NV, target_N, fold_N, seed=seed, advance=advance)
    with stage("Measuring what is chance"):
        noise = noise_share(features.all_NV, target_N, fold_N, seed=seed)
        auc = auc_with_interval(score_N, target_N, fold_N, grouping.group_N, noise=noise)
    with stage("Weighing", 4 if select else 3) as advance:
        remedied = remedy(
            features.all_NV, target_N, grouping.group_N, select=select, seed=seed, advance=advance
        )
    with stage("Measuring distances"):
        points_NE = embed(features.bag_NV, seed)
        distance = mmd(points_NE, target_N, grouping.near_N, seed)
    words = [[words_of(each.text) for each in each_side] for each_side in sides]
    return Study(
        asked=prompts,
        target_N=target_N,
        grouping=grouping,
        score_N=np.round(score_N, 9),
        auc=auc,
        distance=distance,
        plane_N2=plane(points_NE),
        described=(describe(sides[0]), describe(sides[1])),
        sides=(side(words[0], words[1]), side(words[1], words[0])),
        telling=telling_words(words[0], words[1]),
        coverage=coverage,
        remedy=remedied,
        left_out=(len(train) - len(sides[0]), len(target) - len(sides[1])),
    )
