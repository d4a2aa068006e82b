"""The door for surveys: whatever form a file or folder has, questions with options and people's shares.

A form is told by what a source holds, never by a guess between two. What can't be measured is left out
with its reason.
"""

from __future__ import annotations

from pathlib import Path

from truing.data.drafts import mistake
from truing.data.surveys.json_lines import is_own_form, own_questions
from truing.data.surveys.question import GroupShares, Survey, SurveyQuestion, survey_of
from truing.data.tables import read_table

__all__ = ["GroupShares", "Survey", "SurveyQuestion", "read_survey"]

_RIGHT = 'give JSONL with {"question": ..., "options": [...], "scale": ..., "groups": {...}} in each line'


def read_survey(path: Path) -> Survey:
    """The survey in a file or folder of any known form. Raises InputError where the form is none of
    them, naming what is there."""
    source = str(path)
    table = read_table(source, "--survey")
    if not is_own_form(table.columns):
        wrong = f"no form of survey that is known; its columns: {', '.join(table.columns)}"
        raise mistake(source, None, "", wrong, _RIGHT)
    return survey_of(own_questions(table), source, remarks=table.remarks)
