"""What some prompts of a sampling batch begin with alike: its keys are read once for several of them.

A step has few queries for each prompt, so that it takes as long as reading the keys. Where prompts hang on
branches of a tree (nesting.py), those of a branch stand in groups, each with one copy of the branch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

TOGETHER = 8
"""Rows whose prompts read one copy: with more, groups that aren't full take longer than what is saved."""
OWN = (16, 24, 32, 48, 64, 96, 1 << 30)
"""Tokens of its own that a prompt has at most beside its group's; what reads least is taken."""
WORTH = 0.8
"""Of the columns of keys that are read without groups; with more than that left, there are none."""


@dataclass(frozen=True)
class Beginnings:
    """Groups of prompts, by number, and how many tokens each group begins with alike."""

    groups: tuple[tuple[int, ...], ...]
    lengths: tuple[int, ...]

    @staticmethod
    def of(
        hangs_on: Sequence[tuple[object, int]], lengths: Sequence[int], samples: int
    ) -> Beginnings:
        """Of prompts that hang on something with so many tokens; none where too little is saved."""
        most, prompts = max(1, TOGETHER // samples), len(lengths)
        options = [_grouped(hangs_on, lengths, most, own) for own in OWN]
        best = min(options, key=lambda option: option._read(lengths))
        worth = best._read(lengths) <= WORTH * prompts * max(lengths)
        return best if worth else Beginnings((), ())

    def _read(self, lengths: Sequence[int]) -> int:
        """Columns of keys that are read, padding included."""
        begun = self.begun(len(lengths))
        own = max(length - there for length, there in zip(lengths, begun, strict=True))
        return len(self.groups) * max(self.lengths, default=0) + len(lengths) * own

    def begun(self, prompts: int) -> list[int]:
        """How many tokens of each prompt stand in its group's beginning."""
        by_prompt = {
            prompt: length
            for group, length in zip(self.groups, self.lengths, strict=True)
            for prompt in group
        }
        return [by_prompt.get(prompt, 0) for prompt in range(prompts)]

    def of_prompts(self, prompts: Sequence[int]) -> tuple[Beginnings, list[int]]:
        """Those of these prompts, which are numbered anew; and the numbers of the groups that are left."""
        new = {old: number for number, old in enumerate(prompts)}
        left = [tuple(new[p] for p in group if p in new) for group in self.groups]
        numbers = [number for number, group in enumerate(left) if group]
        groups = tuple(left[number] for number in numbers)
        return Beginnings(groups, tuple(self.lengths[n] for n in numbers)), numbers


def _grouped(
    hangs_on: Sequence[tuple[object, int]], lengths: Sequence[int], most: int, own: int
) -> Beginnings:
    """Groups of at most so many prompts; one with more than `own` tokens behind its beginning has a longer
    one, for itself, so that all others aren't padded to it."""
    keys: list[tuple[object, int]] = [
        (there, begun) if length - begun <= own else (number, length - own)
        for number, ((there, begun), length) in enumerate(zip(hangs_on, lengths, strict=True))
    ]
    groups: list[tuple[int, ...]] = []
    for (_, begun), run in groupby(range(len(keys)), key=lambda number: keys[number]):
        numbers = tuple(run)
        if begun:
            groups += [numbers[n : n + most] for n in range(0, len(numbers), most)]
    return Beginnings(tuple(groups), tuple(keys[group[0]][1] for group in groups))


class Gathering:
    """Lays what prompts have (K, P, ...) out as groups (K M, R, ...), padded, and back."""

    def __init__(self, groups: Sequence[Sequence[int]], prompts: int) -> None:
        self.groups, self._rows = len(groups), max(map(len, groups))
        prompt_MR = [[*group, *[group[0]] * (self._rows - len(group))] for group in groups]
        places: Mapping[int, int] = {
            prompt: number * self._rows + row
            for number, group in enumerate(groups)
            for row, prompt in enumerate(group)
        }
        self._prompt_R = torch.tensor(prompt_MR).flatten()
        self._place_P = torch.tensor([places.get(prompt, 0) for prompt in range(prompts)])
        without = [prompt for prompt in range(prompts) if prompt not in places]
        self._without = torch.tensor(without) if without else None

    def laid_out(self, x: Tensor) -> Tensor:
        """(K, P, Q, X) as (K M, R Q, X)."""
        K, _, Q, X = x.shape
        return x.index_select(1, self._prompt_R).view(K * self.groups, self._rows * Q, X)

    def back(self, x: Tensor, heads: int) -> Tensor:
        """(K M, R Q, X) as (K, P, Q, X), 0 for prompts that no group has."""
        rows = x.view(heads, self.groups * self._rows, -1, x.shape[-1])
        of_prompts = rows.index_select(1, self._place_P)
        return of_prompts if self._without is None else of_prompts.index_fill_(1, self._without, 0)
