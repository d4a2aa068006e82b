"""Whether a candidate stands with the same group from topic to topic, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from truing.report.metrics import number
from truing.statistics.opinion_consistency import FEWEST_QUESTIONS, Consistency
from truing.types import Unscored

SURE = 0.05
"""Consistency is more than chance where permuted topics have as much less often than that."""


def consistency_sentences(by_dimension: Mapping[str, Consistency | Unscored]) -> list[str]:
    """A sentence on each dimension of groups."""
    return [f"Consistency by {name}: {_said(each)}." for name, each in by_dimension.items()]


def _said(each: Consistency | Unscored) -> str:
    if isinstance(each, Unscored):
        return f"not judged; {each.reason}"
    topics = len(each.by_topic)
    best = sum(group == each.best for group in each.by_topic.values())
    by_chance = f"{number(each.chance)} [{number(each.low)}, {number(each.high)}]"
    verdict = "more than chance" if each.p_value < SURE else "no more than chance"
    left_out = f"; topics with fewer: {len(each.left_out)}" if each.left_out else ""
    return (
        f"{each.best} is best above uniform over all topics, and on {best} of {topics} with "
        f"{FEWEST_QUESTIONS} questions or more ({number(each.share)}; where topics are permuted "
        f"{by_chance}): {verdict}{left_out}"
    )


def consistency_json(each: Consistency | Unscored) -> dict[str, Any]:
    """A JSON object: share, chance with its interval, and each topic's best group; or why not."""
    if isinstance(each, Unscored):
        return {"unscored": each.reason}
    return asdict(each) | {"left_out": list(each.left_out)}
