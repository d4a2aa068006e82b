"""Questions from JSON (a list of objects) and JSONL (one object a line), in any layout that is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from truing.data.drafts import Draft, bad_json, mistake
from truing.data.json_kinds import kind_of
from truing.data.question_layouts import question_draft
from truing.files import NotJSONError, json_value, numbered_lines, one_of_each, unix_line_ends


def loads(
    file: str,
    line: int | None,
    text: str,
    hint: str,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:
    """The value of a JSON text. Raises InputError naming file and line, with `hint` as what is right.

    A key that stands twice in an object is refused.
    `parse_constant` is asked about NaN and Infinity, which Python takes for JSON; see `json.loads`.
    """
    try:
        return json_value(text, parse_constant, object_pairs_hook=one_of_each)
    except NotJSONError as error:
        raise bad_json(file, line, error, hint) from None


def elements(text: str) -> Iterator[tuple[int, Any]]:
    """(line it begins on, value) of each element of a list in JSON that is known to be valid."""
    decoder, between = json.JSONDecoder(), re.compile(r"[\s,]*")
    position, line = text.index("[") + 1, 1 + text.count("\n", 0, text.index("["))
    while True:
        begins = between.match(text, position).end()  # type: ignore[union-attr]
        if text[begins] == "]":
            return
        line += text.count("\n", position, begins)
        value, position = decoder.raw_decode(text, begins)
        yield line, value
        line += text.count("\n", begins, position)


def _draft(file: str, line: int, record: object) -> Draft:
    if not isinstance(record, dict):
        right = 'give {"question": ..., "correct_answers": [...], "incorrect_answers": [...]}'
        raise mistake(file, line, "", f"{kind_of(record)} where an object belongs", right)
    return question_draft(file, line, record)


def json_drafts(file: str, text: str) -> Iterator[Draft]:
    """The questions in the text of a JSON file, unchecked. Raises InputError on other JSON."""
    hint = "give a list of objects (a file with one object on each line is named .jsonl)"
    if not text.strip():
        raise mistake(file, None, "", "the file is empty", hint)
    text = unix_line_ends(text)
    value = loads(file, None, text, hint)
    if not isinstance(value, list):
        raise mistake(file, 1, "", f"{kind_of(value)} where a list belongs", hint)
    for line, record in elements(text):
        yield _draft(file, line, record)


def jsonl_drafts(file: str, text: str) -> Iterator[Draft]:
    """The questions in the text of a JSONL file, unchecked. Blank lines don't count."""
    hint = "give one object on each line (a file with a list is named .json)"
    if not text.strip():
        raise mistake(file, None, "", "the file is empty", hint)
    for line, content in numbered_lines(text):
        yield _draft(file, line, loads(file, line, content, hint))
