"""The commands about people's work: data into the store and out of it.

As in main.py: parses, calls, prints, and imports what a command needs inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from truing.cli.common import AsJson, explained, print_json
from truing.cli.lists import Commands
from truing.terminal import say
from truing.types import InputError

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        help="a file of SQLite (a path or sqlite:///PATH), or postgresql://USER@HOST/DATABASE",
    ),
]
Consents = Annotated[
    list[str] | None,
    typer.Option(metavar="WORD", help="only prompts with this consent; several may follow"),
]
Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="JSONL, JSON (a list), CSV, TSV (these plain or gzipped) or Parquet; the ending says "
        "which",
    ),
]
Source = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="where it comes from; without it, the file's name"),
]
Consent = Annotated[
    str | None,
    typer.Option(
        metavar="WORD",
        help="of those who wrote it: given, public, own, unknown; without it, what the record says, "
        "or unknown",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY",
        help="a key of the records that says nothing about an answer; several may be given",
    ),
]
KeepGoodLines = Annotated[
    bool, typer.Option("--keep-good-lines", help="leave out lines that can't be read")
]


def _asked_with(what: str) -> Any:
    """The option --ask, for what people are to work on."""
    kinds = "demonstration, rating, comparison, ranking, annotation or outcome"
    return typer.Option(
        metavar="KIND", help=f"have people do this with {what}: {kinds}; several may follow"
    )


AskIncoming = Annotated[list[str] | None, _asked_with("what comes in")]
AskDrawn = Annotated[list[str] | None, _asked_with("what is drawn")]
Wanted = Annotated[
    int, typer.Option(min=1, metavar="N", help="how many people are to do each task")
]

data = Commands(
    help="Prompts, answers and judgements: into the store of people's work and out of it, from "
    "benchmarks, and how far they are from what users ask.",
)


@data.command("import")
def import_(
    files: Files,
    store: StoreOption = "people.db",
    ask: AskIncoming = None,
    wanted: Wanted = 1,
    source: Source = None,
    consent: Consent = None,
    seed: Annotated[int, typer.Option(metavar="N", help="draws the order of the tasks")] = 0,
    keep_good_lines: KeepGoodLines = False,
    ignore: Ignore = None,
    as_json: AsJson = False,
) -> None:
    """Read prompts, answers and judgements into the store, all lines or none.

    The form of each line is told by its keys: messages; prompt and completion; prompt and completions;
    prompt, chosen, rejected; prompt, completion, rating; the same with KTO's label; HH pairs; OASST
    trees; Self-Instruct and Alpaca tasks; ShareGPT conversations; a prompt alone; Argilla's and Label
    Studio's exports. A key that the form doesn't know is refused. A second import of the same file adds
    nothing.
    """
    with explained():
        from truing.people import open_store
        from truing.people.exchange import import_files
        from truing.progress import StderrProgress

        imported = import_files(
            open_store(store),
            files,
            source=source or "",
            consent=consent,
            ask=ask or (),
            wanted=wanted,
            seed=seed,
            keep_good_lines=keep_good_lines,
            ignore=ignore or (),
            progress=StderrProgress(),
        )
        for line in imported.bad_lines:
            say(f"Left out: {line}", error=True)
        if as_json:
            print_json(imported.to_json())
            return
        added = ", ".join(f"{count} {name}" for name, count in imported.added.items())
        say(f"Added: {added or 'nothing new'}")
        for note in imported.notes():
            say(note)


@data.command()
def export(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="the file to write: JSONL, or Parquet where it ends in .parquet"
        ),
    ],
    store: StoreOption = "people.db",
    form: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="messages, liked (these and answers that people liked best), prompt-completion, "
            "preference, ratings, annotations, outcomes (for --outcome-labels) or grades (of label "
            "--questions); results (which candidate won, with intervals); survey (how groups chose, for "
            "eval opinions); or tasks for another labelling program: argilla, label-studio",
        ),
    ] = "messages",
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="for argilla and label-studio: demonstration, rating, comparison or annotation",
        ),
    ] = None,
    judged: Annotated[
        bool,
        typer.Option(
            "--judged", help="for these two: with what people said here, not the tasks alone"
        ),
    ] = False,
    consent: Consents = None,
    as_json: AsJson = False,
) -> None:
    """Write what people said for training: one row a judgement, nothing averaged. Or write tasks for
    Argilla or Label Studio, with the settings that they need in a file beside.
    """
    with explained():
        from truing.files import is_stream
        from truing.people import open_store
        from truing.people.exchange import PROGRAMS, export_tasks, exported, write_export

        if form in PROGRAMS:
            opened = open_store(store, must_exist=True)
            tasks, beside = export_tasks(
                opened, file, form, kind or "", consent or (), judged=judged
            )
            if as_json:
                found = {"file": str(file), "beside": str(beside), "form": form, "tasks": tasks}
                print_json(found)
                return
            say(f"{file}: {tasks} tasks; settings: {beside}", error=is_stream(file))
            return
        if kind or judged:
            raise InputError(f"--kind, --judged: belong to --form {' and '.join(PROGRAMS)}")
        done = exported(open_store(store, must_exist=True), form, consent or ())
        write_export(file, done.rows)
        if as_json:
            print_json(done.to_json() | {"file": str(file), "form": form})
            return
        say(f"{file}: {done}", error=is_stream(file))


@data.command()
def sample(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="the JSONL file to write, if any")
    ] = None,
    store: StoreOption = "people.db",
    count: Annotated[int, typer.Option(min=1, metavar="N", help="prompts to draw")] = 100,
    per_user: Annotated[
        int, typer.Option(min=1, metavar="N", help="at most so many of one user; of none as of one")
    ] = 20,
    shares: Annotated[
        str,
        typer.Option(
            metavar="WORD",
            help="proportional: as many of each use case as there are; equal: as evenly as possible",
        ),
    ] = "proportional",
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="only from there; without it pilot; several may follow"),
    ] = None,
    consent: Consents = None,
    ask: AskDrawn = None,
    wanted: Wanted = 1,
    seed: Annotated[int, typer.Option(metavar="N", help="draws prompts and the tasks' order")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw prompts for labelling, spread over use cases, into a file or as tasks of truing label.

    Without --consent, prompts whose writers agreed, and public and own ones. What is drawn with --ask
    isn't drawn for it again. A prompt's use case is what annotators said, else what rules suggest.
    """
    with explained():
        from truing.people import open_store
        from truing.people.drawing import DrawSpec, draw_prompts

        if file is None and not ask:
            raise InputError("give a FILE to write, or --ask KIND to have people work on them")
        options = {"sources": source, "consents": consent}
        spec = DrawSpec(
            count=count,
            per_user=per_user,
            shares=shares,
            ask=tuple(ask or ()),
            wanted=wanted,
            seed=seed,
            **{name: tuple(value) for name, value in options.items() if value},
        )
        drawn = draw_prompts(open_store(store, must_exist=True), spec, file)
        if as_json:
            print_json(drawn.to_json())
            return
        for name, figures in drawn.to_json()["use_cases"].items():
            say(f"{name}: {figures['drawn']} of {figures['found']}")
        where = f", written to {file}" if file else ""
        say(f"Drawn: {len(drawn.rows)} prompts{where}; {drawn.tasks} tasks")


@data.command()
def erase(
    annotator: Annotated[
        str | None, typer.Option(metavar="NAME", help="all that this person said or was given")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="all prompts of this user and what hangs on them"),
    ] = None,
    store: StoreOption = "people.db",
    as_json: AsJson = False,
) -> None:
    """Delete a person's data for good, from the database's files too; where text may be left, it is said.

    Files exported before, and backups, are out of reach.
    """
    with explained():
        from truing.people import open_store
        from truing.people.erasure import erase_annotator, erase_user

        if (annotator is None) == (user is None):
            raise InputError("give either --annotator NAME or --user KEY")
        opened = open_store(store, must_exist=True)
        rows = erase_annotator(opened, annotator) if annotator else erase_user(opened, user or "")
        if as_json:
            print_json({"erased": rows, "remains": rows.remains})
            return
        say(f"Deleted: {', '.join(f'{n} {name}' for name, n in rows.items())}")
        if rows.remains:
            say(f"Note: {rows.remains}.")
