"""The spec's part about defences: candidates that are to keep rules under attack."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from truing.spec.methods import MethodName
from truing.spec.part import Part
from truing.spec.registries import registry
from truing.types import did_you_mean

_TAKEN = ("base", "reward", "evaluation", "evaluate", "judges", "total")
"""Names that a run has for something else."""

DEFENCES: dict[str, dict[str, Any]] = {
    "rule_told": {"method": "prompt", "options": {"remind": {"where": "before"}}},
    "sandwich": {"method": "prompt", "options": {"remind": {"where": "both"}}},
    "contrast_sft": {
        "method": "sft",
        "options": {
            "contrast": {},
            "learning_rate": 6e-4,
            "batch_size": 8,
            "epochs": 2,
            "min_steps": 88,
        },
    },
    "contrast_preference": {"method": "preference", "options": {"contrast": {}}},
    "contrast_rl": {"method": "rl", "options": {"contrast": {}}},
}
"""The built-in defences by name. Adding one is a line here."""


def is_empty(value: object) -> bool:
    """For lists that stand in a resolved spec only where there is something in them."""
    return not value


class DefenceSpec(Part):
    """A candidate made by one of the methods, with options of its own."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=60,  # files are named by it
        description="the candidate's name: small letters, digits and underscores",
    )
    method: MethodName = Field(description="how it is made")
    options: dict[str, Any] = Field(
        {}, description="keys of the method's section of the spec, laid over it"
    )

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name in (*registry("methods"), *_TAKEN):
            raise ValueError("a run has another thing of that name; give another")
        return name

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, data: Any) -> Any:
        """A built-in defence may be named in a word."""
        if not isinstance(data, str):
            return data
        if data not in DEFENCES:
            known = ", ".join(DEFENCES)
            raise ValueError(
                f"no built-in defence is called that; {did_you_mean(data, DEFENCES)}known: {known}; or "
                "give {name, method, options}"
            )
        return {"name": data, **DEFENCES[data]}
