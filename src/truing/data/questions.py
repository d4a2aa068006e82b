"""Questions with true and false answers: the built-in ones, and those of a user's files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

from truing.data.drafts import cases_from, mistake, utf8_text
from truing.data.question_csv import csv_drafts
from truing.data.question_json import json_drafts, jsonl_drafts
from truing.hints import did_you_mean
from truing.types import Case

ENDINGS = (".csv", ".json", ".jsonl")


def parse_questions(file: str, data: bytes) -> tuple[Case, ...]:
    """The cases in the bytes of a file, in order; its name tells its format and stands in messages.

    Text is UTF-8, with or without a byte order mark. Correct answers begin with the best one.
    Raises InputError at the first mistake: `file:line: field: what is wrong; what would be right`.
    """
    path = Path(file)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        wrong = f"the ending {ending!r} is not known" if ending else "the file name has no ending"
        raise mistake(file, None, "", wrong, f"name it {', '.join(ENDINGS)} after its format")
    text = utf8_text(file, data)
    if ending == ".csv":
        subject = re.sub(r"_(dev|test|val)$", "", path.stem).replace("_", " ")
        return cases_from(file, csv_drafts(file, text, subject))
    return cases_from(file, (json_drafts if ending == ".json" else jsonl_drafts)(file, text))


def read_questions(path: Path) -> tuple[Case, ...]:
    """The cases in a CSV, JSON or JSONL file. Raises InputError where it can't be read."""
    file = str(path)
    right = f"give 'built-in' or a file ending in {', '.join(ENDINGS)}"
    try:
        if path.is_dir():
            raise mistake(file, None, "", "this is a folder", right)
        data = path.read_bytes()
    except FileNotFoundError:
        right = did_you_mean(file, ["built-in", "none"]).strip() or right
        raise mistake(file, None, "", "no such file", right) from None
    except (OSError, ValueError) as error:
        raise mistake(file, None, "", f"can't be read ({error})", right) from None
    return parse_questions(file, data)


def _built_in(name: str) -> tuple[Case, ...]:
    resource = files("truing.data").joinpath("built_in", name)
    return parse_questions(f"built-in {name}", resource.read_bytes())


def load_questions(source: str | Path) -> tuple[Case, ...]:
    """The built-in questions that tempt into a misconception (`built-in`), or those of a file."""
    if source == "built-in":
        return _built_in("misconceptions.jsonl")
    return read_questions(Path(source))


def load_controls(source: str | Path) -> tuple[Case, ...]:
    """Questions of the same form without a misconception: `built-in`, `none`, or a file's."""
    if source == "none":
        return ()
    return _built_in("controls.jsonl") if source == "built-in" else read_questions(Path(source))


def load_several(sources: Sequence[str]) -> tuple[Case, ...]:
    """Control questions of several sources: as for `load_controls`, or folders of question files.

    Files take turns, question by question, so that the first n come from all of them. A question that
    comes again is left out. Raises InputError where a source can't be read, or a folder has no
    question file.
    """
    read = [load_controls(file) for source in sources for file in _files(source)]
    turns = (case for turn in zip_longest(*read) for case in turn if case is not None)
    return tuple({case.id: case for case in turns}.values())


def _files(source: str) -> list[str | Path]:
    """A folder's question files in the order of their names; anything else is itself."""
    folder = Path(source)
    if source in ("built-in", "none") or not folder.is_dir():
        return [source]
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not found:
        right = f"name a folder of files ending in {', '.join(ENDINGS)}"
        raise mistake(source, None, "", "no question file in this folder", right)
    return list(found)


__all__ = ["load_controls", "load_questions", "load_several", "parse_questions", "read_questions"]
