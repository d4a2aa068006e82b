"""Scales for surveys that declare none: a file says which options stand in which order.

A list in YAML or JSON: `[Very good, Good, Bad, Very bad]` has equal steps in this order, `{options: [...],
positions: [...]}` has given ones. It holds for every question with just these options, refusals aside, in
whatever order they are printed; a scale that the survey declares stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from truing.data.drafts import mistake
from truing.data.surveys.question import AskedQuestion, AskedSurvey
from truing.files import read_text
from truing.spec.yaml_text import yaml_value
from truing.types import normalised

Scales = Mapping[frozenset[str], Mapping[str, float]]
"""By the options' plain texts: the position of each."""
_RIGHT = "give [Very good, Good, Bad], or {options: [...], positions: [...]}"


def read_scales(path: Path) -> Scales:
    """The scales in a file. Raises InputError naming the first that is none, or stands twice."""
    file = str(path)
    value = yaml_value(read_text(path), file, as_text=True)  # JSON is YAML
    if not isinstance(value, list):
        raise mistake(file, None, "", "no list of scales in it", _RIGHT)
    scales: dict[frozenset[str], Mapping[str, float]] = {}
    for number, each in enumerate(value, 1):
        positions = _scale(file, f"scale {number}", each)
        key = frozenset(positions)
        if key in scales:
            wrong = f"the options of scale {number} have a scale already"
            raise mistake(file, None, "", wrong, "leave one of the two out")
        scales[key] = positions
    return scales


def _scale(file: str, field: str, value: Any) -> Mapping[str, float]:
    options = value.get("options") if isinstance(value, Mapping) else value
    if not isinstance(options, list) or len(options) < 2:
        raise mistake(file, None, field, "no list of two options or more", _RIGHT)
    given = value.get("positions") if isinstance(value, Mapping) else range(len(options))
    try:
        positions = [float(each) for each in given or ()]
    except (TypeError, ValueError):
        raise mistake(file, None, field, "a position that is no number", _RIGHT) from None
    texts = [normalised(str(each)) for each in options]
    if len(positions) != len(texts):
        wrong = f"{len(positions)} positions for {len(texts)} options"
        raise mistake(file, None, field, wrong, _RIGHT)
    if len(set(texts)) < len(texts) or len(set(positions)) < len(positions):
        wrong = "an option or a position that stands twice"
        raise mistake(file, None, field, wrong, "leave one of the two out")
    return dict(zip(texts, positions, strict=True))


def with_scales(asked: AskedSurvey, scales: Scales, file: Path) -> AskedSurvey:
    """The survey with these scales for questions that have none."""
    questions = tuple(_scaled(each, scales) for each in asked.questions)
    without = sum(each.scale is None for each in questions)
    given = sum(each.scale is None for each in asked.questions) - without
    remark = f"{file} gives {given} question(s) a scale; {without} have none"
    return replace(asked, questions=questions, remarks=(*asked.remarks, remark))


def _scaled(asked: AskedQuestion, scales: Scales) -> AskedQuestion:
    refusals = {normalised(text) for text in asked.refusals}
    texts = [text for text in map(normalised, asked.options) if text not in refusals]
    positions = scales.get(frozenset(texts))
    if asked.scale is not None or positions is None:
        return asked
    return replace(asked, scale=tuple(positions[text] for text in texts))
