"""Demonstrations that people wrote: conversations, each with the answer that is to be imitated.

They are split by prompt and by user at once: whatever shares a prompt or a user is one group, and a
group is on one side as a whole. Its side depends on what stands in it, never on where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.types import split_key, stable_hash


@dataclass(frozen=True)
class Dialogue:
    """Messages (role, content) up to the user's last one, and the answer to be imitated.

    `user` is the key of whoever asked, empty where nobody knows; `seconds` is how long the answer took
    its writer, where that is known; `source` is `file:line`, or the store.
    """

    messages: tuple[tuple[str, str], ...]
    answer: str
    user: str = ""
    seconds: float | None = None
    source: str = ""

    @property
    def prompt(self) -> str:
        """All that was said before the answer, a message a paragraph."""
        return "\n\n".join(content for _, content in self.messages)

    @property
    def prompt_id(self) -> str:
        """16 hexadecimal digits of the messages' split keys."""
        parts = [part for role, text in self.messages for part in (role, split_key(text))]
        return stable_hash("dialogue", *parts)[:16]

    @property
    def id(self) -> str:
        """64 hexadecimal digits of exactly these messages and this answer."""
        return stable_hash(
            "dialogue", *(part for each in self.messages for part in each), self.answer
        )


def groups_of(dialogues: Sequence[Dialogue]) -> list[str]:
    """A key for each dialogue; equal where dialogues are linked by prompts or users, however far."""
    first: dict[str, str] = {}

    def find(key: str) -> str:
        while first.setdefault(key, key) != key:
            first[key] = first[first[key]]
            key = first[key]
        return key

    named = [[stable_hash("prompt", each.prompt_id)] for each in dialogues]
    for keys, each in zip(named, dialogues, strict=True):
        keys += [stable_hash("user", each.user)] if each.user else []
        roots = [find(key) for key in keys]
        for root in roots:  # the smallest key names the group, so that order plays no part
            first[root] = min(roots)
    return [find(keys[0]) for keys in named]


def split_dialogues(
    dialogues: Sequence[Dialogue], held_out: float
) -> tuple[tuple[Dialogue, ...], tuple[Dialogue, ...]]:
    """(training side, held-out side), each in the given order; `held_out` is the expected share.

    No prompt and no user is on both sides. With two groups or more, neither side is empty: the group
    nearest to the border crosses it. A single group is all on the training side.
    """
    groups = groups_of(dialogues)
    share = {key: int(stable_hash("held out", key)[:13], 16) / 16**13 for key in groups}
    ranked = sorted(share, key=lambda key: (share[key], key))
    count = sum(value < held_out for value in share.values())
    count = min(max(count, 1), len(ranked) - 1)
    held = set(ranked[: max(count, 0)])
    sides: tuple[list[Dialogue], list[Dialogue]] = ([], [])
    for key, each in zip(groups, dialogues, strict=True):
        sides[key in held].append(each)
    return tuple(sides[0]), tuple(sides[1])
