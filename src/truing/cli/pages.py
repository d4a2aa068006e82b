"""The commands that serve a page on 127.0.0.1: one to label on, one to talk to a candidate.

As in main.py: parses, calls, prints, and imports what a command needs inside it.
"""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from truing.cli import completion
from truing.cli.common import AcceptLicence, CandidateName, DeviceName, explained, use_device
from truing.cli.study import Adviser, StudyFolder, Where, serve_study
from truing.cli.to_label import (
    Ask,
    Between,
    Candidates,
    Count,
    LabelRequest,
    Limit,
    QuestionFile,
    RunFolder,
    Seed,
    SurveyFile,
    Wanted,
)
from truing.terminal import say
from truing.types import InputError

TOKEN_VARIABLE = "TRUING_TOKEN"
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="a file that holds the token; so does the variable TRUING_TOKEN. What is given by --token "
        "can be read by all who use this machine",
    ),
]

Host = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="the address to listen on; 0.0.0.0 lets phones and others on the network in",
    ),
]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="the address of a proxy before it (https://label.example.org), for links",
    ),
]
Proxy = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="the proxy's own address, whose X-Forwarded-For says who is asking; without it, the "
        "header is ignored",
    ),
]


def _token(token: str | None, file: Path | None) -> str | None:
    """The token that was given, if any. Raises InputError for a file without one."""
    if token is not None and file is not None:
        raise InputError("--token, --token-file: give one of the two")
    if token is not None or file is None:
        return token if token is not None else os.environ.get(TOKEN_VARIABLE)
    from truing.files import read_text

    lines = read_text(file).split()
    if len(lines) != 1:
        raise InputError(f"{file}: must hold the token and nothing else")
    return lines[0]


def _store_name(labelled_run: Path | None, demo: bool) -> str:
    """The store that is opened where none was named."""
    if labelled_run is None:
        return "demo.db" if demo else "people.db"
    from truing.runs.folder import LABELS

    return str(labelled_run / LABELS)


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
    token_file: TokenFile = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="fill an empty store with prompts to try it on")
    ] = False,
    run: RunFolder = None,
    ask: Ask = None,
    between: Between = None,
    survey: SurveyFile = None,
    questions: QuestionFile = None,
    wanted: Wanted = None,
    limit: Limit = None,
    candidate: Candidates = None,
    count: Count = None,
    seed: Seed = 0,
    study: StudyFolder = None,
    adviser: Adviser = None,
    host: Host = "127.0.0.1",
    public_url: PublicUrl = None,
    proxy: Proxy = None,
) -> None:
    """Serve the page on which people write, rate, compare and rank answers, on 127.0.0.1.

    Prints the lead's sign-in link. The lead adds annotators on the page. Ctrl-C ends it.

    With --run the answers of a finished run become tasks; nobody sees whose they are. The lead's page
    and 'truing data export FILE --form results' say which candidate won. With --ask outcome the labels
    stay in RUN, in labels.db, where its report finds them.

    With --questions people answer a team's own questions about each answer, choosing among the grades
    that FILE gives each; 'truing data export FILE --form grades' writes what they chose.

    With --survey people give their own opinion; 'truing data export FILE --form survey' writes how each
    group chose, as 'truing eval opinions' reads it. With --study the page is that of a study of
    oversight: what people do is kept in DIR, in people.db, and their answers in DIR/answers.jsonl.
    """
    with explained():
        from truing.people.serving import label as serve

        request = LabelRequest(
            run=run,
            ask=tuple(ask or ()),
            between=between,
            survey=survey,
            questions=questions,
            wanted=wanted,
            limit=limit,
            candidates=tuple(candidate or ()),
            count=count,
            seed=seed,
        )
        fill = request.fill()
        if demo and fill:
            raise InputError("--demo, --run, --survey, --questions: give one of them")
        if study and (demo or fill):
            raise InputError(
                "--study: has its own questions; leave --demo, --run, --survey, --questions out"
            )
        if adviser and not study:
            raise InputError("--adviser: belongs to --study")
        where: Where = {
            "port": port,
            "token": _token(token, token_file),
            "host": host,
            "public_url": public_url,
            "proxy": proxy,
            "say": say,
            "warn": lambda text: say(f"Warning: {text}", error=True),
        }
        if study:
            serve_study(study, store, adviser, where)
        else:
            name = store or _store_name(run if request.asks_outcomes else None, demo)
            serve(name, demo=demo, fill=fill, **where)


def serve(
    candidate: CandidateName,
    against: Annotated[
        str | None,
        typer.Argument(
            metavar="OTHER",
            autocompletion=completion.models,
            help="another one: the page then shows an answer of each, without names, and asks which is "
            "better",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="where prompts and choices are kept whose authors agree; without it, none are",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="0: any that is free")
    ] = 8400,
    token: Annotated[
        str | None, typer.Option(metavar="T", help="the server's key; without it, one is drawn")
    ] = None,
    token_file: TokenFile = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="with OTHER: draws who answers on which side")
    ] = 0,
    dtype: Annotated[
        str,
        typer.Option(
            metavar="TYPE",
            help="precision of answers and scores: bfloat16, as in truing chat, or float32, whose "
            "log-probabilities don't depend on what else is scored",
        ),
    ] = "bfloat16",
    device: DeviceName = None,
    accept_licence: AcceptLicence = False,
) -> None:
    """Serve a candidate on 127.0.0.1: OpenAI's chat API, and a page to talk to it.

    Prints its address, key and link. Answers are those of truing chat. Ctrl-C ends it.

    With OTHER, visitors of the page choose between the answers of two candidates; 'truing data export
    FILE --form results' says which one won.
    """
    with explained():
        if seed and against is None:
            raise InputError("--seed: draws the sides of two candidates; name another one")
        if dtype not in ("float32", "bfloat16"):
            raise InputError(f"--dtype {dtype}: give float32 or bfloat16")
        use_device(device)
        with redirect_stdout(sys.stderr):
            from truing.serve.serving import serve as start

        start(
            candidate,
            against,
            store=store,
            port=port,
            token=_token(token, token_file),
            seed=seed,
            dtype="float32" if dtype == "float32" else "bfloat16",
            accept_licence=accept_licence,
            say=say,
        )
