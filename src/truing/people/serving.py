"""`truing label`: opens the store, prints the lead's sign-in link, serves the page."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from importlib.resources import as_file, files

from fastapi import FastAPI
from sqlalchemy import select

from truing.people.addresses import (
    LOOPBACK,
    Address,
    checked_public_url,
    checked_token,
    is_loopback,
    is_own,
)
from truing.people.annotators import new_token, sign_in_lead
from truing.people.exchange import import_files
from truing.people.store import Store, open_store
from truing.people.tables import Prompt
from truing.people.vocabulary import ABOUT_ANSWERS
from truing.people.web import make_app
from truing.people.web.connections import make_server, quieten_logs
from truing.types import InputError


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
            import_files(store, [path], source="demo", consent="own", ask=ABOUT_ANSWERS)


def listen(port: int, host: str = LOOPBACK) -> socket.socket:
    """A socket on an address of this machine. Raises InputError where address or port can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With TCP named outright: only then does asyncio send small answers without waiting (40 ms).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # whoever follows the link at once waits instead of being refused
    except (OSError, UnicodeError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        if not is_loopback(host) and not is_own(host):
            raise InputError(
                f"--host: {host!r} is no address of this machine ({reason}); give 0.0.0.0 for all it has"
            ) from None
        raise InputError(
            f"--port: {port} can't be used ({reason}); give another one, or 0 for any"
        ) from None
    return listening


def run(
    app: FastAPI,
    listening: socket.socket,
    closing: Callable[[], None] = lambda: None,
    *,
    proxy: str | None = None,
) -> None:
    """Serve an application until interrupted; answers under way have a few seconds to end.

    `closing` and `proxy` as for `make_server`.
    """
    server = make_server(app, closing, proxy=proxy)
    quieten_logs()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        server.run(sockets=[listening])


def warning(address: Address) -> str:
    """What to say before others can reach the page."""
    who = (
        "Whoever can reach this machine can open the page; to see or do anything they need a link."
    )
    if address.base.startswith("https://"):
        return f"{who} {address.public} is to be a proxy with TLS that passes requests on to here."
    return (
        f"{who} Links and texts travel without TLS: on a network that others share they can be read. "
        "A proxy with TLS before it, named by --public-url https://..., ends that."
    )


def label(
    store_name: str,
    *,
    port: int,
    token: str | None = None,
    demo: bool = False,
    host: str = LOOPBACK,
    public_url: str | None = None,
    proxy: str | None = None,
    fill: Callable[[Store], object] | None = None,
    make: Callable[[Store, Address], FastAPI] | None = None,
    say: Callable[[str], object],
    warn: Callable[[str], object] | None = None,
) -> None:
    """Serve the labelling page until interrupted; `say` is given the sign-in link.

    Without a token a new one is drawn, and the lead's older links end. `host` and `public_url` let
    others reach it, of which `warn` is told; `fill` puts tasks into the store first; `make` makes
    another application than the labelling page. Raises InputError where store, token, address or port
    can't be used.
    """
    public = None if public_url is None else checked_public_url(public_url)
    checked_token(token, is_open=Address(port, host, public).is_open)
    store = open_store(store_name)
    try:
        with listen(port, host) as listening:
            address = Address(listening.getsockname()[1], host, public)
            if demo:
                fill_with_demo(store)
            if fill:
                fill(store)
            token = token or new_token()
            with store.writing() as session:
                sign_in_lead(session, token)
            if address.is_open and warn:
                warn(warning(address))
            say(f"The lead's sign-in link: {address.link(token)}")
            app = make(store, address) if make else make_app(store, address=address)
            run(app, listening, proxy=proxy)
    finally:
        store.close()
