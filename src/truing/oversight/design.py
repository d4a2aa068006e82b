"""Who is asked which item in which arm: balanced exactly, and drawn from a seed.

A person goes through rounds; a round has every arm once, and the order of arms moves on by one from round
to round and from person to person. Passages lie in blocks, one passage for each arm: in a round a person
reads one block, and which passage falls to which arm moves on from person to person, so that a block's
passages are read in every arm equally often (a Latin square). Nobody meets a passage twice.

Each arm's trials are of four kinds, equally many of each: the right option stands first or second, and the
adviser's side is the right or the wrong one (in a debate: speaks first or last). Where a person's rounds
are a multiple of four that holds for each person, else for all people together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truing.data.oversight.items import Item
from truing.data.oversight.plans import Arm
from truing.types import InputError, stable_hash

KINDS = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """A trial before its words: `answer_place` is where the right option stands; `right_first` says that
    the adviser is given the right option, or that its side speaks first."""

    person: int
    place: int
    arm: Arm
    item: Item
    answer_place: int
    right_first: bool


def cells(
    items: Sequence[Item], arms: Sequence[Arm], people: int, rounds: int, seed: int
) -> list[Cell]:
    """All trials of a study, person by person in their order.

    Raises InputError where the numbers can't be balanced, or where there are too few passages.
    """
    _check(people, rounds)
    # From the items too, so that nobody who knows the seed alone can draw where the right options stand.
    name = stable_hash("study", str(seed), *(item.id for item in items))
    rng = np.random.default_rng(int(name[:15], 16))
    passages = _passages(items, rng)
    blocks = len(passages) // len(arms)
    if blocks < rounds:
        raise InputError(
            f"--items: {len(passages)} passages; {len(arms)} arms in {rounds} rounds need "
            f"{len(arms) * rounds}, as nobody meets a passage twice: give more items, or fewer --rounds"
        )
    order = [arms[place] for place in rng.permutation(len(arms))]
    kinds = [_kinds(people, rounds, rng) for _ in order]
    result = []
    for person in range(people):
        for turn in range(rounds):
            cycle, block = divmod((person // len(arms)) * rounds + turn, blocks)
            for step in range(len(order)):
                arm = (step + person + turn) % len(order)
                passage = passages[block * len(order) + (arm + person) % len(order)]
                kind = kinds[arm][person][turn]
                result.append(
                    Cell(
                        person,
                        turn * len(order) + step,
                        order[arm],
                        passage[cycle % len(passage)],
                        kind % 2,
                        bool(kind // 2),
                    )
                )
    return result


def _check(people: int, rounds: int) -> None:
    if people < 1 or rounds < 1:
        raise InputError("--people, --rounds: must be at least 1")
    if people * rounds % KINDS:
        raise InputError(
            f"--people {people}, --rounds {rounds}: an arm would have {people * rounds} answers, which "
            f"sides and orders can't share equally; make people x rounds a multiple of {KINDS}"
        )


def _passages(items: Sequence[Item], rng: np.random.Generator) -> list[list[Item]]:
    """The items by passage, in a drawn order."""
    by_passage: dict[str, list[Item]] = {}
    for item in items:
        by_passage.setdefault(item.passage_id, []).append(item)
    groups = list(by_passage.values())
    return [groups[place] for place in rng.permutation(len(groups))]


def _kinds(people: int, rounds: int, rng: np.random.Generator) -> list[list[int]]:
    """For each person and round the kind of an arm's trial, each kind equally often."""
    if rounds % KINDS:
        drawn = rng.permutation(np.arange(people * rounds) % KINDS).reshape(people, rounds)
        return [[int(kind) for kind in row] for row in drawn]
    return [[int(k) for k in rng.permutation(np.arange(rounds) % KINDS)] for _ in range(people)]
