"""Questions with true and false answers: the built-in ones, and those of a user's files."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

from truing.data.distinct import CaseFile, distinct_cases
from truing.data.drafts import cases_from, mistake
from truing.data.question_csv import csv_questions
from truing.data.question_json import json_drafts, jsonl_drafts
from truing.data.question_layouts import question_draft
from truing.data.tables import read_table
from truing.files import decoded
from truing.types import Case, did_you_mean

ENDINGS = (".csv", ".json", ".jsonl", ".tsv", ".parquet")


def question_file(source: str | Path) -> CaseFile:
    """The built-in questions that tempt into a misconception (`built-in`), or those of a file.

    Raises InputError where the file can't be read.
    """
    return _built_in("misconceptions.jsonl") if source == "built-in" else _read(Path(source))


def control_file(source: str | Path) -> CaseFile:
    """Questions of the same form without a misconception: `built-in`, `none`, or a file's."""
    if source == "none":
        return CaseFile((), 0, "none")
    return _built_in("controls.jsonl") if source == "built-in" else _read(Path(source))


def several_files(sources: Sequence[str]) -> CaseFile:
    """Control questions of several sources: as for `control_file`, or folders of question files.

    Files take turns, question by question, so that the first n come from all of them. A question that
    comes again is left out and counted. Raises InputError where a source can't be read, or a folder has
    no question file.
    """
    read = [control_file(file) for source in sources for file in _files(source)]
    if len(read) == 1:
        return read[0]
    turns = zip_longest(*(each.cases for each in read))
    cases = (case for turn in turns for case in turn if case is not None)
    counted = sum((Counter(each.left_out) for each in read), Counter[str]())
    remarks = [f"{each.source}: {remark}" for each in read for remark in each.remarks]
    whole = distinct_cases(cases, ", ".join(sources), counted, remarks)
    return whole.with_repeated(sum(each.repeated for each in read))


def _files(source: str) -> list[str | Path]:
    """A folder's question files in the order of their names; anything else is itself."""
    folder = Path(source)
    if source in ("built-in", "none") or not folder.is_dir():
        return [source]
    listed = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not listed:
        right = f"name a folder of files ending in {', '.join(ENDINGS)}"
        raise mistake(source, None, "", "no question file in this folder", right)
    return list(listed)


@functools.cache
def _built_in(name: str) -> CaseFile:
    resource = files("truing.data").joinpath("built_in", name)
    return _parsed(f"built-in {name}", resource.read_bytes())


def _read(path: Path) -> CaseFile:
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
    if path.suffix.lower() == ".parquet":
        rows = read_table(file, "questions").rows
        drafts = (question_draft(file, n, row.values) for n, row in enumerate(rows, 1))
        return cases_from(file, drafts)
    return _parsed(file, data)


def _parsed(file: str, data: bytes) -> CaseFile:
    path = Path(file)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        wrong = f"the ending {ending!r} is not known" if ending else "the file name has no ending"
        raise mistake(file, None, "", wrong, f"name it {', '.join(ENDINGS)} after its format")
    text = decoded(file, data)
    if ending in (".csv", ".tsv"):
        subject = re.sub(r"_(dev|test|val)$", "", path.stem).replace("_", " ")
        read = csv_questions(file, text, subject, "," if ending == ".csv" else "\t")
        return cases_from(file, read.drafts, read.remarks)
    return cases_from(file, (json_drafts if ending == ".json" else jsonl_drafts)(file, text))


def parse_questions(file: str, data: bytes) -> tuple[Case, ...]:
    """The cases in the bytes of a text file, in order; its name tells its format and stands in messages.

    Text is UTF-8, with or without a byte order mark. Correct answers begin with the best one.
    Raises InputError at the first mistake: `file:line: field: what is wrong; what would be right`.
    """
    return _parsed(file, data).cases


def load_questions(source: str | Path) -> tuple[Case, ...]:
    """The cases of `question_file`, where nothing is to be said of how they were read."""
    return question_file(source).cases
