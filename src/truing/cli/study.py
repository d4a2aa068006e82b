"""What `truing label` does with a study of oversight.

As in main.py: calls, and imports what the command needs inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from truing.cli import completion

StudyFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="a study of oversight, as 'truing oversight plan' wrote it: people work through its trials",
    ),
]
Adviser = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        autocompletion=completion.models,
        help="with --study: a model that answers questions in its dialogues; without it, none can be asked",
    ),
]


class Where(TypedDict):
    """Where a page is served, who leads, and where it says so."""

    port: int
    token: str | None
    host: str
    public_url: str | None
    proxy: str | None
    say: Callable[[str], object]
    warn: Callable[[str], object]


def serve_study(folder: Path, store: str | None, adviser: str | None, where: Where) -> None:
    """The page of a study. Without an adviser no model is loaded, nor what models need."""
    if adviser is None:
        from truing.people.study.serving import label_study

        label_study(folder, store_name=store, **where)
        return
    from truing.progress import StderrProgress
    from truing.recipes import oversight

    oversight.serve_study(folder, StderrProgress(), adviser=adviser, store_name=store, **where)
