"""What every command shares: how mistakes and results are said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from truing.types import InputError

AsJson = Annotated[
    bool, typer.Option("--json", help="print exactly one JSON document on standard output")
]

AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="accept the licence of a model that asks for it")
]


@contextmanager
def explained(interrupted: str = "Interrupted.") -> Iterator[None]:
    """Turns what a user can do something about into one message and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\n{interrupted}", err=True)
        raise typer.Exit(130) from None
    except InputError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None
    except Exception as error:
        from truing.models.user_cache import ModelUnavailable, is_disk_full

        if isinstance(error, ModelUnavailable):
            typer.echo(f"Error: {error}", err=True)
        elif is_disk_full(error):
            typer.echo(f"Error: the disk is full; make room and try again ({error})", err=True)
        else:
            raise
        raise typer.Exit(1) from None


def print_json(document: Any) -> None:
    """One JSON document. Beyond ASCII all is escaped, so that any terminal or pipe can carry it."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False))
