"""What a row asks and what it answers: text, or the turns of a conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from truing.data.columns import MESSAGES, Columns, Field
from truing.data.json_kinds import kind_of
from truing.data.messages import SPEAKERS, Turn, Turns
from truing.data.question_layouts import split_answers
from truing.data.tables import TableRow

_TURN = 'give {"role": "user", "content": "..."}'


def _keys(message: object) -> tuple[str, str] | None:
    """What a message calls its role and its content; None where it is no message."""
    if isinstance(message, Mapping):
        for keys in (("role", "content"), ("from", "value")):  # the latter is ShareGPT's form
            if set(keys) <= message.keys():
                return keys
    return None


def is_conversation(value: object) -> bool:
    """Whether a value is a list of messages."""
    return isinstance(value, list) and bool(value) and all(_keys(each) for each in value)


def messages_in(field: Field) -> list[Any]:
    """The messages in a value that must be a list of them; in CSV it is the JSON text of one."""
    value = field.value
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise field.wrong("a text where messages belong", f"give a list: {_TURN}") from None
    if not isinstance(value, list) or not value:
        wrong = "an empty list" if value == [] else f"{kind_of(value)} where messages belong"
        raise field.wrong(wrong, f"give a list: {_TURN}")
    return value


def turns_in(field: Field) -> Turns:
    """The turns of a conversation. A system message without text is left out; an answer at the end may
    lack its text.

    Raises InputError naming the message that is wrong: an unknown role, content that isn't text, a
    second system turn, or one that isn't the first.
    """
    turns: list[Turn] = []
    messages = messages_in(field)
    for number, message in enumerate(messages, 1):
        role, content = _turn(field, number, message)
        if not content.strip():
            if role == "system":
                continue
            if role == "user" or number < len(messages):
                raise field.wrong(f"message {number}: empty", "give its text")
        if role == "system" and turns:
            second = turns[0][0] == "system"
            wrong = "a second system turn" if second else "a system turn behind another"
            raise field.wrong(f"message {number}: {wrong}", "give one, as the first message")
        turns.append((role, content))
    return tuple(turns)


def _turn(field: Field, number: int, message: Any) -> Turn:
    keys = _keys(message)
    if keys is None:
        raise field.wrong(f"message {number}: no role and content", _TURN)
    role, content = message[keys[0]], message[keys[1]]
    if not isinstance(role, str) or role not in SPEAKERS:
        right = "give system, user or assistant"
        raise field.wrong(f"message {number}: the role {role!r} is not known", right)
    # An assistant's turn that calls a tool has no text in some files; it can't be imitated or shown.
    if not isinstance(content, str):
        raise field.wrong(f"message {number}: {keys[1]}: {kind_of(content)} stands here", _TURN)
    return SPEAKERS[role], field.whole(content)


def asked_in(columns: Columns, row: TableRow, role: str) -> tuple[Field, Turns]:
    """The column that asks, and its turns: a conversation, or one turn of the user.

    An instruction's `input` is a paragraph behind it. Whose the last turn is, isn't looked at. Raises
    InputError where nothing asks.
    """
    field = columns.of(row, role)
    if field is None:
        raise columns.missing(row, "prompt")
    if role == "messages" or field.plain in MESSAGES or isinstance(field.value, list):
        return field, turns_in(field)
    if not isinstance(field.value, str):
        raise field.wrong(f"{kind_of(field.value)} stands here", "give text, or a list of messages")
    given = columns.own(row, "input") if field.plain == "instruction" else None
    return field, (("user", f"{field.text}\n\n{given.text}" if given else field.text),)


def answers_in(field: Field | None) -> tuple[str, ...]:
    """The answers in a value, none twice: a text, or each text of a list of texts.

    In columns that are named as in files of questions (`correct_answers`), `;` separates the answers of
    a text. Messages give what the assistant says last. Anything else is one answer, its JSON text: a
    number, an object, a list that holds other things than texts.
    """
    if field is None:
        return ()
    value = field.value
    if isinstance(value, str):
        separated = field.plain in ("correct_answers", "incorrect_answers")
        return tuple(split_answers(field.text)) if separated else (field.text,)
    if is_conversation(value):
        return (ended_by_assistant(field)[1].strip(),)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(dict.fromkeys(field.whole(each.strip()) for each in value if each.strip()))
    return (field.whole(json.dumps(value, ensure_ascii=False, separators=(",", ":"))),)


def ended_by_assistant(field: Field) -> tuple[Turns, str]:
    """A conversation's turns up to the assistant's last, and what that says."""
    turns = turns_in(field)
    if not is_answered(field):
        raise field.wrong("doesn't end with the assistant's turn", "end with the answer")
    return turns[:-1], turns[-1][1]


def is_answered(field: Field) -> bool:
    """Whether a conversation ends with the assistant's turn."""
    return [role for role, _ in turns_in(field)][-1:] == ["assistant"]
