"""Candidates of `truing eval` opened one at a time: weights on this machine, or a server's model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from truing.candidates import Candidate, open_candidate
from truing.evaluate.endpoint_scoring import choose_mode, score_served
from truing.evaluate.scoring import Examinee, Scoring, score_wording
from truing.models.endpoint import Endpoint, EndpointName, is_endpoint
from truing.models.patient_client import Connection
from truing.models.plain import SENTENCE
from truing.models.score_store import ScoreStore
from truing.progress import Progress
from truing.prompts.wordings import Form, Wording
from truing.types import Case, Dtype

Advance = Callable[[int], object]


@dataclass(frozen=True)
class Opened:
    """`score` gives a wording's scores of some cases; `about` what is known of the model by now.

    `examinee` is the model itself where its weights are here.
    """

    score: Callable[[Wording, Sequence[Case], Advance], Scoring]
    about: Callable[[], dict[str, Any]]
    examinee: Examinee | None = None


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
) -> Iterator[Opened]:
    """The candidate called `name` while the context lasts.

    Raises InputError where there is no such model or server, ModelUnavailable where weights can't be
    had now.
    """
    if is_endpoint(name):
        yield from _served(name, form, seed, store, progress, connection or Connection())
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
        lambda: about,
        examinee,
    )


def _served(
    name: str, form: Form, seed: int, store: ScoreStore, progress: Progress, connection: Connection
) -> Iterator[Opened]:
    endpoint = Endpoint(EndpointName.parse(name), connection, progress.note)
    try:
        with progress.task(f"Asking {endpoint.name.url}"):
            mode, said = choose_mode(endpoint, form)
        progress.note(said)
        unknown = {
            "parameters": None,
            "architecture": "unknown",
            "weights": "unknown",
            "prompt": "",
        }
        yield Opened(
            lambda wording, cases, advance: score_served(
                endpoint, mode, wording, cases, store, seed, advance
            ),
            lambda: {**unknown, "scored": mode, **endpoint.about()},
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
