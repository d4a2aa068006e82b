"""Rubrics by their name, from a file, or as they stand in a spec."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from truing.data.texts import built_in_text
from truing.files import read_text
from truing.spec.part import worded
from truing.spec.rubric import RubricSpec
from truing.spec.yaml_text import yaml_value
from truing.types import InputError, did_you_mean

RUBRICS = ("helpful", "informative", "outcome", "rule", "truth")
"""The built-in rubrics by name."""
_ENDINGS = (".yaml", ".yml", ".json")


def is_rubric_file(name: object) -> bool:
    """Whether what stands for a rubric is the path of a file."""
    return isinstance(name, str) and name.lower().endswith(_ENDINGS)


def rubric_named(rubric: str | RubricSpec, where: str) -> RubricSpec:
    """A rubric: built in, from a file, or as it is. Raises InputError, in one line, where it is wrong."""
    if isinstance(rubric, RubricSpec):
        return rubric
    if rubric in RUBRICS:
        return _read(built_in_text("rubrics", f"{rubric}.yaml"), f"the built-in rubric {rubric}")
    if is_rubric_file(rubric):
        path = Path(rubric).expanduser()
        if not path.is_file():
            raise InputError(f"{where}: {rubric}: no such file; give a YAML or JSON rubric")
        return read_rubric(path)
    hint = did_you_mean(rubric, RUBRICS)
    raise InputError(
        f"{where}: unknown rubric {rubric!r}; {hint}known: {', '.join(RUBRICS)}; or give a file "
        f"({', '.join(_ENDINGS)})"
    )


def read_rubric(path: Path) -> RubricSpec:
    """The rubric in a YAML or JSON file. Raises InputError naming the file and what is wrong in it."""
    return _read(read_text(path), str(path))


def _read(text: str, where: str) -> RubricSpec:
    value = yaml_value(text, where)  # JSON is YAML, too
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: a rubric is a mapping with name, asks and scale")
    return parsed_rubric(value, where)


def parsed_rubric(value: Mapping[str, Any], where: str) -> RubricSpec:
    """The rubric that a mapping means. Raises InputError naming `where` and the key that is wrong."""
    try:
        return RubricSpec.model_validate(dict(value))
    except ValidationError as error:
        raise InputError(worded(error.errors()[0], RubricSpec, where)) from None


def rubric_text(rubric: RubricSpec) -> str:
    """All of a rubric as one text, for keys and hashes."""
    return json.dumps(rubric.model_dump(mode="json"), ensure_ascii=False)
