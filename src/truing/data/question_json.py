"""Questions from JSON (a list of objects) and JSONL (one object a line).

- One's own: keys `question`, `correct_answers`, `incorrect_answers` (lists of texts), optionally
  `best_answer`, `category`, `source`. The built-in questions have this form.
- TruthfulQA's `mc_task.json`: `question`, `mc1_targets` and `mc2_targets` (answer: 1 or 0). The
  true answer of MC1 is the best one; MC1's other candidates are the false answers of MC2. Where there
  is `mc0_targets` (since 2025), its false answer is the best false one and stands first.
- OpenBookQA's: `question` with `stem` and `choices`, and `answerKey`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from truing.data.drafts import Draft, FieldNames, check_names, mistake
from truing.data.question_csv import choice_draft

REQUIRED = ("question", "correct_answers", "incorrect_answers")
KNOWN = (*REQUIRED, "best_answer", "category", "source")
Record = dict[str, Any]


def loads(
    file: str,
    line: int | None,
    text: str,
    hint: str,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:
    """The value of a JSON text. Raises InputError naming file and line, with `hint` as what is right.

    `parse_constant` is asked about NaN and Infinity, which Python takes for JSON; see `json.loads`.
    """
    try:
        return json.loads(text, parse_constant=parse_constant)
    except json.JSONDecodeError as error:
        at = error.lineno if line is None else line
        wrong = f"not valid JSON ({error.msg}, column {error.colno})"
        raise mistake(file, at, "", wrong, hint) from None
    except RecursionError:
        raise mistake(file, line or 1, "", "JSON nested too deeply", hint) from None
    except ValueError as error:
        raise mistake(file, line or 1, "", f"not valid JSON ({error})", hint) from None


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


def _text(file: str, line: int, record: Record, key: str) -> str:
    value = record.get(key)
    if value is None and key not in REQUIRED:
        return ""
    if not isinstance(value, str):
        raise mistake(
            file, line, key, f"{kind_of(value)} stands here", "give a text in double quotes"
        )
    return value


def kind_of(value: object) -> str:
    """What JSON calls the type of a value."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _texts(file: str, line: int, record: Record, key: str) -> list[str]:
    value = record[key]
    if not isinstance(value, list):
        raise mistake(
            file, line, key, f"{kind_of(value)} stands here", 'give a list: ["...", "..."]'
        )
    for number, item in enumerate(value, 1):
        if not isinstance(item, str):
            raise mistake(file, line, key, f"item {number} is {kind_of(item)}", "give texts only")
        if not item.strip():
            raise mistake(
                file, line, key, f"item {number} is empty", "give its text or leave it out"
            )
    return value


def _own(file: str, line: int, record: Record) -> Draft:
    check_names(file, line, "key", record, REQUIRED, KNOWN)
    return Draft(
        line,
        _text(file, line, record, "question"),
        _texts(file, line, record, "correct_answers"),
        _texts(file, line, record, "incorrect_answers"),
        _text(file, line, record, "best_answer"),
        _text(file, line, record, "category"),
        _text(file, line, record, "source"),
    )


def _targets(file: str, line: int, record: Record, key: str) -> dict[str, int]:
    value = record.get(key, {})
    if not isinstance(value, dict) or any(mark not in (0, 1) for mark in value.values()):
        right = 'give {"answer": 1 where it is true, 0 where it is false}'
        raise mistake(file, line, key, "not a mapping of answers to 1 or 0", right)
    return value


def _truthfulqa(file: str, line: int, record: Record) -> Draft:
    check_names(
        file, line, "key", record, ("question",), ("question", "mc1_targets", "mc2_targets")
    )
    mc0 = _targets(file, line, record, "mc0_targets")
    mc1 = _targets(file, line, record, "mc1_targets")
    mc2 = _targets(file, line, record, "mc2_targets")
    best = [answer for answer, mark in mc1.items() if mark]
    if mc1 and len(best) != 1:
        raise mistake(
            file, line, "mc1_targets", f"{len(best)} true answers", "mark exactly one with 1"
        )
    targets = [*mc1.items(), *mc2.items()]
    best_false = [answer for answer, mark in targets if not mark and mc0.get(answer) == 0]
    return Draft(
        line,
        _text(file, line, record, "question"),
        [answer for answer, mark in targets if mark],
        [*best_false, *(answer for answer, mark in targets if not mark)],
        best[0] if best else "",
        names=FieldNames("question", "mc2_targets", "mc2_targets"),
    )


def _openbookqa(file: str, line: int, record: Record) -> Draft:
    question = record.get("question")
    choices = question.get("choices") if isinstance(question, dict) else None
    if not isinstance(question, dict) or not isinstance(choices, list):
        right = 'give {"stem": "...", "choices": [{"text": "...", "label": "A"}, ...]}'
        raise mistake(file, line, "question", "no object with stem and choices", right)
    labels: list[str] = []
    texts: list[str] = []
    for number, choice in enumerate(choices, 1):
        pair = (
            (choice.get("label"), choice.get("text")) if isinstance(choice, dict) else (None, None)
        )
        if not (isinstance(pair[0], str) and isinstance(pair[1], str)):
            wrong = f"choice {number} has no text and label"
            raise mistake(file, line, "question", wrong, 'give {"text": "...", "label": "A"}')
        labels.append(pair[0])
        texts.append(pair[1])
    key = record.get("answerKey")
    if key not in labels:
        right = f"give one of {', '.join(labels)}"
        raise mistake(file, line, "answerKey", f"{key!r} names no choice", right)
    stem = _text(file, line, {"question": question.get("stem")}, "question")
    identifier = record.get("id")
    source = f"OpenBookQA {identifier}" if isinstance(identifier, str) else "OpenBookQA"
    return choice_draft(line, stem, texts, labels.index(key), "OpenBookQA", source, "answerKey")


def _draft(file: str, line: int, record: object) -> Draft:
    if not isinstance(record, dict):
        right = 'give {"question": ..., "correct_answers": [...], "incorrect_answers": [...]}'
        raise mistake(file, line, "", f"{kind_of(record)} where an object belongs", right)
    if "mc1_targets" in record or "mc2_targets" in record:
        return _truthfulqa(file, line, record)
    if isinstance(record.get("question"), dict) or "answerKey" in record:
        return _openbookqa(file, line, record)
    return _own(file, line, record)


def json_drafts(file: str, text: str) -> Iterator[Draft]:
    """The questions in the text of a JSON file, unchecked. Raises InputError on other JSON."""
    hint = "give a list of objects (a file with one object on each line is named .jsonl)"
    if not text.strip():
        raise mistake(file, None, "", "the file is empty", hint)
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
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            yield _draft(file, line, loads(file, line, content, hint))
