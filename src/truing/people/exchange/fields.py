"""Fields that several forms of record have: what is asked, what is answered, optional text."""

from __future__ import annotations

from typing import Any

from truing.data.messages import Messages, checked_messages, checked_text
from truing.people.exchange.conversations import check_weight, turns
from truing.types import InputError

Record = dict[str, Any]


def prompt_of(record: Record) -> Messages:
    """What is asked: text, or a list of messages."""
    prompt = record["prompt"]
    if isinstance(prompt, list):
        said = turns(prompt, "prompt")
        return checked_messages(said, "prompt")
    return [{"role": "user", "content": checked_text(prompt, "prompt")}]


def answer_of(value: object, what: str) -> str:
    """An answer's text: a string, or a list that holds one message of the assistant."""
    if isinstance(value, list):
        said = turns(value, what) if value else []
        if len(said) != 1 or said[0]["role"] != "assistant":
            raise InputError(f"{what}: must be text or one message of the assistant")
        check_weight(said[0]["weight"], f"{what}[0].weight")
        value = said[0]["content"]
    return checked_text(value, what)


def optional(record: Record, name: str) -> str:
    """Optional text; absent and null are empty."""
    value = record.get(name)
    return "" if value is None else checked_text(value, name)
