"""The spec: what it refuses, in which words, and that every field says what it is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.types import InputError

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"modle": "x"}, "modle: unknown key; did you mean 'model'?"),
    (
        {"sft": {"epochs": 0}},
        "sft.epochs: Input should be greater than or equal to 1, got 0",
    ),
    ({"rl": {"stepz": 1}}, "rl.stepz: unknown key; did you mean 'steps'?"),
    (
        {"rl": {"adapter": {"kind": "lo-ra"}}},
        "rl.adapter.kind: Input should be 'lora' or 'full', got 'lo-ra'",
    ),
    ({"seeds": [1, 1]}, "seeds: each may be named once"),
    ({"data": {"held_out": float("nan")}}, "data.held_out: Input should be a finite number"),
]


@pytest.mark.parametrize(("data", "message"), WRONG)
def test_one_message_from_a_notebook_and_from_a_file(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as called:
        Spec(**data)
    assert str(called.value).startswith(f"spec: {message}")
    with pytest.raises(InputError) as read:
        make_spec(data, where="a.yaml")
    assert str(read.value).startswith(f"a.yaml: {message}")
    assert "\n" not in str(called.value)


def test_a_call_and_a_mapping_give_the_same_spec() -> None:
    data: dict[str, Any] = {"model": "m", "sft": {"epochs": 3}, "seeds": [4, 5]}
    assert Spec(**data) == make_spec(data, profile=None)
    assert Spec(**data).digest() == make_spec(data, profile=None).digest()
    assert Spec(sft=Spec(**data).sft).sft.epochs == 3


def _undescribed(part: type[BaseModel], prefix: str = "") -> list[str]:
    missing = []
    for name, field in part.model_fields.items():
        if not field.description:
            missing.append(f"{prefix}{name}")
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            missing += _undescribed(kind, f"{prefix}{name}.")
    return missing


def test_every_field_has_a_description() -> None:
    assert _undescribed(Spec) == []
    assert _undescribed(_Bare, "bare.") == ["bare.silent"]  # the test can fail


class _Bare(BaseModel):
    silent: int = 1
