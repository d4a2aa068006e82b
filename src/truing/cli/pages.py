"""The commands that serve a page on 127.0.0.1: one to label on, one to talk to a candidate.

As in main.py: parses, calls, prints, and imports what a command needs inside it.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from truing.cli import completion
from truing.cli.common import AcceptLicence, explained
from truing.terminal import say


def label(
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="path or database URL; without it, people.db (with --demo, demo.db)"
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="0: any that is free")
    ] = 8300,
    token: Annotated[
        str | None,
        typer.Option(metavar="T", help="the lead's sign-in token; without it, a new one is drawn"),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="fill an empty store with prompts to try it on")
    ] = False,
) -> None:
    """Serve the page on which people write, rate, compare and rank answers, on 127.0.0.1.

    Prints the lead's sign-in link. The lead adds annotators on the page. Ctrl-C ends it.
    """
    with explained():
        from truing.people.serving import label as serve

        name = store or ("demo.db" if demo else "people.db")
        serve(name, port=port, token=token, demo=demo, say=say)


def serve(
    candidate: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.models,
            help="a run's candidate folder (RUN/candidates/sft), a catalogue name, a Hugging Face "
            "id or a local folder",
        ),
    ],
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="where prompts are kept whose authors agree; without it, none are"
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="0: any that is free")
    ] = 8400,
    token: Annotated[
        str | None, typer.Option(metavar="T", help="the server's key; without it, one is drawn")
    ] = None,
    accept_licence: AcceptLicence = False,
) -> None:
    """Serve a candidate on 127.0.0.1: OpenAI's chat API, and a page to talk to it.

    Prints its address, key and link. Answers are those of truing chat. Ctrl-C ends it.
    """
    with explained():
        with redirect_stdout(sys.stderr):
            from truing.serve.serving import serve as start

        start(
            candidate,
            store=store,
            port=port,
            token=token,
            accept_licence=accept_licence,
            say=say,
        )
