"""Prompts without answers, from a user's file: JSONL with a "prompt" in each line, or plain text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from truing.data.distinct import CaseFile, distinct_cases
from truing.data.drafts import bad_json, mistake
from truing.files import NotJSONError, decoded, json_value, numbered_lines
from truing.types import Case

ENDINGS = (".jsonl", ".txt")
_RIGHT = "give .jsonl with a 'prompt' in each line, or .txt with one prompt a line"


def read_prompts(path: Path) -> CaseFile:
    """The prompts of a file in order, blank lines left out; repetitions are left out and counted.

    Each case's `source` is `file:line`, so that a later message can name it. Where a line has more than
    its prompt, the case has all of it as columns, for rewards. Raises InputError at the
    first mistake: a missing or empty file, an unknown ending, text that isn't UTF-8, a line that
    holds no prompt.
    """
    file = str(path)
    if path.suffix.lower() not in ENDINGS:
        raise mistake(file, None, "", f"the ending {path.suffix!r} is not known", _RIGHT)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise mistake(file, None, "", "no such file", _RIGHT) from None
    except OSError as error:
        raise mistake(file, None, "", f"can't be read ({error})", _RIGHT) from None
    read = _prompt if path.suffix.lower() == ".jsonl" else _line
    lines = numbered_lines(decoded(file, data))
    cases = [_case(read(file, number, line), f"{file}:{number}") for number, line in lines]
    if not cases:
        raise mistake(file, None, "", "holds no prompt", _RIGHT)
    return distinct_cases(cases, file)


def _case(row: dict[str, Any], source: str) -> Case:
    columns = row if row.keys() != {"prompt"} else {}
    return Case(row["prompt"].strip(), source=source, columns=columns)


def _line(file: str, number: int, line: str) -> dict[str, Any]:
    return {"prompt": line}


def _prompt(file: str, number: int, line: str) -> dict[str, Any]:
    right = 'give an object like {"prompt": "Why is the sky blue?"}'
    try:
        record = json_value(line, None)
    except NotJSONError as error:
        raise bad_json(file, number, error, right) from None
    if not isinstance(record, dict):
        raise mistake(file, number, "", f"{type(record).__name__} where an object belongs", right)
    prompt = record.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        wrong = "no 'prompt'" if "prompt" not in record else "not a text with something in it"
        raise mistake(file, number, "prompt", wrong, right)
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError:
        raise mistake(file, number, "prompt", "half of a surrogate pair", right) from None
    return record
