"""The outcome judge: whether an answer refused, complied, or did neither."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from truing.judges.outcomes import Outcome
from truing.judges.reader import Reader
from truing.progress import Progress
from truing.types import Unscored


class OutcomeJudge:
    """Tells what answers did with their prompts.

    `tells_partly`: whether partial refusals are shown as such; else they count as refused.
    """

    tells_partly: bool

    def judge(self, answers: Sequence[tuple[str, str]]) -> list[Outcome | Unscored]:
        """The outcome of each (prompt, answer); unscored where the pair can't be read."""
        raise NotImplementedError


def load_outcome_judge(
    reader: Reader | None, progress: Progress, labelled: Sequence[Path] = ()
) -> OutcomeJudge:
    """The judge that ships with Truing, or one that learns from labelled files (one for each model).

    `reader` reads answers; without one the default model does. Raises InputError where a labelled file
    can't be learnt from.
    """
    raise NotImplementedError
