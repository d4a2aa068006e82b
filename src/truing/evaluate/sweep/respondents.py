"""Candidates of `truing eval` opened one at a time: weights on this machine, or a server's model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from truing.candidates import Candidate, open_candidate
from truing.evaluate.sweep.free_answers import FreeAnswers, answers_under
from truing.evaluate.sweep.scores import Examinee, Scoring, score_wording
from truing.evaluate.sweep.served_answers import choose_speech, served_answers
from truing.evaluate.sweep.served_scores import choose_mode, score_served
from truing.models.engine.plain import SENTENCE
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import Endpoint, EndpointName, is_endpoint
from truing.progress import Progress
from truing.prompts.wordings import Form, Wording
from truing.types import Case, Dtype

Advance = Callable[[int], object]


@dataclass(frozen=True)
class Opened:
    """`score` gives a wording's scores of some cases, `answer` the candidate's own answers to them in so
    many tokens at most; `about` is what is known of the model by now."""

    score: Callable[[Wording, Sequence[Case], Advance], Scoring]
    answer: Callable[[Wording, Sequence[Case], int, AnswerStore, Advance], FreeAnswers]
    about: Callable[[], dict[str, Any]]


@contextmanager
def opened(
    name: str,
    form: Form,
    dtype: Dtype,
    seed: int,
    store: ScoreStore,
    progress: Progress,
    *,
    connection: Connection | None = None,
    accept_licence: bool = False,
    free: bool = False,
) -> Iterator[Opened]:
    """The candidate called `name` while the context lasts. `free`: it will be asked for answers too.

    Raises InputError where there is no such model or server, ModelUnavailable where weights can't be
    had now.
    """
    if is_endpoint(name):
        yield from _served(name, form, seed, store, progress, connection or Connection(), free)
        return
    yield _local(name, form, dtype, seed, store, progress, accept_licence)


def _local(
    name: str,
    form: Form,
    dtype: Dtype,
    seed: int,
    store: ScoreStore,
    progress: Progress,
    accept_licence: bool,
) -> Opened:
    with progress.task(f"Loading {name}"):
        candidate, weights = open_candidate(name, seed, dtype, accept_licence=accept_licence)
    if candidate.model.plain:
        progress.note(f"{name}: {SENTENCE}")
    examinee = Examinee(candidate, weights, dtype)
    about = _about(candidate, weights)
    return Opened(
        lambda wording, cases, advance: score_wording(
            examinee, wording, form, cases, store, advance
        ),
        lambda wording, cases, most, answers, advance: answers_under(
            examinee, wording, form, cases, most, answers, advance
        ),
        lambda: about,
    )


def _served(
    name: str,
    form: Form,
    seed: int,
    store: ScoreStore,
    progress: Progress,
    connection: Connection,
    free: bool,
) -> Iterator[Opened]:
    endpoint = Endpoint(EndpointName.parse(name), connection, progress.note)
    try:
        with progress.task(f"Asking {endpoint.name.url}"):
            mode, said = choose_mode(endpoint, form)
            speech = choose_speech(endpoint, form) if free else None
        progress.note(said)
        unknown = {
            "parameters": None,
            "architecture": "unknown",
            "weights": "unknown",
            "prompt": "",
            "scored": mode,
            **({"answers": speech.interface} if speech else {}),
        }

        def answer(
            wording: Wording,
            cases: Sequence[Case],
            most: int,
            answers: AnswerStore,
            advance: Advance,
        ) -> FreeAnswers:
            assert speech, "opened without free"
            questions = [case.prompt for case in cases]
            return served_answers(endpoint, speech, wording, questions, most, answers, advance)

        yield Opened(
            lambda wording, cases, advance: score_served(
                endpoint, mode, wording, cases, store, seed, advance
            ),
            answer,
            lambda: {**unknown, **endpoint.about()},
        )
        if len(endpoint.fingerprints) > 1:
            progress.note(
                f"{endpoint.name.model}: the server's fingerprint changed meanwhile "
                f"({', '.join(map(repr, endpoint.fingerprints))}): more than one model or version may "
                "have answered."
            )
    finally:
        endpoint.close()


def _about(candidate: Candidate, weights: str) -> dict[str, Any]:
    network = candidate.model.model
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "architecture": network.config.model_type,
        "weights": weights,
        "prompt": candidate.prompt.id,
        "scored": "alone" if candidate.model.plain else "tree",
    }
