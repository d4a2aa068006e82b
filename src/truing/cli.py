"""The command line: parses, calls, prints. No logic.

Standard output carries results alone; progress and messages go to standard error. Exit codes: 0 done,
1 the machine or the network failed (or a defect, with its traceback), 2 the input is wrong, 130
interrupted. What a command needs is imported inside it, so that `truing --help` answers at once.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing import __version__, cli_data, cli_people
from truing.cli_common import AcceptLicence, AsJson, explained, print_json

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
    with explained(f"Interrupted. The same command{but} goes on from here."):
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
            print_json(result.to_json())
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
            help="a catalogue name, a Hugging Face id, a local folder, a run's candidate folder "
            "(RUN/candidates/sft) or a server's model, endpoint:URL#MODEL; several may follow",
        ),
    ],
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="own (the candidate's; without any, this one), none, helpful, neutral, harmful or "
            "helpful-2 ... or all-helpful, the paper's qa, help, harm, null, chat, long or all six: "
            "paper; or a text file with {question} in it; several may follow",
        ),
    ] = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="many wordings of one instruction: text with one a line, JSON or JSONL; shows the "
            "spread across them",
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
    controls: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="the same for trivia, or a folder of such files; several may follow",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="only the first N questions")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="float32 or bfloat16; without it, bfloat16 (where the processor is slow in it, "
            "float32 is used and said)",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="draws the intervals")] = 0,
    free: Annotated[
        bool,
        typer.Option(
            "--free",
            help="answers in the candidates' own words too, graded true and informative by judges",
        ),
    ] = False,
    judge: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="with --free: judges from 'truing train judge'; without it, built-in ones",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, metavar="N", help="with --free: an answer's greatest length")
    ] = 50,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="the results' folder; without it, runs/eval-DIGEST"),
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORM",
            help="write the rows as parquet, lm-eval or inspect as well; several may follow",
        ),
    ] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="environment variable that holds the endpoint's key; without it, "
            "TRUING_ENDPOINT_KEY",
        ),
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="questions asked of an endpoint at once")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="S", help="seconds to wait for an endpoint's answer"),
    ] = None,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
) -> None:
    """Score candidates under prompts: MC1, MC2 and binary, by the likelihood of given answers; with
    --free, judge their own answers too.

    Prints a table and writes every row, a CSV file and a page. Scores are kept on disk, so that an
    evaluation that was interrupted goes on where it was.
    """
    with explained("Interrupted. The same command goes on from here."):
        from truing.evaluate.sweep import SweepSpec

        spec = SweepSpec(
            evaluations=tuple(evaluations),
            candidates=tuple(candidate),
            questions=questions,
            seed=seed,
            free=free,
            judge=judge,
            max_new_tokens=max_new_tokens,
            **_given(
                controls=tuple(controls or ()) or None,
                prompts=tuple(prompt or ()) or None,
                wordings=tuple(prompts or ()) or None,
                presets=presets,
                form=form,
                limit=limit,
                dtype=dtype,
            ),
        )
        with redirect_stdout(sys.stderr):
            from truing.evaluate.sweep import plan_sweep, run_sweep
            from truing.models.patient_client import Connection
            from truing.progress import StderrProgress
            from truing.report.exports import exports
            from truing.report.sweep import show
            from truing.report.sweep_files import sweep_folder, write_sweep

            forms = list(exports(export or ()))
            asking = _given(key_variable=key_variable, at_once=at_once, timeout=timeout)
            plan = plan_sweep(spec)
            folder = sweep_folder(spec, out)
            result = run_sweep(
                plan,
                StderrProgress(),
                connection=Connection(**asking),
                accept_licence=accept_licence,
            )
            page = write_sweep(result, folder, _command_line(), forms)
        if as_json:
            print_json(result.to_json())
            return
        from rich.console import Console

        show(result, Console())
        typer.echo(f"Page: {page}")


@app.command()
def train(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="sft|rl|reward|prompt|judge", help="what to train, as the spec describes it"
        ),
    ],
    spec: Annotated[Path, typer.Argument(help="a YAML file, as for 'truing align'")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="the training's folder; without it, runs/KIND-MODEL-DIGEST"
        ),
    ] = None,
    curve: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="for sft: train on so many demonstrations each, and draw the learning curve; several "
            "may follow: --curve 10 30 100",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on where a training in the folder was interrupted")
    ] = False,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
) -> None:
    """Train one thing alone, without the comparison: a candidate by fine-tuning, by reinforcement
    learning or by a search for a prompt, a reward model, or judges of free answers.

    A candidate is left in DIR/candidates, a reward model in DIR/reward_model, a judge in DIR/judge, the
    log of every step in DIR/logs. With --json: kind, folder, candidates with their last figures, the
    agreement of a reward model or judge with held-out labels, costs.
    """
    with explained("Interrupted. The same command with --resume goes on from here."):
        built = _spec(spec, "default", _given(sft=_given(curve=curve or None)))
        with redirect_stdout(sys.stderr):  # whatever a library prints is not the result
            from truing.training import train

            result = train(
                built,
                kind,
                out,
                resume=resume,
                command=_command_line(),
                accept_licence=accept_licence,
            )
        if as_json:
            print_json(result.document)
            return
        for line in result.lines():
            typer.echo(line)
        if found := result.document.get("curve"):
            from rich.console import Console

            from truing.report.label_curve import show

            show(found, Console())
            typer.echo(f"Page: {result.folder / 'curve.html'}")


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models of the catalogue: size, licence, and whether they are on this machine."""
    with explained():
        from truing.models.catalogue import list_models

        listed = list_models()
        if as_json:
            print_json(listed)
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
    with explained():
        from rich.console import Console

        from truing.report import report_runs

        summaries = report_runs(runs, None if as_json else Console())
        if as_json:
            print_json([summary.to_json() for summary in summaries])


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
    with explained():
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
    with explained("Interrupted. The same command goes on from here."):
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
            print_json(to_json(run))
            return
        from rich.console import Console

        from truing.grid.terminal import show

        show(run, Console())
        typer.echo(f"Page: {folder / 'grid.html'}")


app.command()(cli_people.label)
app.command()(cli_people.serve)
app.add_typer(cli_data.data, name="data")  # with the commands of cli_people.py


def spread(arguments: Sequence[str]) -> list[str]:
    """`--seed 0 1 2` as `--seed 0 --seed 1 --seed 2`: numbers right behind a seed are seeds too,
    and so are those behind --curve.

    For `eval`, likewise, words behind --candidate, --prompt ... up to the name of an evaluation.
    """
    result: list[str] = []
    evaluating = arguments[:1] == ["eval"]
    named = ("truthfulness", "trivia")
    many = ("--candidate", "--prompt", "--prompts", "--controls", "--export")
    option = ""
    for argument in arguments:
        if argument.startswith("-"):
            option = argument
        elif option in ("--seed", "--curve"):
            option = option if argument.isdecimal() else ""
        elif not (evaluating and option in many) or argument in named:
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
