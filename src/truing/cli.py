"""The command line: parses, calls, prints. No logic.

Standard output carries results alone; progress and messages go to standard error. Exit codes: 0 done,
1 the machine or the network failed (or a defect, with its traceback), 2 the input is wrong, 130
interrupted. What a command needs is imported inside it, so that `truing --help` answers at once.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing import __version__
from truing.types import InputError

if TYPE_CHECKING:
    from truing.spec import Spec

app = typer.Typer(
    name="truing",
    help="Align one language model three ways (prompt, fine-tuning, reinforcement learning) and "
    "see what each way gained, cost and broke.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="accept the licence of a model that asks for it")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="print exactly one JSON document on standard output")
]


@contextmanager
def _explained(interrupted: str = "Interrupted.") -> Iterator[None]:
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


def _print_json(document: Any) -> None:
    """One JSON document. Beyond ASCII all is escaped, so that any terminal or pipe can carry it."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False))


def _command_line() -> str:
    return shlex.join(["truing", *sys.argv[1:]])


def _spec(file: Path | None, profile: str, over: dict[str, Any]) -> Spec:
    """The spec in a file with the command line's options laid over it."""
    from truing.spec import make_spec, merged, read_mapping

    where = str(file) if file else "spec"
    data = read_mapping(file) if file else {}
    make_spec(data, profile=profile, where=where)  # so that no option hides a mistake in the file
    return make_spec(merged(data, over), profile=profile, where=where)


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None and value != {}}


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"truing {__version__}")
        raise typer.Exit()


@app.callback()
def _truing(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="print the version and exit"
        ),
    ] = False,
) -> None:
    pass


@app.command()
def align(
    spec: Annotated[
        Path | None, typer.Argument(help="a YAML file; without one, the defaults hold")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="a catalogue name, a Hugging Face id or a local folder"),
    ] = None,
    questions: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="'built-in', or a CSV, JSON or JSONL file"),
    ] = None,
    controls: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="'built-in', 'none', or a file as for --questions"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="the run's folder; without it, runs/MODEL-DIGEST of the spec"
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(metavar="NAME", help="how much is done: smoke, default or full"),
    ] = "default",
    seed: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="train with this seed, or with several: --seed 0 1 2"),
    ] = None,
    as_json: AsJson = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="begin anew where the folder holds a run")
    ] = False,
    accept_licence: AcceptLicence = False,
) -> None:
    """Align a model three ways, measure what each way did, and write the report.

    A run that was interrupted goes on where it was when the same command is given again. Options win
    over the spec file, the file over the profile.
    """
    but = " without --overwrite" if overwrite else ""
    with _explained(f"Interrupted. The same command{but} goes on from here."):
        over = _given(
            model=model,
            seeds=seed or None,
            data=_given(questions=questions, controls=controls),
        )
        built = _spec(spec, profile, over)
        with redirect_stdout(sys.stderr):  # whatever a library prints is not the result
            from truing.alignment import align as run_align

            result = run_align(
                built,
                out,
                profile=profile,
                command=_command_line(),
                overwrite=overwrite,
                accept_licence=accept_licence,
            )
        if as_json:
            _print_json(result.to_json())
            return
        from rich.console import Console

        from truing.report import show

        show(result.summary, Console())
        typer.echo(f"Report: {result.report}")


@app.command("eval")
def evaluate(
    evaluations: Annotated[
        list[str], typer.Argument(metavar="EVALUATION...", help="truthfulness, trivia, or both")
    ],
    candidate: Annotated[
        list[str],
        typer.Option(
            metavar="C",
            help="a catalogue name, a Hugging Face id, a local folder or a run's candidate folder "
            "(RUN/candidates/sft); several may follow",
        ),
    ],
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="own (the candidate's; without any, this one), none, helpful, neutral, harmful or "
            "helpful-2 ..., the paper's qa, help, harm, null, chat, long or all six: paper; or a text "
            "file with {question} in it; several may follow",
        ),
    ] = None,
    presets: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON with the texts of the paper's prompts; without it, $TRUING_PRESETS",
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help="auto: instructions through the chat template where there is one; text: never; "
            "chat: everything",
        ),
    ] = "auto",
    questions: Annotated[
        str, typer.Option(metavar="FILE", help="'built-in', or a CSV, JSON or JSONL file")
    ] = "built-in",
    controls: Annotated[str, typer.Option(metavar="FILE", help="the same for trivia")] = "built-in",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="only the first N questions")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="TYPE", help="float32 or bfloat16; without it, bfloat16")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="draws the intervals")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="the results' folder; without it, runs/eval-DIGEST"),
    ] = None,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
) -> None:
    """Score candidates under prompts: MC1, MC2 and binary, by the likelihood of given answers.

    Prints a table and writes every row, a CSV file and a page. Scores are kept on disk, so that an
    evaluation that was interrupted goes on where it was.
    """
    with _explained("Interrupted. The same command goes on from here."):
        from truing.evaluate.sweep import SweepSpec

        spec = SweepSpec(
            evaluations=tuple(evaluations),
            candidates=tuple(candidate),
            questions=questions,
            controls=controls,
            seed=seed,
            **_given(
                prompts=tuple(prompt or ()) or None,
                presets=presets,
                form=form,
                limit=limit,
                dtype=dtype,
            ),
        )
        with redirect_stdout(sys.stderr):
            from truing.evaluate.sweep import plan_sweep, run_sweep
            from truing.progress import StderrProgress
            from truing.report.sweep import show
            from truing.report.sweep_files import sweep_folder, write_sweep

            plan = plan_sweep(spec)
            folder = sweep_folder(spec, out)
            result = run_sweep(plan, StderrProgress(), accept_licence=accept_licence)
            page = write_sweep(result, folder, _command_line())
        if as_json:
            _print_json(result.to_json())
            return
        from rich.console import Console

        show(result, Console())
        typer.echo(f"Page: {page}")


