"""Which prompts hang together, and folds that keep together what does.

A classifier that has seen a prompt's near-duplicate, its conversation or its template recognises that,
and not the side. Seen on the other side, it would even be led astray: its AUC would fall below 0.5
where both sides are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from truing.shift.prompts import Asked
from truing.types import InputError

Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

NEAR_DUPLICATE = 0.8
"""Cosine of two prompts' word vectors (TF-IDF) from which they count as nearly the same."""
FOLDS = 5
_LARGEST_SHARE = 0.5
_ROWS = 512
"""Rows compared with all others at once: bounds memory."""


@dataclass(frozen=True)
class Grouping:
    """A group's number for each prompt (N,); what is kept apart; what couldn't be, and why.

    `near_N` are the groups by near-duplicates and conversations alone, whoever wrote them.
    """

    group_N: Ints
    near_N: Ints
    apart: tuple[str, ...]
    notes: tuple[str, ...]


def near_duplicates(words: Any) -> tuple[Ints, Ints]:
    """Pairs (first, second) of rows of a sparse matrix (N, V), rows of length 1, that are alike."""
    firsts, seconds = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for start in range(0, words.shape[0], _ROWS):
        alike = (words[start : start + _ROWS] @ words.T).tocoo()
        chosen = (alike.data >= NEAR_DUPLICATE) & (alike.row + start < alike.col)
        firsts.append(alike.row[chosen].astype(np.intp) + start)
        seconds.append(alike.col[chosen].astype(np.intp))
    return np.concatenate(firsts), np.concatenate(seconds)


def _linked(keys_of: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """Each prompt with the one before it that shares a key."""
    last: dict[str, int] = {}
    pairs: list[tuple[int, int]] = []
    for place, keys in enumerate(keys_of):
        for key in keys:
            if key in last:
                pairs.append((last[key], place))
            last[key] = place
    array = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _components(size: int, edges: Sequence[tuple[Ints, Ints]]) -> Ints:
    first = np.concatenate([edge[0] for edge in edges])
    second = np.concatenate([edge[1] for edge in edges])
    graph = coo_matrix((np.ones(len(first), dtype=np.int8), (first, second)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.intp)


def _too_few(group_N: Ints, target_N: Bools) -> bool:
    """Whether the groups of a side are fewer than folds, or one of them is most of the side."""
    for side in (target_N, ~target_N):
        sizes = np.unique(group_N[side], return_counts=True)[1]
        if len(sizes) < FOLDS or sizes.max() > _LARGEST_SHARE * side.sum():
            return True
    return False


def group_prompts(asked: Sequence[Asked], target_N: Bools, words: Any) -> Grouping:
    """Near-duplicates and conversations together always; users and templates where that leaves enough.

    `words` (N, V) is a sparse matrix with rows of length 1.
    """
    # Lines of two files are told apart by their side; conversations and passages are the same anywhere.
    keys = [
        [f"{target} {key}" if key == each.place else key for key in each.links]
        for each, target in zip(asked, target_N.tolist(), strict=True)
    ]
    edges = [near_duplicates(words), _linked(keys)]
    group_N = near_N = _components(len(asked), edges)
    apart, notes = ["near-duplicates and conversations"], []
    for what in ("user", "template"):
        named = [value for each in asked if (value := getattr(each, what))]
        if not named:
            continue
        edges.append(_linked([[value] if (value := getattr(each, what)) else [] for each in asked]))
        coarser_N = _components(len(asked), edges)
        if _too_few(coarser_N, target_N):
            edges.pop()
            notes.append(
                f"{len(set(named))} {what}(s) are too few, or too unequal, to be kept apart: what is "
                f"typical of one {what} counts as typical of its side"
            )
        else:
            group_N, apart = coarser_N, [*apart, f"{what}s"]
    return Grouping(group_N, near_N, tuple(apart), tuple(notes))


def make_folds(group_N: Ints, target_N: Bools, seed: int) -> Ints:
    """A fold's number for each prompt (N,): groups whole, both sides spread evenly, at most 5 folds.

    Raises InputError where the prompts of a side all hang together.
    """
    number_N = np.unique(group_N, return_inverse=True)[1]
    sizes_GS = np.zeros((int(number_N.max()) + 1, 2))
    np.add.at(sizes_GS, (number_N, target_N.astype(np.intp)), 1)
    order = np.random.default_rng(seed).permutation(len(sizes_GS))
    order = order[np.argsort(-sizes_GS[order].sum(axis=1), kind="stable")]
    share_GS = sizes_GS / sizes_GS.sum(axis=0)
    for folds in range(FOLDS, 1, -1):
        load_FS = np.zeros((folds, 2))
        fold_G = np.empty(len(sizes_GS), dtype=np.intp)
        for group in order:
            # A side that the group isn't on doesn't matter to where it goes.
            fold_G[group] = np.argmin(load_FS @ share_GS[group])
            load_FS[fold_G[group]] += share_GS[group]
        if (load_FS > 0).all():
            return fold_G[number_N]
    raise InputError(
        "the prompts of one side all hang together (near-duplicates, or one conversation), so that "
        "nothing is left to test on; give more different prompts"
    )
