"""The door for surveys: whatever form a file or folder has, questions with options and people's shares.

A form is told by what a source holds (its files, keys or columns), never by a guess between two. What
can't be measured is left out with its reason.
"""

from __future__ import annotations

from pathlib import Path

from truing.data.drafts import mistake
from truing.data.surveys.cells import COLUMNS as CELL_COLUMNS
from truing.data.surveys.cells import cell_questions
from truing.data.surveys.codebook import YAML
from truing.data.surveys.global_opinion_qa import (
    BY_COUNTRY,
    PUBLISHED,
    published_questions,
    questions_by_country,
)
from truing.data.surveys.json_lines import is_own_form, own_questions, own_records
from truing.data.surveys.opinion_qa import opinion_qa_survey, waves
from truing.data.surveys.question import (
    AskedSurvey,
    GroupShares,
    Survey,
    SurveyQuestion,
    survey_of,
)
from truing.data.surveys.respondents import codebook_survey
from truing.data.surveys.scales import read_scales, with_scales
from truing.data.surveys.statsmodels_data import ANES96, anes96_survey, unquoted
from truing.data.tables import read_table
from truing.files import read_text, write_jsonl_atomically
from truing.types import InputError

__all__ = [
    "GroupShares",
    "Survey",
    "SurveyQuestion",
    "measurable_survey",
    "read_survey",
    "survey_lines",
    "task_survey",
    "write_survey",
]

_RIGHT = (
    "give JSONL with question, options, scale and groups in each line, a codebook (YAML) that names "
    "respondents' answers, or GlobalOpinionQA's, OpinionQA's, popfidelity's or anes96's form"
)


def read_survey(path: Path, scales: Path | None = None) -> Survey:
    """The survey in a file or folder of any known form.

    `scales` is a file that declares scales for options that have none. Raises InputError where the form
    is none that is known, naming what is there.
    """
    asked = _asked(path)
    return survey_of(asked if scales is None else with_scales(asked, read_scales(scales), scales))


def measurable_survey(path: Path, scales: Path | None = None) -> Survey:
    """`read_survey` of one with questions. Raises InputError where none of them can be measured."""
    survey = read_survey(path, scales)
    if not survey.questions:
        first = f"; {survey.unscored[0][0]}: {survey.unscored[0][1]}" if survey.unscored else ""
        raise InputError(f"--survey {path}: no question that can be measured{first}")
    return survey


def task_survey(path: str | None) -> Survey | None:
    """The survey that a task names; None where it names none. Raises InputError as above."""
    return None if path is None else measurable_survey(Path(path))


def survey_lines(survey: Survey) -> tuple[str, ...]:
    """What a user is told of how a survey was read: remarks, and how much can't be measured."""
    left_out = survey.unscored
    first = f"{left_out[0][0]}: {left_out[0][1]}" if left_out else ""
    counted = f"{survey.source}: {len(left_out)} left out; the first: {first}"
    return (*survey.remarks, *([counted] if left_out else []))


def write_survey(survey: Survey, path: Path) -> None:
    """Write the questions in Truing's own form, JSONL."""
    write_jsonl_atomically(path, own_records(survey.questions))


def _asked(path: Path) -> AskedSurvey:
    source = str(path)
    if path.is_dir() and (folders := waves(path)):
        return opinion_qa_survey(folders, source)
    if path.suffix.lower() in YAML or _is_object(path):
        return codebook_survey(path)
    table = read_table(source, "--survey")
    columns = set(table.columns)
    unscored: list[tuple[str, str]] = []
    if is_own_form(table.columns):
        questions = own_questions(table)
    elif columns >= BY_COUNTRY:
        questions = questions_by_country(table, unscored)
    elif columns >= PUBLISHED:
        questions = published_questions(table)
    elif columns >= CELL_COLUMNS:
        questions = cell_questions(table, path)
    elif set(unquoted(table).columns) >= ANES96:
        return anes96_survey(table, source)
    elif columns >= {"question", "options"}:
        questions = own_questions(table)  # names the key that is unknown
    else:
        wrong = f"no form of survey that is known; its columns: {', '.join(table.columns)}"
        raise mistake(source, None, "", wrong, _RIGHT)
    asked = tuple(questions)
    return AskedSurvey(asked, source, tuple(unscored), table.remarks)


def _is_object(path: Path) -> bool:
    """Whether a file ending in .json holds one object: a codebook, as tables are lists."""
    return path.suffix.lower() == ".json" and read_text(path).lstrip().startswith("{")