@app.command()
def train(
    kind: Annotated[
        str, typer.Argument(metavar="sft|rl|reward", help="what to train, as the spec describes it")
    ],
    spec: Annotated[Path, typer.Argument(help="a YAML file, as for 'truing align'")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="the training's folder; without it, runs/KIND-MODEL-DIGEST"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on where a training in the folder was interrupted")
    ] = False,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
) -> None:
    """Train one thing alone, without the comparison: a candidate by fine-tuning or by reinforcement
    learning, or a reward model.

    A candidate is left in DIR/candidates, a reward model in DIR/reward_model, the log of every step in
    DIR/logs. With --json: kind, folder, candidates with their last figures, the reward model's
    agreement with held-out labels, costs.
    """
    with _explained("Interrupted. The same command with --resume goes on from here."):
        built = _spec(spec, "default", {})
        with redirect_stdout(sys.stderr):  # whatever a library prints is not the result
            from truing.training import train_one

            result = train_one(
                built,
                kind,
                out,
                resume=resume,
                command=_command_line(),
                accept_licence=accept_licence,
            )
        if as_json:
            _print_json(result.document)
            return
        for line in result.lines():
            typer.echo(line)


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models of the catalogue: size, licence, and whether they are on this machine."""
    with _explained():
        from truing.models.catalogue import list_models

        listed = list_models()
        if as_json:
            _print_json(listed)
            return
        from rich.console import Console
        from rich.table import Table

        table = Table("name", "parameters", "download", "here", "licence", "what", box=None)
        for entry in listed:
            table.add_row(
                entry["name"],
                f"{entry['parameters'] / 1e6:.0f} M",
                f"{entry['download_size'] / 1e6:.0f} MB",
                f"{entry['size_on_disk'] / 1e6:.0f} MB" if entry["cached"] else "no",
                entry["licence"],
                entry["what"],
            )
        Console().print(table)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs")],
    as_json: AsJson = False,
) -> None:
    """Write the reports of runs anew from their rows and print them. No model is needed.

    With --json: a list with one object for each run, each as 'truing align --json' prints it.
    """
    with _explained():
        from rich.console import Console

        from truing.report import report_runs

        summaries = report_runs(runs, None if as_json else Console())
        if as_json:
            _print_json([summary.to_json() for summary in summaries])


@app.command()
def chat(
    candidate: Annotated[
        str,
        typer.Argument(
            help="a run's candidate folder (RUN/candidates/sft), a catalogue name, a Hugging Face "
            "id or a local folder"
        ),
    ],
    max_new_tokens: Annotated[
        int, typer.Option(min=1, metavar="N", help="an answer's greatest length in tokens")
    ] = 128,
    temperature: Annotated[
        float, typer.Option(min=0.0, metavar="T", help="0: always the likeliest token")
    ] = 0.0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="draws the answers where the temperature is above 0")
    ] = 0,
    accept_licence: AcceptLicence = False,
) -> None:
    """Ask a candidate questions, one a line, until the end of the input.

    Every question stands alone: earlier ones are not remembered. A candidate of a run answers with its
    own prompt, any other model with none.
    """
    with _explained():
        from truing.chat import Chat, lines

        with redirect_stdout(sys.stderr):
            talk = Chat.open(
                candidate, max_new_tokens, temperature, seed, accept_licence=accept_licence
            )
        for question in lines():
            typer.echo(talk.answer(question))


@app.command()
def grid(
    map: Annotated[
        str | None,
        typer.Argument(
            metavar="MAP", help="a built-in map (open, detour, rooms, maze, gap) or an ASCII file"
        ),
    ] = None,
    episodes: Annotated[
        int | None, typer.Option(metavar="N", help="episodes to learn from; without it 51200")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="draws everything that is random")
    ] = None,
    slip: Annotated[
        float | None,
        typer.Option(metavar="P", help="probability that a step goes sideways; without it 0"),
    ] = None,
    discount: Annotated[
        float | None,
        typer.Option(metavar="D", help="worth of a reward one step later; without it 0.95"),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(metavar="N", help="steps in an episode; without it 8 a cell")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="the run's folder; without it, runs/grid-MAP-DIGEST"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learn to walk to the star on a grid, with the objective and the loop that text is learned with.

    Shows the policy as arrows, the value of each cell, the learning curve and sampled episodes, and
    writes them as grid.png, grid.html and grid.json.
    """
    with _explained("Interrupted. The same command goes on from here."):
        from truing.spec import make_grid_spec

        spec = make_grid_spec(
            _given(
                map=map,
                episodes=episodes,
                seed=seed,
                slip=slip,
                discount=discount,
                horizon=horizon,
            )
        )
        with redirect_stdout(sys.stderr):
            from truing.grid.run import run_grid
            from truing.grid.training import to_json
            from truing.progress import StderrProgress

            run, folder = run_grid(spec, out, StderrProgress())
        if as_json:
            _print_json(to_json(run))
            return
        from rich.console import Console

        from truing.grid.terminal import show

        show(run, Console())
        typer.echo(f"Page: {folder / 'grid.html'}")


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
    typer.Option(metavar="WORD", help="only prompts with this consent; may be given several times"),
]


