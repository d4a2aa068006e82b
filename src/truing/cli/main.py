"""The command line: parses, calls, prints. No logic.

Standard output carries results alone; progress and messages go to standard error. Exit codes: 0 done,
1 the machine or the network failed (or a defect, with its traceback), 2 the input is wrong, 130
interrupted. What a command needs is imported inside it, so that `truing --help` answers at once.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from truing import __version__
from truing.cli import completion
from truing.cli.beginning import doctor, init, models
from truing.cli.common import (
    AcceptLicence,
    AsJson,
    CandidateName,
    DeviceName,
    TaskName,
    command_line,
    explained,
    given,
    print_json,
    spec_of,
    use_device,
)
from truing.cli.compare import compare
from truing.cli.data import data
from truing.cli.eval import Evaluating, evaluate
from truing.cli.export import export
from truing.cli.lists import Commands
from truing.cli.oversight import oversight
from truing.cli.pages import label, serve
from truing.cli.tasks import tasks
from truing.cli.train import train
from truing.cli.workers import (
    WorkerCa,
    Workers,
    WorkerSilence,
    WorkerThreads,
    WorkerToken,
    named_pool,
    worker,
)
from truing.terminal import ends_quietly, prepare_streams, say, say_defect

app = Commands(
    name="truing",
    help="Align one language model four ways (prompt, fine-tuning, preferences, reinforcement "
    "learning) and see what each method gained, cost and broke.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"truing {__version__}")
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


Model = Annotated[
    str | None,
    typer.Option(
        autocompletion=completion.models,
        help="a catalogue name, a Hugging Face id, a local folder, a LoRA adapter's folder or a "
        "run's candidate folder",
    ),
]
Questions = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="'built-in', or a CSV, JSON or JSONL file"),
]
Controls = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="'built-in', 'none', or a file as for --questions"),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="the run's folder; without it, runs/MODEL-DIGEST of the spec"),
]
Profile = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="how much is done: smoke, default or full",
        autocompletion=completion.profiles,
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="try this method, or several: --method prompt sft",
        autocompletion=completion.methods,
    ),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option(metavar="N", help="train with this seed, or with several: --seed 0 1 2"),
]


@app.command()
def align(
    spec: Annotated[
        Path | None, typer.Argument(help="a YAML file; without one, the defaults hold")
    ] = None,
    task: TaskName = None,
    model: Model = None,
    questions: Questions = None,
    controls: Controls = None,
    out: Out = None,
    profile: Profile = "default",
    method: Methods = None,
    seed: Seeds = None,
    device: DeviceName = None,
    as_json: AsJson = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="begin anew where the folder holds a run")
    ] = False,
    workers: Workers = None,
    worker_threads: WorkerThreads = None,
    worker_token: WorkerToken = None,
    worker_ca: WorkerCa = None,
    worker_silence: WorkerSilence = None,
    accept_licence: AcceptLicence = False,
) -> None:
    """Align a model by several methods, measure what each did, and write the report.

    A run that was interrupted goes on where it was when the same command is given again. Options win
    over the spec file, the file over the profile.
    """
    but = " without --overwrite" if overwrite else ""
    with explained(f"Interrupted. The same command{but} goes on from here."):
        over = given(
            task=task,
            model=model,
            methods=[name.replace("-", "_") for name in method or ()] or None,
            seeds=seed or None,
            data=given(questions=questions, controls=controls),
            compute=given(device=device),
        )
        built = spec_of(spec, profile, over)
        with redirect_stdout(sys.stderr):  # whatever a library prints is not the result
            from truing.progress import StderrProgress
            from truing.recipes.align import align as run_align

            use_device(built.compute.device)  # which workers compute on as well
            pool = named_pool(
                StderrProgress().note,
                workers,
                worker_threads=worker_threads,
                worker_token=worker_token,
                worker_ca=worker_ca,
                worker_silence=worker_silence,
            )
            result = run_align(
                built,
                out,
                profile=profile,
                command=command_line(),
                overwrite=overwrite,
                accept_licence=accept_licence,
                pool=pool,
            )
        if as_json:
            print_json(result.to_json())
            return
        from truing.report import show
        from truing.terminal.console import console

        show(result.summary, console())
        say(f"Report: {result.report}")


app.command("eval", cls=Evaluating)(evaluate)
app.command()(train)


app.command()(init)
app.command()(doctor)
app.command()(models)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="folders of runs")],
    as_json: AsJson = False,
) -> None:
    """Write the reports of runs anew from their rows and print them. No model is needed.

    Of a training, the page. With --json: a list with one object for each run, each as 'truing align --json'
    prints it; of a training its findings and what was held out.
    """
    with explained():
        from truing.recipes.report_runs import report_runs
        from truing.terminal.console import console

        documents = report_runs(runs, None if as_json else console())
        if as_json:
            print_json(documents)


app.command()(compare)
app.command()(worker)


@app.command()
def chat(
    candidate: CandidateName,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, metavar="N", help="an answer's greatest length in tokens")
    ] = 128,
    temperature: Annotated[
        float, typer.Option(min=0.0, metavar="T", help="0: always the likeliest token")
    ] = 0.0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="draws the answers where the temperature is above 0")
    ] = 0,
    device: DeviceName = None,
    accept_licence: AcceptLicence = False,
) -> None:
    """Ask a candidate questions, one a line, until the end of the input.

    Every question stands alone: earlier ones are not remembered. A candidate of a run answers with its
    own prompt, any other model with none.
    """
    with explained():
        from truing.serve.chat import Chat, lines

        use_device(device)
        with redirect_stdout(sys.stderr):
            talk = Chat.open(
                candidate, max_new_tokens, temperature, seed, accept_licence=accept_licence
            )
        for question in lines():
            say(talk.answer(question))


@app.command()
def grid(
    map: Annotated[
        str | None,
        typer.Argument(
            metavar="MAP",
            autocompletion=completion.maps,
            help="a built-in map (open, detour, rooms, maze, gap) or an ASCII file",
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
        from truing.spec.grid import make_grid_spec

        spec = make_grid_spec(
            given(
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
        from truing.grid.terminal import show
        from truing.terminal.console import console

        show(run, console())
        say(f"Page: {folder / 'grid.html'}")


app.command()(tasks)
app.command()(label)
app.command()(serve)
app.command()(export)
app.add_typer(oversight, name="oversight")
app.add_typer(data, name="data")  # with the commands of cli/people.py


def main() -> None:
    """The console's entry point."""
    prepare_streams()
    with ends_quietly():
        try:
            app(prog_name="truing")
        except Exception:  # a defect: its traceback may quote what is foreign
            say_defect()
            sys.exit(1)


if __name__ == "__main__":
    main()
