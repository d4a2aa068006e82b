"""Messages of a conversation, and texts that can be kept and shown."""

from __future__ import annotations

from truing.data.json_kinds import kind_of
from truing.types import InputError, stable_hash

MAX_TEXT = 100_000
"""Characters in one prompt or answer. Longer ones are refused: nobody can judge them on a page."""

Messages = list[dict[str, str]]
Turn = tuple[str, str]
"""(role, content)."""
Turns = tuple[Turn, ...]
ROLES = ("system", "user", "assistant")
SPEAKERS = {
    **{role: role for role in ROLES},
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
}
"""Roles by what files call them, ShareGPT's among them."""


def text_hash(text: str) -> str:
    """SHA-256 of exactly this text."""
    return stable_hash("text", text)


def prompt_hash(messages: Messages) -> str:
    """SHA-256 of exactly these messages."""
    return stable_hash("prompt", *(part for m in messages for part in (m["role"], m["content"])))


def turns_of(messages: Messages) -> Turns:
    """Messages as pairs of role and content."""
    return tuple((each["role"], each["content"]) for each in messages)


def stripped(turns: Turns) -> Turns:
    """Turns without white space at their ends: no reason to call two prompts different."""
    return tuple((role, content.strip()) for role, content in turns)


def checked_text(text: object, what: str) -> str:
    """`text` where it can be kept and shown. Raises InputError for what is empty, long or broken."""
    if not isinstance(text, str):
        raise InputError(f"{what}: must be text, not {kind_of(text)}")
    if not text.strip():
        raise InputError(f"{what}: empty; give some text")
    if len(text) > MAX_TEXT:
        raise InputError(f"{what}: {len(text):,} characters; at most {MAX_TEXT:,} can be judged")
    if "\0" in text:
        raise InputError(
            f"{what}: holds a NUL character, which can be neither kept nor shown; remove it"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{what}: holds half of a surrogate pair; write it as UTF-8") from None
    return text


def checked_messages(messages: object, what: str) -> Messages:
    """Messages that end with the user's. Raises InputError naming the message that is wrong."""
    if not isinstance(messages, list) or not messages:
        raise InputError(f"{what}: must be a list of messages with role and content")
    result: Messages = []
    for number, message in enumerate(messages):
        where = f"{what}[{number}]"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise InputError(f"{where}: must be an object whose role is {', '.join(ROLES)}")
        content = checked_text(message.get("content"), f"{where}.content")
        result.append({"role": message["role"], "content": content})
    if result[-1]["role"] != "user":
        raise InputError(f"{what}: a prompt ends with the user's message")
    return result
