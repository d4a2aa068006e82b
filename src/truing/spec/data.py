"""The spec's part about texts: questions, prompts and what people wrote."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from truing.spec.part import Part


class DataSpec(Part):
    """Where the questions come from and how they are split."""

    questions: str = Field("built-in", description="'built-in', or a CSV, JSON or JSONL file")
    controls: str = Field("built-in", description="'built-in', 'none', or a file as for questions")
    held_out: float = Field(0.4, gt=0, lt=1, description="share of the questions held out")
    limit: int | None = Field(None, ge=4, description="at most this many questions")
    control_limit: int | None = Field(None, ge=1, description="at most this many control questions")
    prompts: str | None = Field(
        None,
        description="for `truing train rl`: a file of prompts to answer instead of the training "
        "questions, JSONL with a 'prompt' in each line or text with one prompt a line",
    )
    demonstrations: str | None = Field(
        None,
        description="answers that people wrote, to fine-tune on instead of the training questions' "
        "true answers: a store (a .db file or a database URL), or a JSONL or Parquet file",
    )
    consent: tuple[str, ...] = Field(
        (),
        description="of a store, only demonstrations whose prompts have one of these consents: "
        "given, public, own, unknown; without any, all",
    )
    preferences: str | None = Field(
        None,
        description="pairs of answers of which people preferred one, to learn from instead of the "
        "training questions' true and false answers: a file with chosen and rejected answers, or "
        "hub:org/name[:config]#split",
    )
    contaminated: Literal["keep", "drop"] = Field(
        "keep",
        description="what to do with demonstrations, preferences and judgements that hold an evaluation "
        "question",
    )
