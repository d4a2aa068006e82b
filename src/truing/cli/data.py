"""The commands about data sets: benchmarks as instructions, and how far training is from use.

As in main.py: parses, calls, prints, and imports what a command needs inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from truing.cli.common import AsJson, explained, print_json
from truing.cli.people import KeepGoodLines, data
from truing.terminal import say
from truing.types import InputError

__all__ = ["data"]

Form = Annotated[str, typer.Option(metavar="NAME", help="messages or prompt-completion")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="N rows, as many of each label as there can be"),
]
AllTemplates = Annotated[
    bool,
    typer.Option(
        "--all-templates", help="each row in every wording; without it, in one, dealt evenly"
    ),
]


@data.command()
def convert(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="JSONL, JSON (SQuAD's too), CSV or TSV, UTF-8"),
    ],
    task: Annotated[
        str,
        typer.Option(metavar="NAME", help="nli, qa, sentiment, or a YAML file with your templates"),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="the JSONL file to write")],
    form: Form = "messages",
    limit: Limit = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="as many rows of each label as of the rarest")
    ] = False,
    all_templates: AllTemplates = False,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="only this split of the template file")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="where it comes from; without it, the file's name"),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="under which terms it may be used; stands in every line"),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="draws rows and deals templates")] = 0,
    keep_good_lines: Annotated[
        bool, typer.Option("--keep-good-lines", help="leave out rows that can't be converted")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a benchmark's rows into instructions with answers, by templates.

    'truing data import' and 'truing data shift' read the file. Every answer is read back to its label
    before it is written; rows and templates for which that isn't certain are refused.
    """
    with explained():
        from truing.data.conversion import Settings, convert_files
        from truing.data.conversion.show import notes, table
        from truing.terminal.console import console

        settings = Settings(
            form=form,
            split=split or "",
            limit=limit,
            balance=balance,
            all_templates=all_templates,
            source=source or "",
            licence=licence or "",
            seed=seed,
            keep_good_lines=keep_good_lines,
        )
        done = convert_files(files, task, out, settings)
        for note in notes(done):
            say(note, error=True)
        if as_json:
            print_json({"file": str(out), **done.to_json()})
            return
        console().print(table(done))
        say(f"{out}: {len(done.records)} demonstrations")


@data.command()
def shift(
    train: Annotated[
        str,
        typer.Argument(
            metavar="TRAIN",
            help="what is trained on: JSONL in any form that 'data import' reads, .txt with a prompt a "
            "line, a folder of such files, or a store (its file or URL)",
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="what users ask; likewise")],
    select: Annotated[
        tuple[int, Path] | None,
        typer.Option(
            metavar="N FILE", help="write the N training prompts that are most like the target's"
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(min=20, metavar="N", help="at most N prompts of each side, drawn by the seed"),
    ] = 5000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="draws folds and samples")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="the results' folder; without it, runs/shift-DIGEST"),
    ] = None,
    keep_good_lines: KeepGoodLines = False,
    as_json: AsJson = False,
) -> None:
    """Measure how far training prompts are from what users ask, and how to bring them nearer.

    A classifier tries to tell the sides apart: an AUC of 0.5 means that it can't, 1 that it always can.
    Also compared: use cases, metadata, length, words, and which target prompts nothing in training comes
    near to. Writes shift.html, shift.json and weights.jsonl.
    """
    with explained():
        from truing.progress import StderrProgress
        from truing.shift.results import to_json
        from truing.shift.run import Request, run_shift
        from truing.shift.terminal import show
        from truing.terminal.console import console

        if select and select[0] < 20:
            raise InputError(
                f"--select: {select[0]} prompts are too few to say anything; at least 20"
            )
        request = Request(
            train,
            target,
            select=select[0] if select else None,
            select_file=select[1] if select else None,
            limit=limit,
            seed=seed,
            keep_good_lines=keep_good_lines,
        )
        done = run_shift(request, out, StderrProgress())
        for line in done.bad_lines:
            say(f"Left out: {line}", error=True)
        if as_json:
            print_json(to_json(done.study))
            return
        show(done.study, console())
        say(f"Page: {done.folder / 'shift.html'}")
