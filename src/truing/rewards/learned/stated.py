"""What people say of themselves, held against what a spec asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from truing.rewards.learned.judgements import Judgements
from truing.spec.reward_model import RewardModelSpec
from truing.types import InputError, did_you_mean


def with_groups(read: Judgements, section: RewardModelSpec) -> Judgements:
    """The judgements, with remarks on whose groups the reward leaves out.

    Raises InputError where nobody says the dimension of `groups`, or `aggregate` names no group of it.
    """
    if not section.groups:
        return read
    groups = _stated(read, section.groups)
    return replace(
        read, remarks=(*read.remarks, *_silent(read, section), *_weighed(groups, section))
    )


def _stated(read: Judgements, dimension: str) -> Sequence[str]:
    """The groups of a dimension."""
    groups = sorted({own for each in read.judgements if (own := each.groups.get(dimension))})
    if groups:
        return groups
    known = sorted({name for each in read.judgements for name in each.groups})
    right = (
        f"{did_you_mean(dimension, known)}they say: {', '.join(known)}"
        if known
        else "they say nothing of themselves (`groups` in a file's rows, or what annotators say under "
        "'About you')"
    )
    raise InputError(
        f"reward_model.groups: nobody who judged in {read.source} says {dimension!r}; {right}"
    )


def _weighed(groups: Sequence[str], section: RewardModelSpec) -> list[str]:
    """A remark on groups without a weight."""
    if not isinstance(section.aggregate, dict):
        return []
    if unknown := next((name for name in section.aggregate if name not in groups), None):
        raise InputError(
            f"reward_model.aggregate.{unknown}: no such group of {section.groups}; "
            f"{did_you_mean(unknown, groups)}there are: {', '.join(groups)}"
        )
    others = [name for name in groups if not section.aggregate.get(name)]
    if not others:
        return []
    return [
        f"reward_model.aggregate gives no weight to {', '.join(others)}: only the head of all people "
        "learns from those judgements"
    ]


def _silent(read: Judgements, section: RewardModelSpec) -> list[str]:
    silent = sum(not each.groups.get(section.groups) for each in read.judgements)
    if not silent:
        return []
    return [
        f"{silent} judgement(s) by people who don't say their {section.groups}: they are in no group, and "
        "only the head of all people learns from them"
    ]
