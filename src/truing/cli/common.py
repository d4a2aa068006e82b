"""What commands share: how options become a spec, how mistakes and results are said."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli import completion
from truing.terminal import say
from truing.types import InputError

if TYPE_CHECKING:
    from truing.spec.run import Spec

AsJson = Annotated[
    bool, typer.Option("--json", help="print exactly one JSON document on standard output")
]

CandidateName = Annotated[
    str,
    typer.Argument(
        autocompletion=completion.models,
        help="a run's candidate folder (RUN/candidates/sft), a catalogue name, a Hugging Face "
        "id or a local folder",
    ),
]
DeviceName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.devices,
        help="where it is computed: auto (a card where there is one; without any, this), cpu, cuda, "
        "cuda:N or mps",
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        metavar="T",
        autocompletion=completion.tasks,
        help="a built-in task ('truing tasks' lists them), a task file (YAML), or another package's "
        "task; without it, that of the spec, or truthful",
    ),
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
        say(f"\n{interrupted}", error=True)
        raise typer.Exit(130) from None
    except InputError as error:
        say(f"Error: {error}", error=True)
        raise typer.Exit(error.exit_code) from None
    except Exception as error:
        from truing.files import is_disk_full
        from truing.models.user_cache import ModelUnavailable

        if isinstance(error, ModelUnavailable):
            say(f"Error: {error}", error=True)
        elif store_trouble := _of_store(error):
            say(f"Error: {store_trouble}", error=True)
            raise typer.Exit(2) from None
        elif is_disk_full(error):
            say(f"Error: the disk is full; make room and try again ({error})", error=True)
        else:
            raise
        raise typer.Exit(1) from None


def _of_store(error: Exception) -> str:
    """What is wrong with a store in use; empty for errors of other kinds."""
    if "sqlalchemy" not in sys.modules:  # which takes a while to load
        return ""
    from sqlalchemy.exc import SQLAlchemyError

    from truing.people.store import trouble

    if not isinstance(error, SQLAlchemyError):
        return ""
    return (
        f"--store: can't be used ({trouble(error)}); the last change was not made. Look at the disk, "
        "who may write there, and who else uses it, then try again"
    )


def use_device(name: str | None) -> None:
    """Lets everything that is loaded be computed there. Raises InputError where there is none."""
    from truing.models import devices

    devices.choose(name or "auto", "--device")


def print_json(document: Any) -> None:
    """One JSON document. Beyond ASCII all is escaped, so that any terminal or pipe can carry it."""
    say(json.dumps(document, indent=2, allow_nan=False))


def command_line() -> str:
    """What was typed, for the record of a run."""
    return shlex.join(["truing", *sys.argv[1:]])


def spec_of(file: Path | None, profile: str | None, over: dict[str, Any]) -> Spec:
    """The spec in a file with the command line's options laid over it, and a profile below, if any."""
    from truing.spec.part import merged
    from truing.spec.reading import make_spec, read_mapping
    from truing.spec.renamed import up_to_date

    where = str(file) if file else "spec"
    data, notes = up_to_date(read_mapping(file) if file else {})
    for note in notes:
        say(f"{where}: {note}", error=True)
    make_spec(data, profile=profile, where=where)  # so that no option hides a mistake in the file
    return make_spec(merged(data, over), profile=profile, where=where)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None and value != {}}
