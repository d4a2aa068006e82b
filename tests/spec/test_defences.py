"""Defences in a spec: options over a method's section, and mistakes in them by their place."""

from __future__ import annotations

from typing import Any

import pytest

from truing.spec.defences import DEFENCES
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.types import InputError


def with_defences(*defences: Any, **over: Any) -> Spec:
    return make_spec({"task": {"name": "truthful", "defences": list(defences)}, **over})


def test_options_are_laid_over_the_methods_own_section() -> None:
    spec = with_defences(
        {"name": "slow", "method": "sft", "options": {"adapter": {"rank": 4}}}, sft={"epochs": 3}
    )
    made = spec.defended(spec.task.defences[0])
    assert (made.sft.adapter.rank, made.sft.epochs, made.sft.adapter.alpha) == (4, 3, 32.0)
    assert spec.sft.adapter.rank == 16 and made.rl == spec.rl


@pytest.mark.parametrize("name", DEFENCES)
def test_a_built_in_defence_is_named_in_a_word(name: str) -> None:
    spec = with_defences(name)
    assert spec.task.defences[0].name == name
    assert Spec.model_validate(spec.model_dump()) == spec
    assert spec.defended(spec.task.defences[0]) != spec


@pytest.mark.parametrize(
    ("defence", "message"),
    [
        ("sandwhich", "task.defences.0: .*did you mean 'sandwich'"),
        ({"name": "sft", "method": "sft"}, "task.defences.0.name: .*give another, got 'sft'"),
        ({"name": "base", "method": "sft"}, "task.defences.0.name: "),
        ({"name": "A-1", "method": "sft"}, "task.defences.0.name: "),
        ({"name": "a" * 61, "method": "sft"}, "task.defences.0.name: .*at most 60 characters"),
        ({"name": "a", "method": "sfd"}, "task.defences.0.method: .*did you mean 'sft'"),
        ({"name": "a", "method": "sft", "option": {}}, "task.defences.0.option: unknown key"),
        (
            {"name": "a", "method": "sft", "options": {"lerning_rate": 1}},
            "task.defences.0.options.lerning_rate: unknown key; did you mean 'learning_rate'",
        ),
        (
            {"name": "a", "method": "sft", "options": {"contrast": {"pair": 1}}},
            "task.defences.0.options.contrast.pair: unknown key; did you mean 'pairs'",
        ),
        (
            {"name": "a", "method": "sft", "options": {"contrast": {}, "distillation": 0.5}},
            "task.defences.0.options.distillation: has no use beside contrast",
        ),
        (
            {"name": "a", "method": "rl", "options": {"steps": 0}},
            "task.defences.0.options.steps: .*got 0",
        ),
        (
            {"name": "a", "method": "prompt", "options": {"remind": {"where": "above"}}},
            "task.defences.0.options.remind.where: ",
        ),
    ],
)
def test_a_mistake_is_named_by_its_place_in_one_line(defence: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^spec: {message}") as raised:
        with_defences(defence)
    assert "\n" not in str(raised.value)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match=r"^spec: task\.defences: 'sandwich' is there twice"):
        with_defences("sandwich", "sandwich")


def test_a_spec_without_defences_reads_as_before_there_were_any() -> None:
    spec = make_spec({})
    assert not any(word in spec.to_yaml() for word in ("defences", "contrast", "remind"))
    assert make_spec({"task": {"name": "truthful", "defences": []}}).digest() == spec.digest()
    assert with_defences("sandwich").digest() != spec.digest()


def test_a_contrast_of_before_the_kl_weight_keeps_its_digest() -> None:
    usual, learned = (make_spec({"sft": {"contrast": c}}) for c in ({}, {"kl_weight": 0}))
    written = [spec.model_dump()["sft"]["contrast"] for spec in (usual, learned)]
    assert ["kl_weight" in part for part in written] == [False, True]
    assert make_spec({"sft": {"contrast": {"kl_weight": 1.0}}}).digest() == usual.digest()
