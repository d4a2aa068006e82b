"""What the columns of respondents' answers mean: a YAML or JSON file beside the table of answers.

Everything in it is text, as in the table: `Yes` and `1` stay what is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.data.drafts import bad_json, mistake
from truing.data.json_kinds import kind_of
from truing.data.surveys.json_lines import EQUAL
from truing.data.surveys.question import equal_steps
from truing.files import NotJSONError, json_value, one_of_each, read_text
from truing.spec.yaml_text import yaml_value
from truing.types import did_you_mean

YAML = (".yaml", ".yml")
_KEYS = ("responses", "source", "weight", "missing", "questions", "groups")
_QUESTION_KEYS = ("question", "options", "scale", "refusals", "topic")
_OPTIONS = "give {1: Very good, 2: Good}, or a list of the answers as they stand in the column"
_NULL = ("", "null", "~", "none")


@dataclass(frozen=True)
class AskedColumn:
    """A column of answers: what its codes mean, in the options' order; refusals likewise."""

    column: str
    question: str
    options: Mapping[str, str]
    scale: tuple[float, ...] | None
    refusals: Mapping[str, str]
    topic: str = ""


@dataclass(frozen=True)
class Codebook:
    """`groups`: for each column that tells groups apart its codes' names; None: values as they stand.
    `missing`: values that say nothing. `weight`: the column of weights, "" where people count alike."""

    responses: str
    source: str
    questions: tuple[AskedColumn, ...]
    groups: Mapping[str, Mapping[str, str] | None]
    weight: str = ""
    missing: tuple[str, ...] = ("", "NA", "NaN", "nan", ".")


def code(value: object) -> str:
    """A code as it is compared: 1, "1" and 1.0 are one."""
    text = "" if value is None else str(value).strip()
    head, point, tail = text.partition(".")
    return head if point and head.lstrip("-").isdigit() and tail and not tail.strip("0") else text


def read_codebook(path: Path) -> Codebook:
    """The codebook in a YAML or JSON file. Raises InputError naming the field that is wrong."""
    return codebook_of(str(path), _value(path))


def _value(path: Path) -> Any:
    text = read_text(path)
    if path.suffix.lower() in YAML:
        return yaml_value(text, str(path), as_text=True)
    try:
        return json_value(text, object_pairs_hook=one_of_each)
    except NotJSONError as error:
        raise bad_json(str(path), None, error, "give a codebook as an object") from None


def codebook_of(file: str, value: Any) -> Codebook:
    """The codebook in a value from YAML or JSON. Raises InputError as `read_codebook` does."""
    book = _mapping(file, "codebook", value, "give responses, questions and groups")
    _known(file, "", book, _KEYS)
    for name in ("responses", "questions"):
        if not book.get(name):
            right = "name the table of answers" if name == "responses" else "say what was asked"
            raise mistake(file, None, name, "missing", right)
    questions = _mapping(file, "questions", book["questions"], "give {column: {question: ...}}")
    groups = _mapping(file, "groups", book.get("groups") or {}, "give {column: {code: name}}")
    missing = book.get("missing")
    return Codebook(
        str(book["responses"]),
        str(book.get("source") or ""),
        tuple(_asked(file, str(name), each) for name, each in questions.items()),
        {str(name): _names(file, f"groups.{name}", each) for name, each in groups.items()},
        str(book.get("weight") or ""),
        *([tuple(map(code, _list(file, "missing", missing)))] if missing is not None else []),
    )


def _mapping(file: str, field: str, value: Any, right: str) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    raise mistake(file, None, field, f"{kind_of(value)} stands here", right)


def _list(file: str, field: str, value: Any) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    raise mistake(file, None, field, f"{kind_of(value)} stands here", "give a list")


def _known(file: str, place: str, value: Mapping[Any, Any], names: Sequence[str]) -> None:
    for name in value:
        if name not in names:
            right = f"{did_you_mean(str(name), names)}the keys are {', '.join(names)}"
            raise mistake(file, None, f"{place}{name}", "unknown key", right)


def _asked(file: str, column: str, value: Any) -> AskedColumn:
    field = f"questions.{column}"
    record = _mapping(file, field, value, "give {question: ..., options: {...}}")
    _known(file, f"{field}.", record, _QUESTION_KEYS)
    text = str(record.get("question") or "").strip()
    if not text:
        raise mistake(file, None, f"{field}.question", "missing", "give what people were asked")
    options = _coded(file, f"{field}.options", record.get("options"))
    refused = record.get("refusals")
    refusals = {} if not refused else _coded(file, f"{field}.refusals", refused)
    return AskedColumn(
        column,
        text,
        options,
        _scale(
            file,
            f"{field}.scale",
            record.get("scale"),
            equal_steps(list(options.values()), list(refusals.values())),
        ),
        refusals,
        str(record.get("topic") or "").strip(),
    )


def _coded(file: str, field: str, value: Any) -> Mapping[str, str]:
    """Codes and what they mean; of a list, what stands in the column is the text itself."""
    pairs = [(each, each) for each in value] if isinstance(value, list) else None
    if isinstance(value, Mapping):
        pairs = list(value.items())
    if pairs is None:
        raise mistake(file, None, field, f"{kind_of(value)} stands here", _OPTIONS)
    names = {code(key): str(text).strip() for key, text in pairs}
    if len(names) < len(pairs):
        raise mistake(file, None, field, "a code that stands twice", _OPTIONS)
    if empty := next((key for key, text in names.items() if not text), None):
        raise mistake(file, None, f"{field}.{empty}", "no text", _OPTIONS)
    return names


def _names(file: str, field: str, value: Any) -> Mapping[str, str] | None:
    if value is None or (isinstance(value, str) and value in _NULL):
        return None
    return _coded(file, field, value)


def _scale(file: str, field: str, value: Any, equal: tuple[float, ...]) -> tuple[float, ...] | None:
    if value is None or (isinstance(value, str) and value.lower() in _NULL):
        return None
    if value == EQUAL:
        return equal
    right = f"give a position for each option, '{EQUAL}' (steps in the listed order) or null"
    if not isinstance(value, list):
        raise mistake(file, None, field, f"{kind_of(value)} stands here", right)
    try:
        return tuple(float(each) for each in value)
    except (TypeError, ValueError):
        raise mistake(file, None, field, "a position that is no number", right) from None
