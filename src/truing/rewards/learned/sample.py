"""Judgements as numbers: their answers in one list, what each says of which, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from truing.data.left_out import LeftOutRows
from truing.data.messages import Turns
from truing.models.engine.tree import PromptWithContinuations
from truing.prompts.rendering import Prompt, Renderer
from truing.rewards.learned.judgements import Judgement, Judgements
from truing.statistics.judgement_likelihood import (
    Likelihood,
    Opinion,
    Ranked,
    Rated,
    Ties,
    likelihood,
)
from truing.types import InputError

Said = tuple[Turns, str]
"""A conversation up to the user's last turn, and an answer."""
_NO_PROMPT = Prompt()


@dataclass(frozen=True)
class Sample:
    """J judgements of A distinct answers. Those of one conversation stand together.

    `prompt` (J,) and `person` (J,) say what each is about and who judged, `prompt_of_answer` (A,) the
    same of answers; `group` (J,) is what the person says of itself, empty where nothing is known.
    """

    answers: tuple[Said, ...]
    opinions: tuple[Opinion, ...]
    kinds: tuple[str, ...]
    prompt: tuple[str, ...]
    person: tuple[str, ...]
    group: tuple[str, ...]
    prompt_of_answer: tuple[str, ...]

    @staticmethod
    def of(judgements: Sequence[Judgement], dimension: str = "") -> Sample:
        """The judgements in their order; `group` is what people say of themselves in this dimension."""
        said = dict.fromkeys(
            (each.messages, answer) for each in judgements for answer in each.answers
        )
        answers = sorted(said, key=itemgetter(0))
        place = {answer: number for number, answer in enumerate(answers)}
        opening = {each.messages: each.opening for each in judgements}
        return Sample(
            tuple(answers),
            tuple(_opinion(each, place) for each in judgements),
            tuple(each.kind for each in judgements),
            tuple(each.opening for each in judgements),
            tuple(each.annotator for each in judgements),
            tuple(each.groups.get(dimension, "") for each in judgements),
            tuple(opening[messages] for messages, _ in answers),
        )

    def likelihood(self, ties: Ties, like: Likelihood | None = None) -> Likelihood:
        """What they say of the answers' scores, with the thresholds of another sample's where one is
        given."""
        return likelihood(self.opinions, len(self.answers), ties, like)

    def __len__(self) -> int:
        return len(self.opinions)

    def folds(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The fold of each judgement (J,) and of each answer (A,): prompts, by size, to the fold that has
        least so far."""
        names, sizes = np.unique(np.array(self.prompt), return_counts=True)
        filled, fold_of = np.zeros(min(count, len(names))), {}
        for place in np.lexsort((names, -sizes)):
            fold_of[str(names[place])] = int(filled.argmin())
            filled[filled.argmin()] += sizes[place]
        of_judgements = np.array([fold_of[each] for each in self.prompt])
        return of_judgements, np.array([fold_of[each] for each in self.prompt_of_answer])


def _opinion(judgement: Judgement, place: dict[Said, int]) -> Opinion:
    answers = tuple(place[judgement.messages, answer] for answer in judgement.answers)
    if judgement.rating is not None:
        return Rated(answers[0], judgement.rating)
    return Ranked(answers, judgement.ranks)


def requests(renderer: Renderer, answers: Sequence[Said]) -> list[PromptWithContinuations]:
    """Tokens of answers, a request for each run of neighbours with one conversation; no instruction."""
    return [
        renderer.scoring_request(
            renderer.conversation(_NO_PROMPT, _messages(turns)),
            [answer for _, answer in group],
            end=True,
        )
        for turns, group in groupby(answers, key=itemgetter(0))
    ]


def _messages(turns: Turns) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def readable(read: Judgements, renderer: Renderer, most: int) -> Judgements:
    """Those whose conversations the model can read: rendered, and in at most so many tokens.

    Raises InputError where there is none.
    """
    most = min(most, renderer.model.context_length)
    left_out = LeftOutRows()
    length_of: dict[Turns, int | str] = {}
    kept = []
    for each in read.judgements:
        before = length_of.setdefault(each.messages, _length(renderer, each.messages))
        reason = before if isinstance(before, str) else ""
        if not isinstance(before, str):
            longest = max(len(renderer.answer_tokens(text, end=True)) for text in each.answers)
            reason = f"longer than {most} tokens" if before + longest > most else ""
        if reason:
            left_out.add(reason, each.source)
        else:
            kept.append(each)
    result = read.without(left_out.counts, kept, left_out.first)
    if not kept:
        raise InputError(
            f"{read.source}: no judgement that the model can read ({result.reasons}); raise "
            "reward_model.max_tokens, or take a model with a longer context"
        )
    return result


def _length(renderer: Renderer, turns: Turns) -> int | str:
    """Tokens of a conversation, or why its template refuses it."""
    try:
        return len(renderer.conversation(_NO_PROMPT, _messages(turns)))
    except InputError as error:
        return str(error)
