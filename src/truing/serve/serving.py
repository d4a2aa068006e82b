"""`truing serve`: loads one candidate or two, prints where they are, serves them on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from truing.candidates import Candidate, open_candidate
from truing.people.addresses import Address, checked_token
from truing.people.annotators import new_token
from truing.people.serving import listen, run
from truing.people.store import open_store
from truing.serve.app import make_app
from truing.serve.arena import Arena
from truing.serve.engine import Engine
from truing.serve.page import visit_token
from truing.serve.service import Service
from truing.spec.run import EvaluationSpec
from truing.types import Dtype, InputError

DTYPE: Dtype = EvaluationSpec().dtype
"""As in truing chat, so that its tokens are the same."""


def serve(
    name: str,
    against: str | None = None,
    *,
    store: str | None = None,
    port: int,
    token: str | None = None,
    seed: int = 0,
    dtype: Dtype = DTYPE,
    accept_licence: bool = False,
    say: Callable[[str], object],
) -> None:
    """Serve a candidate until interrupted, or two `against` each other, whose sides the seed draws;
    `say` is given address, key and names. `dtype` is the precision of answers and scores.

    Without a token a new one is drawn. Raises InputError where candidates, store, token or port can't be
    used, ModelUnavailable where a model can't be had now.
    """
    checked_token(token)
    if against is not None:
        _check_different(name, against)
    token = token or new_token()
    with ExitStack() as stack:
        opened = None if store is None else stack.enter_context(closing(open_store(store)))
        listening = stack.enter_context(listen(port))
        candidates = _open([name] if against is None else [name, against], dtype, accept_licence)
        engines = [_engine(each, len(candidates), stack) for each in candidates]
        first = Service(candidates[0], engines[0], opened)
        others = [first.beside(*each) for each in zip(candidates[1:], engines[1:], strict=True)]
        served = Arena(first, others[0], seed) if others else first
        address = Address(listening.getsockname()[1])
        _announce(served, address, token, say)
        app = make_app(served, token, port=address.port)
        run(app, listening, lambda: _stop(engines))


def _check_different(name: str, against: str) -> None:
    if name == against or Path(name).expanduser().resolve() == Path(against).expanduser().resolve():
        raise InputError(f"{against}: named twice; give two different candidates, or one")


def _open(names: Sequence[str], dtype: Dtype, accept_licence: bool) -> list[Candidate]:
    """The candidates, by names that tell them apart; two of the same weights share them."""
    opened = [
        open_candidate(name, 0, dtype, accept_licence=accept_licence, choosing=True)
        for name in names
    ]
    candidates = [candidate for candidate, _ in opened]
    if len({each.name for each in candidates}) < len(candidates):
        candidates = [replace(c, name=given) for c, given in zip(candidates, names, strict=True)]
    if len({identity for _, identity in opened}) == 1:
        # One that chooses keeps its own model: its reward reads answers with it.
        model = next((c for c in candidates if c.best_of_n), candidates[0]).model
        candidates = [c if c.best_of_n else replace(c, model=model) for c in candidates]
    return candidates


def _engine(candidate: Candidate, engines: int, stack: ExitStack) -> Engine:
    prefix = candidate.renderer.shared_prefix(candidate.prompt)
    engine = Engine(candidate.model, prefix, engines=engines)
    stack.callback(engine.close)
    return engine


def _stop(engines: Sequence[Engine]) -> None:
    for engine in engines:
        engine.stop()


def _announce(
    served: Service | Arena, address: Address, token: str, say: Callable[[str], object]
) -> None:
    api = f"OpenAI's API: {address.base}/v1"
    if isinstance(served, Service):
        say(f"{api} (model {served.name}, key {token})")
        say(f"The page to talk to it: {address.link(token)}")
        return
    first, second = served.services
    say(f"{api} (models {first.name} and {second.name}, key {token})")
    say(f"The page to compare them, without names: {address.link(visit_token(token))}")
    shared = first.candidate.model is second.candidate.model
    say("Both use the same weights, held once." if shared else "Each holds weights of its own.")
    if first.store is None:
        say("Choices aren't kept; --store URL would keep them.")
