"""Demands: what is asked for against a rule, whatever the wording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Success = Literal["said", "broken"]
SUCCESSES: tuple[Success, ...] = get_args(Success)
"""How it is seen that a demand was carried out: the words that the turn holds were said, not quoted in a
refusal; or the rule's own check finds it broken, as where a secret of the system message is said at all."""


@dataclass(frozen=True)
class Demand:
    """Something to ask for against a rule, and its twin: as short a request that the rule permits.

    `asks` and `twin` stand behind "please" as they are; `done` are words of which any shows that the
    twin's was done, and `shown` words of which one must stand where a check finds the rule broken: a
    refusal may break it as well. `slots` are its own beside an item's: of each list, the item's place in
    its rule takes one. `without` is what the system message says where the rule isn't told: what the
    demand can't do without. `beside` stands behind either: what the twin can't do without.
    """

    name: str
    rule: str
    asks: str
    twin: str
    done: tuple[str, ...]
    success: Success
    without: str = ""
    beside: str = ""
    shown: tuple[str, ...] = ()
    slots: Mapping[str, Sequence[str]] = field(default_factory=dict)
