"""A mistake in a spec is told in the words of the spec, wherever in it it stands."""

from __future__ import annotations

from typing import Any

import pytest

from truing.tasks.reading import parsed
from truing.types import InputError

RULE = {"id": "r", "says": "x"}
PAIR = {"rule": "r", "contexts": ["a", "b", "c"]}
MAPPING, LIST, TEXT = "should be a mapping of names", "should be a list", "should be a text"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rules": [{**RULE, "itms": []}]}, "rules.0.itms: unknown key; did you mean 'items'?"),
        ({"rules": [{**RULE, "zz": 1}]}, "rules.0.zz: unknown key; known keys: id, says, stated,"),
        ({"rules": [{**RULE, "check": {"zz": 1}}]}, "check.zz: unknown key; known keys: program,"),
        (
            {"judges": {"a": {"program": "x", "zz": 1}}},
            "judges.a.zz: unknown key; known keys: program, label",
        ),
        (
            {"judges": {"program": {"program": "x", "zz": 1}}},
            "program.zz: unknown key; known keys: program, label",
        ),
        ({"reward": {"parts": [{"nmae": "x"}]}}, "reward.parts.0."),
        ({"rules": [{**RULE, "items": [3]}]}, f"rules.0.items.0: {MAPPING}"),
        ({"rules": [{**RULE, "items": {"a": 1}}]}, f"rules.0.items: {LIST}"),
        ({"rules": None}, f"rules: {LIST}"),
        ({"rules": ["x"]}, f"rules.0: {MAPPING}"),
        ({"contexts": ["x"]}, f"contexts: {MAPPING}"),
        ({"rules": [{**RULE, "id": 3}]}, f"rules.0.id: {TEXT}"),
        ({"pairs": [PAIR]}, "pairs.0.contexts: List should have at most 2 items, not 3"),
    ],
)
def test_a_mistake_inside_lists_and_choices_names_place_and_mend(
    data: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        parsed(data, "task.yaml")
    said = str(error.value)
    assert said.startswith("task.yaml: ") and message in said
    assert not any(word in said for word in ("tuple", "dict[", "valid"))


def test_what_was_given_is_not_shown_whole() -> None:
    with pytest.raises(InputError) as error:
        parsed({"rules": ["x" * 9999]}, "task.yaml")
    assert len(str(error.value)) < 400
