"""The ways in which a respondent's answers to a survey are read, and what a metric is called in each."""

from __future__ import annotations

from typing import Literal, get_args

Reading = Literal["letters", "text", "written"]
READINGS: tuple[Reading, ...] = get_args(Reading)
FIRST: Reading = "letters"
"""The reading whose metrics bear no prefix."""
OPINIONS = "opinions"
"""The evaluation's name."""


def metric_of_reading(reading: Reading, name: str) -> str:
    """A metric's name in a reading: `representativeness`, `text_representativeness`."""
    return name if reading == FIRST else f"{reading}_{name}"
