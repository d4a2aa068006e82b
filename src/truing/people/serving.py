"""`truing label`: opens the store, prints the lead's sign-in link, serves the page on this machine."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from importlib.resources import as_file, files
from urllib.parse import quote

from fastapi import FastAPI
from sqlalchemy import select

from truing.people.annotators import new_token, sign_in_lead
from truing.people.exchange import import_files
from truing.people.store import Store, open_store
from truing.people.tables import Prompt
from truing.people.vocabulary import KINDS
from truing.people.web import make_app
from truing.people.web.connections import make_server, quieten_logs
from truing.types import InputError

HOST = "127.0.0.1"


def fill_with_demo(store: Store) -> None:
    """Put the built-in prompts and answers into an empty store, as tasks of every kind.

    Raises InputError for a store that holds something else; a demo store stays as it is.
    """
    with store.reading() as session:
        sources = set(session.scalars(select(Prompt.source).distinct()))
    if sources - {"demo"}:
        raise InputError(
            f"--demo: {store} holds prompts of yours; give another --store for looking around"
        )
    if not sources:
        with as_file(files("truing.people").joinpath("built_in", "demo.jsonl")) as path:
            import_files(store, [path], source="demo", consent="own", ask=KINDS)


def listen(port: int) -> socket.socket:
    """A socket on this machine only. Raises InputError where the port is taken."""
    # With TCP named outright: only then does asyncio send small answers without waiting (40 ms).
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # whoever follows the link at once waits instead of being refused
    except OSError as error:
        listening.close()
        raise InputError(
            f"--port: {port} can't be used ({error.strerror}); give another one, or 0 for any"
        ) from None
    return listening


def link(port: int, token: str) -> str:
    """The address that signs in with a token."""
    return f"http://{HOST}:{port}/?token={quote(token, safe='')}"


def run(app: FastAPI, listening: socket.socket, closing: Callable[[], None] = lambda: None) -> None:
    """Serve an application until interrupted; answers under way have a few seconds to end.

    `closing` as for `make_server`.
    """
    server = make_server(app, closing)
    quieten_logs()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        server.run(sockets=[listening])


def check_token(token: str | None) -> None:
    """Raises InputError for a token that can't stand in a header or in a link."""
    if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
        raise InputError("--token: give printable ASCII characters, or none to have one drawn")


def label(
    store_name: str,
    *,
    port: int,
    token: str | None = None,
    demo: bool = False,
    say: Callable[[str], object],
) -> None:
    """Serve the labelling page until interrupted; `say` is given the sign-in link.

    Without a token a new one is drawn, and the lead's older links end. Raises InputError where store,
    token or port can't be used.
    """
    check_token(token)
    store = open_store(store_name)
    try:
        if demo:
            fill_with_demo(store)
        token = token or new_token()
        with store.writing() as session:
            sign_in_lead(session, token)
        listening = listen(port)
        number = listening.getsockname()[1]
        say(f"The lead's sign-in link: {link(number, token)}")
        run(make_app(store, port=number), listening)
    finally:
        store.close()
