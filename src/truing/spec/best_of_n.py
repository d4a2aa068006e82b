"""The spec's part about best-of-n: how many answers are drawn, and how."""

from __future__ import annotations

from pydantic import Field

from truing.spec.part import Part


class BestOfNSpec(Part):
    """Drawing n answers and giving the one that the reward likes best. Nothing is trained."""

    n: int = Field(16, ge=1, description="answers drawn for each question")
    temperature: float = Field(1.0, gt=0, description="at which they are drawn")
