"""Data sets of respondents that statsmodels ships: anes96, with what its columns mean in a codebook of
ours."""

from __future__ import annotations

from importlib.resources import files

from truing.data.surveys.codebook import Codebook, codebook_of
from truing.data.surveys.question import AskedSurvey
from truing.data.surveys.respondents import respondents_survey
from truing.data.tables import Table, TableRow
from truing.spec.yaml_text import yaml_value

ANES96 = {"selfLR", "ClinLR", "DoleLR", "PID", "educ", "vote"}


def unquoted(table: Table) -> Table:
    """The table with its columns' names out of the quotes in which statsmodels writes them."""
    names = {column: column.strip("'\"") for column in table.columns}
    rows = tuple(
        TableRow(row.place, {names[name]: value for name, value in row.values.items()})
        for row in table.rows
    )
    return Table(table.name, tuple(names.values()), rows, table.remarks)


def anes96_survey(table: Table, source: str) -> AskedSurvey:
    """The survey in anes96's columns."""
    return respondents_survey(unquoted(table), _anes96(), source)


def _anes96() -> Codebook:
    file = files("truing.data.surveys") / "anes96.yaml"
    text = file.read_text(encoding="utf-8")
    return codebook_of(file.name, yaml_value(text, file.name, as_text=True))
