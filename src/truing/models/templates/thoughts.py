"""What a model thought aloud before its answer, which is no part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"(?:\w+:)?think(?:ing)?|thoughts?"
_FORMS = (("<{}>", "</{}>"), ("[{}]", "[/{}]"), ("<|START_{}|>", "<|END_{}|>"))
_OPENING = rf"(?:<({_NAME})>|\[(THINK)\]|<\|START_(THINKING)\|>)"
_CLOSING = re.compile(rf"</({_NAME})>|\[/(THINK)\]|<\|END_(THINKING)\|>")
_LEFT_OPEN = re.compile(rf"{_OPENING}\s*\Z")
_UNENDED = re.compile(rf"{_OPENING}.*", re.DOTALL)


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
    return _block(found) if found else None


def left_open(text: str) -> tuple[str, Thoughts] | None:
    """The beginning of a block that a text ends with, white space included, and the block."""
    found = _LEFT_OPEN.search(text)
    return (found[0], _block(found)) if found else None


def _block(tag: re.Match[str]) -> Thoughts:
    """The block that a tag begins or ends; each form of tags has a group for its name."""
    [(form, name)] = [pair for pair in zip(_FORMS, tag.groups(), strict=True) if pair[1]]
    opening, closing = (each.format(name) for each in form)
    return Thoughts(opening, closing)


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
