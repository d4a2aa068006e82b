"""`truing serve`: loads the candidate, prints where it is, serves it on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, nullcontext

from truing.candidates import open_candidate
from truing.people.annotators import new_token
from truing.people.serving import HOST, check_token, link, listen, run
from truing.people.store import open_store
from truing.serve.app import make_app
from truing.serve.engine import Engine
from truing.serve.service import Service
from truing.spec.run import EvaluationSpec


def serve(
    name: str,
    *,
    store: str | None = None,
    port: int,
    token: str | None = None,
    accept_licence: bool = False,
    say: Callable[[str], object],
) -> None:
    """Serve a candidate until interrupted; `say` is given its address, key and name.

    Without a token a new one is drawn. Raises InputError where candidate, store, token or port can't be
    used, ModelUnavailable where the model can't be had now.
    """
    check_token(token)
    token = token or new_token()
    opened = None if store is None else open_store(store)
    with listen(port) as listening, closing(opened) if opened else nullcontext():
        number = listening.getsockname()[1]
        dtype = EvaluationSpec().dtype  # as in truing chat: the tokens are to be the same
        candidate, _ = open_candidate(name, 0, dtype, accept_licence=accept_licence, choosing=True)
        engine = Engine(candidate.model, candidate.renderer.shared_prefix(candidate.prompt))
        try:
            say(f"OpenAI's API: http://{HOST}:{number}/v1 (model {candidate.name}, key {token})")
            say(f"The page to talk to it: {link(number, token)}")
            app = make_app(Service(candidate, engine, opened), token, port=number)
            run(app, listening, engine.stop)
        finally:
            engine.close()
