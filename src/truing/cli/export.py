"""`truing export`: a candidate for other programs and other machines.

As in main.py: parses, calls, prints, and imports what the command needs inside it.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from truing.cli.common import AcceptLicence, AsJson, explained, print_json
from truing.terminal import say
from truing.types import InputError


def export(
    candidate: Annotated[
        str,
        typer.Argument(
            help="a run's candidate folder (RUN/candidates/sft), a LoRA adapter's folder, a catalogue "
            "name, a Hugging Face id or a local folder"
        ),
    ],
    out: Annotated[Path, typer.Argument(help="a new folder; with --gguf a new file")],
    merged: Annotated[
        bool, typer.Option("--merged", help="whole weights, any adapter merged into them")
    ] = False,
    gguf: Annotated[
        bool, typer.Option("--gguf", help="one file for llama.cpp, any adapter merged")
    ] = False,
    dtype: Annotated[
        str, typer.Option(metavar="TYPE", help="precision of whole weights: float32 or bfloat16")
    ] = "float32",
    push: Annotated[
        str | None,
        typer.Option(
            metavar="REPO",
            help="upload it to the Hugging Face hub as well, as org/name, private where it is new",
        ),
    ] = None,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
) -> None:
    """Write a candidate as transformers, peft or llama.cpp load it; nothing is uploaded without --push.

    Without --merged or --gguf, a LoRA adapter stays one, with the name of its base as another machine
    knows it. The candidate's prompt is in the chat template.
    """
    with explained():
        if merged and gguf:
            raise InputError("--merged and --gguf: give one of them")
        if dtype not in ("float32", "bfloat16"):
            raise InputError(f"--dtype {dtype}: give float32 or bfloat16")
        with redirect_stdout(sys.stderr):  # whatever a library prints is not the result
            from truing.recipes.export import export as run_export

            exported = run_export(
                candidate,
                out,
                "merged" if merged else "gguf" if gguf else "adapter",
                dtype="float32" if dtype == "float32" else "bfloat16",
                push=push,
                accept_licence=accept_licence,
            )
        if as_json:
            print_json(exported.to_json())
            return
        say(f"Written: {exported.path}")
        if exported.pushed:
            say(f"Pushed: {exported.pushed}")
