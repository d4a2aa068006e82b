"""A prompt variant that a candidate is asked under, and where what is computed under it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.candidates import Candidate
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.prompts.variants import Context, Form, PromptVariant
from truing.types import Case, Dtype

HINT = "use a shorter prompt or another model"
"""What would help where nothing can be read by the model."""


@dataclass(frozen=True)
class StoredVariant:
    """A prompt variant in a form, and the stores on disk.

    Figures are filed under `weights`, the hash of all that decides them in the model, and the
    precision `dtype`.
    """

    prompt: PromptVariant
    form: Form
    weights: str
    dtype: Dtype
    scores: ScoreStore
    answers: AnswerStore


def rendered(candidate: Candidate, variant: StoredVariant, cases: Sequence[Case]) -> list[Context]:
    """What the answer to each case continues. Raises InputError where the wording can't be rendered."""
    return [
        variant.prompt.context(candidate.renderer, candidate.prompt, case, variant.form)
        for case in cases
    ]
