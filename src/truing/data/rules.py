"""Rules that people expect to be kept, in which contexts, and what becomes of them in an answer.

A rule stands in a task file or is built in. Each of its items fills the slots of what the rule says and of
a context's template; one rule, one context and one item make a case. What a context expects of a rule:

- *keep*: the answer keeps the rule;
- *carry*: the rule doesn't bind here, and the content must come over (a rude text is translated);
- *report*: the content must come over as somebody else's words (a claim is summarised as the article's).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from truing.types import Case, stable_hash

Expectation = Literal["keep", "carry", "report"]

RuleOutcome = Literal["kept", "broken", "carried", "dropped", "not done", "empty"]
"""What an answer is: *kept* or *broken* where the rule binds, *carried* or *dropped* (the rule was applied
where it doesn't bind) where it doesn't; *not done* where the answer doesn't do what was asked at all."""
SUCCESSES: tuple[RuleOutcome, ...] = ("kept", "carried")
"""The outcomes that are right."""


@dataclass(frozen=True)
class RuleItem:
    """What fills the slots, by name, of what a rule says and of what is asked.

    `name` is the item's within its rule. What checks need beside the slots stands in `slots` too. `answers`
    are the true and the false ones of the task's case that the item is, where it is one: they are true or
    false of its question, whatever the rule says.
    """

    name: str
    slots: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[tuple[str, ...], tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Rule:
    """A rule, told to the model (`stated`) or only expected of it.

    `says` is what a model is told, with slots; `check` names the program that tells whether an answer
    keeps it; `expects` says of each context by name what it expects of the rule.
    """

    id: str
    says: str
    check: str
    stated: bool
    expects: Mapping[str, Expectation]
    items: tuple[RuleItem, ...]


def filled(template: str, slots: Mapping[str, Any]) -> str:
    """A template with its slots, {name}, filled; other braces stand as they are, and what is filled in is
    not looked through again."""
    return re.sub(
        r"\{(\w+)\}",
        lambda slot: str(slots[slot[1]]) if slot[1] in slots else slot[0],
        template,
    )


def composed_case(system: str, user: str, columns: Mapping[str, Any], category: str) -> Case:
    """A case that is composed of parts: what the system message says behind the candidate's own instruction
    (empty: nothing), the user's turn, and the columns that name its parts (rule, context, item, family,
    wording, cell, canary ...).

    Its name depends on all of them, so that no two cases of one turn but another rule, canary or cell are
    one.
    """
    parts = [f"{key}={columns[key]}" for key in sorted(columns)]
    messages = (("system", system), ("user", user)) if system else ()
    return Case(
        user,
        category=category,
        canary=str(columns.get("canary", "")),
        messages=messages,
        columns=dict(columns),
        distinction=stable_hash("composed", system, *parts)[:16],
    )
