"""What prompts ask for: use cases and metadata of both sides, beside a published distribution.

What people said in a file or store counts; the rest is suggested by plain rules (people/suggesting.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from truing.people.suggesting import SUGGESTED_METADATA, suggest
from truing.people.vocabulary import METADATA, USE_CASES
from truing.shift.prompts import Asked
from truing.types import Estimate

INSTRUCTGPT = {
    "generation": 0.456,
    "open_qa": 0.124,
    "brainstorming": 0.112,
    "chat": 0.084,
    "rewrite": 0.066,
    "summarization": 0.042,
    "classification": 0.035,
    "other": 0.035,
    "closed_qa": 0.026,
    "extract": 0.019,
}
"""Shares of use cases among the prompts of the API: Ouyang et al. (2022), table 1. They add up to 0.999."""


@dataclass(frozen=True)
class Described:
    """Shares with 95 % intervals by use case and by metadata; how many prompts a person described."""

    use_cases: dict[str, Estimate]
    metadata: dict[str, Estimate]
    use_cases_said: int
    metadata_said: int


def _share(count: int, total: int, unscored: int = 0) -> Estimate:
    """A share with Wilson's interval; without a prompt, none."""
    if not total:
        return Estimate(None, None, None, 0, unscored)
    interval = binomtest(count, total).proportion_ci(method="wilson")
    return Estimate(count / total, float(interval.low), float(interval.high), total, unscored)


def describe(prompts: Sequence[Asked]) -> Described:
    """Shares among the prompts. Metadata that no rule suggests is only counted where people said it."""
    suggestions = [suggest(each.messages) for each in prompts]
    use_cases = [
        each.use_case or suggestion.use_case
        for each, suggestion in zip(prompts, suggestions, strict=True)
    ]
    metadata = {}
    for name in METADATA:
        values = [
            each.metadata[name] == "yes" if name in each.metadata else name in suggestion.metadata
            for each, suggestion in zip(prompts, suggestions, strict=True)
            if name in each.metadata or name in SUGGESTED_METADATA
        ]
        metadata[name] = _share(sum(values), len(values), len(prompts) - len(values))
    return Described(
        {name: _share(use_cases.count(name), len(prompts)) for name in USE_CASES},
        metadata,
        sum(bool(each.use_case) for each in prompts),
        sum(bool(each.metadata) for each in prompts),
    )


def total_variation(a: dict[str, Estimate], b: dict[str, Estimate] | dict[str, float]) -> float:
    """Half of the summed differences between two distributions: 0 the same, 1 nothing in common."""

    def value(share: Estimate | float) -> float:
        return share if isinstance(share, float) else share.value or 0.0

    return sum(abs(value(a[name]) - value(b[name])) for name in a) / 2