@app.command()
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
    with _explained():
        from truing.people.serving import label as serve

        name = store or ("demo.db" if demo else "people.db")
        serve(name, port=port, token=token, demo=demo, say=typer.echo)


data = typer.Typer(
    help="Bring prompts, answers and judgements into the store of people's work and out of it.",
    no_args_is_help=True,
)
app.add_typer(data, name="data")


@data.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSONL files, plain or gzipped")
    ],
    store: StoreOption = "people.db",
    ask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="have people do this with what comes in: demonstration, rating, comparison, ranking "
            "or annotation; may be given several times",
        ),
    ] = None,
    wanted: Annotated[
        int, typer.Option(min=1, metavar="N", help="how many people are to do each task")
    ] = 1,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="where it comes from; without it, the file's name"),
    ] = None,
    consent: Annotated[
        str, typer.Option(metavar="WORD", help="of those who wrote it: given, public, own, unknown")
    ] = "unknown",
    seed: Annotated[int, typer.Option(metavar="N", help="draws the order of the tasks")] = 0,
    keep_good_lines: Annotated[
        bool, typer.Option("--keep-good-lines", help="leave out lines that can't be read")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read prompts, answers and judgements into the store, all lines or none.

    The form of each line is told by its keys: messages; prompt and completion; prompt and completions;
    prompt, chosen, rejected; prompt, completion, rating; HH pairs; OASST trees; Self-Instruct tasks; a
    prompt alone. A second import of the same file adds nothing.
    """
    with _explained():
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
            progress=StderrProgress(),
        )
        for line in imported.bad_lines:
            typer.echo(f"Left out: {line}", err=True)
        if as_json:
            _print_json(imported.to_json())
            return
        added = ", ".join(f"{count} {name}" for name, count in imported.added.items())
        typer.echo(f"Added: {added or 'nothing new'}")


@data.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the JSONL file to write")],
    store: StoreOption = "people.db",
    form: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="messages, prompt-completion, preference, ratings or annotations"
        ),
    ] = "messages",
    consent: Consents = None,
    as_json: AsJson = False,
) -> None:
    """Write what people said as JSONL for training: one row a judgement, nothing averaged."""
    with _explained():
        from truing.people import open_store
        from truing.people.exchange import export_file

        rows = export_file(open_store(store, must_exist=True), file, form, consent or ())
        if as_json:
            _print_json({"file": str(file), "form": form, "rows": rows})
            return
        typer.echo(f"{file}: {rows} rows")


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
    """Delete a person's data for good. Files exported before, and backups, are out of reach."""
    with _explained():
        from truing.people import open_store
        from truing.people.erasure import erase_annotator, erase_user

        if (annotator is None) == (user is None):
            raise InputError("give either --annotator NAME or --user KEY")
        opened = open_store(store, must_exist=True)
        rows = erase_annotator(opened, annotator) if annotator else erase_user(opened, user or "")
        if as_json:
            _print_json({"erased": rows})
            return
        typer.echo(f"Deleted: {', '.join(f'{n} {name}' for name, n in rows.items())}")


def spread(arguments: Sequence[str]) -> list[str]:
    """`--seed 0 1 2` as `--seed 0 --seed 1 --seed 2`: numbers right behind a seed are seeds too.

    For `eval`, likewise, words behind --candidate and --prompt, up to the name of an evaluation.
    """
    result: list[str] = []
    evaluating = arguments[:1] == ["eval"]
    named = ("truthfulness", "trivia")
    option = ""
    for argument in arguments:
        if argument.startswith("-"):
            option = argument
        elif option == "--seed":
            option = option if argument.isdecimal() else ""
        elif not (evaluating and option in ("--candidate", "--prompt")) or argument in named:
            option = ""
        if option and not argument.startswith("-") and result[-1] != option:
            result.append(option)
        result.append(argument)
    return result


def main() -> None:
    """The console's entry point."""
    app(spread(sys.argv[1:]), prog_name="truing")


if __name__ == "__main__":
    main()
