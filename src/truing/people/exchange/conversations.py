"""Conversations in records: messages of role and content, or ShareGPT's of from and value."""

from __future__ import annotations

from typing import Any

from truing.data.demonstration_file import UNWEIGHTED
from truing.data.messages import SPEAKERS, Messages, checked_messages, checked_text
from truing.people.exchange.items import Item, LeftOut
from truing.people.exchange.keys import Form, check_keys
from truing.types import InputError

_MESSAGE = Form("message", frozenset(("role", "content")), frozenset(("name", "weight")), None)
_SHAREGPT = ("from", "value")
OPEN = "the conversation ends with the user's turn"
"""Why a conversation brings a prompt and no answer."""


def check_weight(value: object, what: str) -> None:
    """Raises LeftOut for 0, of which nobody is to learn, and InputError for what isn't 0 or 1."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in (0, 1):
        raise InputError(f"{what}: {value!r} is neither 0 nor 1; give one of these, or none")
    if value == 0:
        raise LeftOut(UNWEIGHTED)


def turns(value: object, what: str) -> list[dict[str, Any]]:
    """Messages with role and content, and a weight where they have one. Raises InputError."""
    if not isinstance(value, list) or not value:
        raise InputError(f"{what}: must be a list of messages with role and content")
    return [_turn(message, f"{what}[{number}]") for number, message in enumerate(value)]


def _turn(message: object, where: str) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise InputError(f"{where}: must be an object with role and content")
    if message.keys() >= set(_SHAREGPT) and "role" not in message:
        rest = {key: value for key, value in message.items() if key not in _SHAREGPT}
        speaker = message["from"]
        role = SPEAKERS.get(speaker, speaker) if isinstance(speaker, str) else speaker
        message = {"role": role, "content": message["value"], **rest}
    try:
        check_keys(message, _MESSAGE, [_MESSAGE])
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return {name: message.get(name) for name in ("role", "content", "weight")}


def prompt_and_answer(value: object, what: str) -> tuple[Messages, str]:
    """The prompt in a conversation and the assistant's last answer, empty where the user has the last word.

    The turns before it are its context, whatever they weigh. Raises InputError naming the message that is
    wrong, and LeftOut where the answer weighs nothing.
    """
    said = turns(value, what)
    last = said[-1]
    if last["role"] != "assistant":
        return checked_messages(said, what), ""
    check_weight(last["weight"], f"{what}[{len(said) - 1}].weight")
    answer = checked_text(last["content"], f"{what}[{len(said) - 1}].content")
    return checked_messages(said[:-1], what), answer


def answered(prompt: Messages, answer: str, candidate: str, wanted: bool | None) -> list[Item]:
    """A prompt with an answer: to be imitated, or a candidate's, or one that people want or don't."""
    if wanted is not None:
        return [Item(prompt, completions=[(candidate, answer)], wanted=wanted)]
    if candidate:
        return [Item(prompt, completions=[(candidate, answer)])]
    return [Item(prompt, demonstration=answer)]
