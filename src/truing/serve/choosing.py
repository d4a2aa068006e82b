"""Best-of-n where people and programs ask: what one answer is chosen from, and which is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from truing.candidates import Candidate
from truing.models.decoding import Generation, Request
from truing.rewards.best_of_n import BestOfN
from truing.types import Case, Completion


def draws_of(candidate: Candidate) -> int:
    """How many texts are written for one answer."""
    return candidate.best_of_n.n if candidate.best_of_n else 1


def draws(candidate: Candidate, request: Request) -> list[Request]:
    """What is written for one answer: the request itself, or n draws of a candidate that chooses.

    They are drawn at the request's temperature; where that is 0, at the candidate's own.
    """
    chooser = candidate.best_of_n
    if chooser is None:
        return [request]
    temperature = request.temperature or chooser.temperature
    first = request.sample * chooser.n
    return [
        replace(request, temperature=temperature, sample=first + number)
        for number in range(chooser.n)
    ]


def choose(
    chooser: BestOfN, messages: Sequence[dict[str, str]], drawn: Sequence[Generation]
) -> int:
    """Which of the texts written for a conversation is given as its answer.

    Raises InputError where the reward fails.
    """
    turns = tuple((message["role"], message["content"]) for message in messages)
    case = Case(
        "\n\n".join(content for _, content in turns), messages=turns if len(turns) > 1 else ()
    )
    answers = [Completion(each.text, (), (), each.finish == "stop") for each in drawn]
    (best,) = chooser.best([case], [answers])
    return next(place for place, each in enumerate(answers) if each is best)
