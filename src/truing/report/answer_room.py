"""Which cases stand on a page that has no room for the answers to all."""

from __future__ import annotations

from collections.abc import Mapping

from truing.report.answered import AnsweredCase
from truing.types import stable_hash


def within(
    cases: Mapping[tuple[str, str], AnsweredCase], most_bytes: int, differing_first: bool
) -> set[tuple[str, str]]:
    """The cases that have room: all, or as many as fit, in the order of a hash of the case; where
    `differing_first`, those whose outcomes differ before those with other texts before the rest."""

    def rank(key: tuple[str, str]) -> tuple[int, str]:
        return (_difference(cases[key]) if differing_first else 0, stable_hash("answers", *key))

    sizes = {key: case.size for key, case in cases.items()}
    if sum(sizes.values()) <= most_bytes:
        return set(cases)
    chosen, total = set(), 0
    for key in sorted(cases, key=rank):
        total += sizes[key]
        if total > most_bytes:
            break
        chosen.add(key)
    return chosen


def _difference(case: AnsweredCase) -> int:
    """0 where outcomes differ between columns, 1 where only what was said does, else 2."""
    if len(set(case.verdicts)) > 1:
        return 0
    texts: dict[str, set[str | None]] = {}
    for answer in case.answers:
        texts.setdefault(answer.column, set()).add(answer.text)
    every = list(texts.values())
    return 1 if any(own != every[0] for own in every) else 2
