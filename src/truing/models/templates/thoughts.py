"""What a model thought aloud before its answer, which is no part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = r"(?:\w+:)?think(?:ing)?|thoughts?"
_CLOSING = re.compile(rf"</({NAME})>|\[/(THINK)\]|<\|END_(THINKING)\|>")
_OPENING = ("<{}>", "[{}]", "<|START_{}|>")
_UNENDED = re.compile(rf"(?:<(?:{NAME})>|\[THINK\]|<\|START_THINKING\|>).*", re.DOTALL)


@dataclass(frozen=True)
class Thoughts:
    """The texts that a block of thoughts begins and ends with."""

    opening: str
    closing: str

    def left_out(self, reply: str, *, opened: bool = False) -> str:
        """A reply without its block; `opened`: the prompt has begun it, so the reply is in it.

        Empty where the block doesn't end.
        """
        begun = reply.lstrip()
        if not opened and not begun.startswith(self.opening):
            return reply
        return begun.partition(self.closing)[2].lstrip()

    def shown(self, reply: str, *, opened: bool, ended: bool) -> str:
        """`left_out` of a reply that is being written: never more than will be shown in the end."""
        begun = reply.lstrip()
        undecided = not (opened or ended) and self.opening.startswith(begun)
        return "" if undecided else self.left_out(reply, opened=opened)


def first_block(text: str) -> Thoughts | None:
    """The block whose end is the first that stands in a text, such as a chat template's source."""
    found = _CLOSING.search(text)
    if found is None:
        return None
    [opening] = [
        form.format(name) for form, name in zip(_OPENING, found.groups(), strict=True) if name
    ]
    return Thoughts(opening, found[0])


def without_thoughts(reply: str) -> str:
    """A reply of an unknown model without any block of thoughts, whoever opened it.

    A server's template may have opened it, so that the reply has its end alone; and a reply that was
    cut may have its beginning alone.
    """
    while block := first_block(reply):
        before, _, behind = reply.partition(block.closing)
        start = before.find(block.opening)
        reply = before[: max(start, 0)] + behind
    return _UNENDED.sub("", reply).strip()
