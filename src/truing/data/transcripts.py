"""Conversations written as one text, in the form of Anthropic's HH data set."""

from __future__ import annotations

import re

from truing.data.messages import Messages, checked_text
from truing.types import InputError

_TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
_HH_ROLES = {"Human": "user", "Assistant": "assistant"}


def hh_messages(dialogue: object, what: str) -> Messages:
    """The turns of an HH dialogue: paragraphs that begin with 'Human:' or 'Assistant:'."""
    text = checked_text(dialogue, what)
    pieces = _TURN.split(text)
    if len(pieces) < 3 or pieces[0].strip():
        raise InputError(f"{what}: an HH dialogue begins with 'Human:' on a line of its own")
    roles, contents = pieces[1::2], pieces[2::2]
    return [
        {"role": _HH_ROLES[role], "content": content.strip()}
        for role, content in zip(roles, contents, strict=True)
    ]
