"""The commands to begin with: which models there are, whether this machine is fit, a first spec.

As in main.py: parses, calls, prints, and imports what a command needs inside it.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli import completion
from truing.cli.common import AsJson, TaskName, explained, print_json
from truing.terminal import say
from truing.types import InputError

if TYPE_CHECKING:
    from truing.recipes.fits import ModelFits

_WIDTH = 80
_INDENT = " " * 11


def models(as_json: AsJson = False) -> None:
    """List the models of the catalogue: size, licence, and whether they are on this machine."""
    with explained():
        from truing.models.weights.catalogue import list_models

        listed = list_models()
        if as_json:
            print_json(listed)
            return
        rows = [("name", "parameters", "download", "here", "licence"), *map(_row, listed)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        say(lines[0])
        for line, entry in zip(lines[1:], listed, strict=True):
            say(line)
            say(textwrap.fill(entry["what"], _WIDTH, initial_indent="  ", subsequent_indent="  "))


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    here = f"{entry['size_on_disk'] / 1e6:.0f} MB" if entry["cached"] else "no"
    return (
        entry["name"],
        f"{entry['parameters'] / 1e6:.0f} M",
        f"{entry['download_size'] / 1e6:.0f} MB",
        here,
        entry["licence"],
    )


def doctor(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="M",
            autocompletion=completion.models,
            help="say as well what of this model's work fits: scoring, rollout, learning, in GB",
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="with --model: what each of N processes takes that share out its layers "
            "(compute.shard)",
        ),
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Look at this machine: processor, precision, memory, card, cache, models, browser, packages.

    Each line is OK, or says what would help.
    """
    with explained():
        from truing.recipes.doctor import doctor as examined

        checks = examined()
        if processes > 1 and model is None:
            raise InputError("--processes: says what a model takes; give --model too")
        fits = _what_fits(model, processes) if model is not None else None
        if as_json:
            ok = all(check.ok for check in checks)
            document = {"ok": ok, "checks": [check.to_json() for check in checks]}
            print_json(document | ({"model": fits.to_json()} if fits else {}))
            return
        for check in checks:
            mark = "OK       " if check.ok else "attention"
            lead = f"{mark}  {check.name}: "
            say(textwrap.fill(check.seen, _WIDTH, initial_indent=lead, subsequent_indent=_INDENT))
            if check.advice:
                lead = f"{_INDENT}-> "
                say(
                    textwrap.fill(
                        check.advice, _WIDTH, initial_indent=lead, subsequent_indent=_INDENT
                    )
                )
        for line in fits.lines() if fits else ():
            say(textwrap.fill(line, _WIDTH, subsequent_indent=_INDENT))


def _what_fits(model: str, processes: int) -> ModelFits:
    from truing.recipes.fits import what_fits

    return what_fits(model, processes=processes)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the YAML file to write")] = Path(
        "spec.yaml"
    ),
    task: TaskName = None,
) -> None:
    """Write a spec to begin with: every key of it, its default and what it does.

    It runs as it is: 'truing align FILE'. A file that is there already is left alone.
    """
    with explained():
        from truing.recipes.init import init as write

        written = write(task, file)
        say(f"{written}: 'truing align {written}' runs it as it is")
