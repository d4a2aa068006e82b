"""What neighbouring texts begin with alike, as a tree: each beginning that is worth it is run once.

A radix tree, whose branches are only those that save enough: a segment more costs indices and padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SAVED = 24
"""Tokens that a beginning must save to be run apart."""


@dataclass(frozen=True)
class Branch:
    """Tokens `start` to `end` of text number `text`, and of those behind it; `parent` is the branch that
    it hangs on, -1 for none."""

    text: int
    start: int
    end: int
    parent: int


def common_prefix(texts: Sequence[Sequence[int]]) -> int:
    """The number of tokens shared by all texts, leaving each at least one of its own."""
    first, *others = texts
    return min((_alike(first, other) for other in others), default=max(len(first) - 1, 0))


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    most = min(len(one), len(other)) - 1
    for place in range(most):
        if one[place] != other[place]:
            return place
    return max(most, 0)


def branching(texts: Sequence[Sequence[int]], known: int) -> tuple[list[Branch], list[int]]:
    """The branches behind `known` tokens that all begin with, parents first, and the number of the one
    that each text hangs on (-1: none)."""
    common = [_alike(one, other) for one, other in pairwise(texts)]
    branches: list[Branch] = []
    hangs_on = [-1] * len(texts)
    runs = [(0, len(texts), known, -1)]
    while runs:  # not by recursion: a chain may be as deep as there are texts
        first, end, depth, parent = runs.pop()
        if end - first == 1:
            hangs_on[first] = parent
            continue
        shared = min(common[first : end - 1])
        if (shared - depth) * (end - first - 1) >= SAVED:
            branches.append(Branch(first, depth, shared, parent))
            depth, parent = shared, len(branches) - 1
        cuts = [place + 1 for place in range(first, end - 1) if common[place] == shared]
        runs += [(a, b, depth, parent) for a, b in zip([first, *cuts], [*cuts, end], strict=True)]
    return branches, hangs_on


def neighbours(texts: Sequence[Sequence[int]]) -> list[int]:
    """An order of the texts in which those that begin alike are neighbours; the given one where a tenth
    of all tokens isn't saved by it."""
    order = sorted(range(len(texts)), key=lambda number: tuple(texts[number]))
    saved = _shared(texts, order) - _shared(texts, range(len(texts)))
    return order if saved * 10 > sum(map(len, texts)) else list(range(len(texts)))


def _shared(texts: Sequence[Sequence[int]], order: Sequence[int]) -> int:
    return sum(_alike(texts[one], texts[other]) for one, other in pairwise(order))
