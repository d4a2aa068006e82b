"""What is said of the groups of people whose judgements a reward model learned from."""

from __future__ import annotations

from typing import Any

from truing.recipes.reward_words import Document, in_words
from truing.rewards.learned.groups import LEAST_JUDGEMENTS


def group_sentences(document: Document) -> list[str]:
    """The group that is served worst by the reward as it is used, and those of which nothing is known."""
    groups = document["groups"] or {}
    said = []
    if worst := groups.get("worst"):
        where = (
            f" (judgements of {of}; the reward is {_rule(document)})"
            if (of := groups.get("measured_on"))
            else ""
        )
        said.append(f"Worst served: {worst['group']}, {in_words(worst['accuracy'])}{where}.")
    for name in groups.get("unknown", ()):
        undecided = groups["used"][name]["unscored"]
        why = "none that prefers an answer is held out" if undecided else "none is held out"
        said.append(f"Can't tell how {name} is served: of its judgements, {why}.")
    return said


def _rule(document: Document) -> str:
    """How the groups' heads become the reward, in words."""
    own, how = document["chosen"]["groups"], document.get("aggregate", "pooled")
    if how == "pooled" or not own:
        unasked = "" if how == "pooled" else ", as no group has its own"
        return f"the head of all people{unasked}"
    if isinstance(how, dict):
        return "weighted " + ", ".join(f"{name} {weight:g}" for name, weight in how.items())
    return f"the {how} over all groups"


def head_lines(document: Document) -> list[str]:
    """Which head each group has."""
    groups = document["groups"] or {}
    lines = []
    for name, row in groups.get("heads", {}).items():
        own = "a head of its own" if row["asked_for"] else "shares the head of all"
        lines.append(
            f"Group {name}: {own} (gain {in_words(row['gain'], sign=True)} nats a judgement)"
        )
    for name, count in groups.get("learned_from", {}).items():
        if name not in groups["heads"]:
            lines.append(f"Group {name}: shares the head of all ({_too_few(count)})")
    return lines


def _too_few(count: int) -> str:
    return f"{count} judgement(s) learned from; a head of its own takes {LEAST_JUDGEMENTS}"


def group_rows(document: Document) -> dict[str, Any] | None:
    """The group x head table of the page."""
    groups = document["groups"]
    if not groups or not groups["accuracy"]:
        return None
    heads = list(next(iter(groups["accuracy"].values())))
    rows = [
        (
            name,
            [in_words(groups["used"][name]), *(in_words(row[head]) for head in heads)],
            _asked(groups, name),
        )
        for name, row in groups["accuracy"].items()
    ]
    return {
        "dimension": groups["dimension"],
        "measured_on": groups["measured_on"],
        "rule": _rule(document),
        "heads": heads,
        "rows": rows,
    }


def _asked(groups: Document, name: str) -> str:
    head = groups["heads"].get(name)
    if head is None:
        return f"none: {_too_few(groups['learned_from'][name])}"
    gain = f"{in_words(head['gain'], sign=True)} nats"
    return f"yes ({gain})" if head["asked_for"] else f"no ({gain})"
