"""`truing oversight`: studies of whether help makes people right, or only sure.

As in main.py: parses, calls, prints, and imports what the command needs inside it.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from truing.cli import completion
from truing.cli.common import (
    AcceptLicence,
    AsJson,
    DeviceName,
    explained,
    given,
    print_json,
    use_device,
)
from truing.cli.eval_options import Arms, Items
from truing.cli.lists import Commands
from truing.terminal import say

oversight = Commands(
    name="oversight",
    help="Plan a study of oversight by people, and report it: debate, consultancy, sandwiching.",
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="the study's folder")]


@oversight.command()
def plan(
    spec: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SPEC]", help="a YAML file with these options as keys (arms: a list)"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="a new folder for the plan")] = Path(
        "oversight"
    ),
    items: Items = None,
    arm: Arms = None,
    adviser: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            autocompletion=completion.models,
            help="who writes the advice, while the study is planned: a model, a server's, "
            "endpoint:URL#MODEL, or answers:FILE",
        ),
    ] = None,
    people: Annotated[int | None, typer.Option(min=1, metavar="N", help="without it 8")] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="how often each goes through every arm; without it 4"
        ),
    ] = None,
    time_limit: Annotated[
        int | None, typer.Option(min=1, metavar="S", help="seconds for a trial; without it 180")
    ] = None,
    questions: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="questions to the adviser in a dialogue; without it 2"
        ),
    ] = None,
    exclude_timed_out: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="leave a person out with more trials timed out; without it 0.25",
        ),
    ] = None,
    exclude_faster: Annotated[
        float | None,
        typer.Option(
            min=0.0, metavar="S", help="leave a person out with a faster median; without it 2"
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="only the first items")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="draws sides, orders and arms; without it 0")
    ] = None,
    device: DeviceName = None,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
) -> None:
    """Plan a study: who is asked what, under which advice, in what order, and how much it can show.

    Sides, the order of options and the order of speakers are balanced exactly. Answers and passages stand
    in a file apart, key.jsonl, which only its owner can read.
    """
    with explained():
        from truing.progress import StderrProgress
        from truing.recipes.oversight import plan_request, plan_study

        use_device(device)
        options = given(
            items=items,
            arms=tuple(arm) if arm else None,
            adviser=adviser,
            people=people,
            rounds=rounds,
            time_limit=time_limit,
            questions=questions,
            timed_out=exclude_timed_out,
            least_seconds=exclude_faster,
            limit=limit,
            seed=seed,
        )
        request = plan_request(spec, options)
        with redirect_stdout(sys.stderr):
            study = plan_study(request, out, StderrProgress(), accept_licence=accept_licence)
        if as_json:
            print_json(dict(study.record))
            return
        from truing.oversight.words import planned

        for sentence in planned(study):
            say(sentence)


@oversight.command()
def report(
    folder: Folder,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="the answers; without it, DIR/answers.jsonl"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report a study from its plan and its answers, as a page and here: the verdict first."""
    with explained():
        from truing.oversight.page import show
        from truing.recipes.oversight import REPORT, report_study
        from truing.terminal.console import console

        study, document = report_study(folder, answers)
        if as_json:
            print_json(document)
            return
        show(study, document, console())
        say(f"Report: {folder / REPORT}")


def oversee(
    parties: dict[str, Any],
    seed: int,
    limit: int | None,
    out: Path | None,
    asking: dict[str, Any],
    accept_licence: bool,
    as_json: bool,
) -> None:
    """A model in the overseer's place, printed."""
    from truing.models.remote.client import Connection
    from truing.progress import StderrProgress
    from truing.recipes.oversight import REPORT, SimulationRequest, simulate_oversight

    overseer = parties["overseer"]
    arms = {"arms": tuple(parties["arm"])} if "arm" in parties else {}
    request = SimulationRequest(
        overseer, parties.get("adviser", overseer), parties["items"], seed=seed, limit=limit, **arms
    )
    with redirect_stdout(sys.stderr):
        study, document, folder = simulate_oversight(
            request,
            out,
            StderrProgress(),
            connection=Connection(**asking),
            accept_licence=accept_licence,
        )
    if as_json:
        print_json(document)
        return
    from truing.oversight.page import show
    from truing.terminal.console import console

    show(study, document, console())
    say(f"Page: {folder / REPORT}")
