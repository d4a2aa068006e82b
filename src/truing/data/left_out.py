"""Rows of a user's file that can't be used: counted by their reason, with the place of the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class LeftOutRows:
    """Counts what is left out, by its reason, and keeps the place of the first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        """One more; `place` is empty where nobody knows it."""
        self.counts[reason] += 1
        if place:
            self.first.setdefault(reason, place)


def with_place(counts: Mapping[str, int], first: Mapping[str, str]) -> dict[str, int]:
    """Counts by reason, each reason with the place of the first, where that is known."""
    return {
        f"{reason} (the first at {first[reason]})" if reason in first else reason: count
        for reason, count in counts.items()
    }
