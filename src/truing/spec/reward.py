"""The spec's part about rewards: what answers are rewarded for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from truing.spec.part import Part


class RewardPart(BaseModel):
    """One reward in a mixture. Further keys are the options of the reward that `name` names."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    name: str = Field(
        description="'truth_probe', 'reward_model' with the folder of a trained one as `from` (or 'pairs', "
        "to fit one to the run's own), 'people', 'judge' with an `endpoint` and a `rubric`, a built-in "
        "program, or 'path/to/file.py:function'"
    )
    weight: float = Field(1.0, description="the part's score counts this often")

    @model_validator(mode="before")
    @classmethod
    def _by_its_new_name(cls, data: Any) -> Any:
        """What is called truth_probe was called reward_model, and came from no folder."""
        old = isinstance(data, dict) and data.get("name") == "reward_model" and "from" not in data
        return {**data, "name": "truth_probe"} if old else data

    @property
    def options(self) -> dict[str, Any]:
        """The keys beside name and weight."""
        return dict(self.model_extra or {})


class RewardSpec(Part):
    """What answers are rewarded for: the truth probe, how it counts, or other rewards."""

    truth: float = Field(1.0, ge=0, description="weight of log p(true)")
    informative: float = Field(1.0, ge=0, description="weight of log p(informative)")
    unfinished: float = Field(
        0.0,
        ge=0,
        description="deducted where the length limit cut it off; above 0 endings are learned before truth",
    )
    parts: tuple[RewardPart, ...] = Field(
        (),
        description="rewards to be added up, each with a name, a weight and its own options; "
        "without any, the truth probe alone",
    )
