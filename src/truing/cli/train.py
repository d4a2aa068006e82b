"""`truing train`: one thing alone.

As in main.py: parses, calls, prints, and imports what the command needs inside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli import completion
from truing.cli.common import (
    AcceptLicence,
    AsJson,
    DeviceName,
    TaskName,
    command_line,
    explained,
    given,
    print_json,
    spec_of,
    use_device,
)
from truing.cli.workers import (
    WorkerCa,
    Workers,
    WorkerSilence,
    WorkerThreads,
    WorkerToken,
    named_pool,
)
from truing.terminal import say
from truing.types import InputError

if TYPE_CHECKING:
    from truing.models.pool.pool import WorkerPool


@contextmanager
def _explained_once(interrupted: str) -> Iterator[bool]:
    """`explained`, where several processes may train together: a mistake in one ends all of them, and
    the first says it. Gives whether this is the first."""
    with explained(interrupted):
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            yield True
            return
        from truing.runs.heartbeat import ProcessLost
        from truing.runs.ranks import Ranks, may_speak

        ranks = Ranks()
        try:
            yield ranks.leads
        except InputError as error:
            ranks.tell(error)
            if ranks.leads:
                raise
            with suppress(ProcessLost):
                ranks.wait()  # whoever has started them ends the others with the first to end
            raise typer.Exit(error.exit_code) from None
        except ProcessLost as lost:
            if may_speak():
                say(f"Error: {lost}", error=True)
            raise typer.Exit(1) from None


def _pool(device: str, workers: str | None, options: Mapping[str, Any]) -> WorkerPool | None:
    from truing.progress import StderrProgress

    use_device(device)  # which workers compute on as well
    return named_pool(StderrProgress().note, workers, **options)


def train(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="sft|preference|rl|reward|prompt|judge",
            help="what to train, as the spec describes it",
            autocompletion=completion.trainings,
        ),
    ],
    spec: Annotated[Path, typer.Argument(help="a YAML file, as for 'truing align'")],
    task: TaskName = None,
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
    device: DeviceName = None,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
    workers: Workers = None,
    worker_threads: WorkerThreads = None,
    worker_token: WorkerToken = None,
    worker_ca: WorkerCa = None,
    worker_silence: WorkerSilence = None,
) -> None:
    """Train one thing alone, without the comparison: a candidate by fine-tuning, from preferences, by
    reinforcement learning or by a search for a prompt, a reward model from people's judgements, or judges
    of free answers.

    A candidate is left in DIR/candidates, a reward model in DIR/reward_model, a judge in DIR/judge, the
    log of every step in DIR/logs. With --json: kind, folder, candidates with their last figures, the
    agreement of a reward model or judge with what people said and it hasn't seen, costs. --workers is for
    rl: they give the answers, the command learns.
    """
    with _explained_once("Interrupted. The same command with --resume goes on from here.") as leads:
        over = given(task=task, sft=given(curve=curve or None), compute=given(device=device))
        built = spec_of(spec, None, over)
        with redirect_stdout(sys.stderr):  # whatever a library prints is not the result
            from truing.recipes.train import train

            pool = None
            options = {
                "worker_threads": worker_threads,
                "worker_token": worker_token,
                "worker_ca": worker_ca,
                "worker_silence": worker_silence,
            }
            if workers is not None or any(each is not None for each in options.values()):
                pool = _pool(built.compute.device, workers, options)
            # Not entered: what learns keeps all of its threads.
            with nullcontext() if pool is None else closing(pool):
                result = train(
                    built,
                    kind,
                    out,
                    resume=resume,
                    command=command_line(),
                    accept_licence=accept_licence,
                    pool=pool,
                )
        if not leads:
            return
        if as_json:
            print_json(result.document)
            return
        for line in result.lines():
            say(line)
        if found := result.document.get("curve"):
            from truing.recipes.curve_page import show
            from truing.terminal.console import console

            show(found, console())
            say(f"Page: {result.folder / 'curve.html'}")
