"""Overseers and advisers: any respondent, opened as `truing eval` opens candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from truing.evaluate.recorded import is_recorded
from truing.evaluate.respondent import Respondent
from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.sweep.respondents import Opener
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.remote.client import Connection
from truing.progress import Progress
from truing.prompts.rendering import Prompt
from truing.prompts.variants import OWN, PromptVariant
from truing.types import Case, Completion, Unscored

SPEAKS, CHOOSES = ("attacks",), ("truthfulness", "attacks")
"""Evaluations that ask for what an adviser and an overseer are asked for."""


@contextmanager
def opened(
    name: str,
    progress: Progress,
    *,
    seed: int = 0,
    chooses: bool = False,
    connection: Connection | None = None,
    accept_licence: bool = False,
) -> Iterator[Respondent]:
    """The respondent called so, without a prompt of its own, while the context lasts.

    Raises InputError where there is no such model, server or file.
    """
    spec = SweepSpec(CHOOSES if chooses else SPEAKS, (name,), seed=seed)
    plain = PromptVariant(OWN if is_recorded(name) else "none", prompt=Prompt())
    answers = AnswerStore()
    opener = Opener(
        spec,
        (plain,),
        ScoreStore(),
        answers,
        progress,
        connection or Connection(),
        accept_licence,
    )
    try:
        with opener.respondents(name, ()) as (respondent,):
            yield respondent
    finally:
        answers.close()


def replies(
    respondent: Respondent, prompts: Sequence[str], most: int, progress: Progress, what: str
) -> dict[str, Completion | Unscored]:
    """The reply to each prompt, by prompt; each is asked once."""
    asked = list(dict.fromkeys(prompts))
    if not asked:
        return {}
    with progress.task(f"{respondent.name}, {what}", total=len(asked)) as advance:
        answers = respondent.answer(
            [Case(prompt) for prompt in asked], most, advance=lambda done: advance(done)
        )
    return dict(zip(asked, answers, strict=True))
