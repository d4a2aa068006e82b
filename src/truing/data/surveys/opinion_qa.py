"""OpinionQA's official folder: a wave of Pew's panel with info.csv, metadata.csv and responses.csv.

info.csv has each question, its options with refusals last (`references`) and the positions of the others
(`option_ordinal`, all equal where they have no order); metadata.csv has the groups; responses.csv has a
row a respondent with answers as text and a column WEIGHT_W<wave>. Lists are printed as Python prints
them. Its topics are pickled, which is never opened: a wave stands as the topic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from truing.data.drafts import mistake
from truing.data.surveys.codebook import AskedColumn, Codebook, code
from truing.data.surveys.printed import printed_list
from truing.data.surveys.question import AskedSurvey
from truing.data.surveys.respondents import respondents_survey
from truing.data.tables import TableRow, read_table

FILES = ("info.csv", "metadata.csv", "responses.csv")
_OFFICIAL = "give OpinionQA's official folder as it was published"


def waves(folder: Path) -> list[Path]:
    """The folders of that form: this one, or those in it."""
    candidates = (folder, *sorted(each for each in folder.iterdir() if each.is_dir()))
    return [each for each in candidates if all((each / name).is_file() for name in FILES)]


def opinion_qa_survey(folders: list[Path], source: str) -> AskedSurvey:
    """All questions of these waves. Raises InputError naming file, line and column."""
    parts = [_wave(folder) for folder in folders]
    return AskedSurvey(
        tuple(each for part in parts for each in part.questions),
        source,
        tuple(each for part in parts for each in part.unscored),
        tuple(f"{part.source}: {remark}" for part in parts for remark in part.remarks),
    )


def _wave(folder: Path) -> AskedSurvey:
    info, metadata, responses = (read_table(str(folder / name), "--survey") for name in FILES)
    weights = [name for name in responses.columns if name.startswith("WEIGHT_W")]
    if len(weights) != 1:
        wrong = f"{len(weights)} columns named WEIGHT_W<wave>"
        raise mistake(responses.name, None, "", wrong, _OFFICIAL)
    asked = tuple(
        _question(row, folder.name)
        for row in info.rows
        if _cell(row, "key") in responses.columns  # the rest wasn't asked in this wave
    )
    groups = {
        key: {text: text for text in _texts(row, "options")}
        for row in metadata.rows
        if (key := _cell(row, "key")) in responses.columns
    }
    book = Codebook("", "OpinionQA", asked, groups, weights[0])
    return respondents_survey(responses, book, str(folder))


def _question(row: TableRow, topic: str) -> AskedColumn:
    references = _texts(row, "references")
    positions = _numbers(row, "option_ordinal")
    options, refusals = references[: len(positions)], references[len(positions) :]
    scale = tuple(positions) if len(set(positions)) > 1 else None
    return AskedColumn(
        _cell(row, "key"),
        _cell(row, "question"),
        {code(each): each for each in options},
        scale,
        {code(each): each for each in refusals},
        topic,
    )


def _cell(row: TableRow, name: str) -> str:
    value = row.values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise mistake(row.place, None, name, "missing", _OFFICIAL)
    return value.strip()


def _list(row: TableRow, name: str) -> list[Any]:
    values = printed_list(_cell(row, name))
    if values is None:
        raise mistake(row.place, None, name, "no list as Python prints it", _OFFICIAL)
    return values


def _texts(row: TableRow, name: str) -> list[str]:
    return [str(each).strip() for each in _list(row, name)]


def _numbers(row: TableRow, name: str) -> list[float]:
    values = _list(row, name)
    if not all(isinstance(each, int | float) for each in values):
        raise mistake(row.place, None, name, "a position that is no number", _OFFICIAL)
    return [float(each) for each in values]
