"""`truing eval`: candidates under prompts.

As in cli.py: parses, calls, prints, and imports what the command needs inside it.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from truing.cli_common import (
    AcceptLicence,
    AsJson,
    command_line,
    explained,
    given,
    print_json,
)


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
            **given(
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
            asking = given(key_variable=key_variable, at_once=at_once, timeout=timeout)
            plan = plan_sweep(spec)
            folder = sweep_folder(spec, out)
            result = run_sweep(
                plan,
                StderrProgress(),
                connection=Connection(**asking),
                accept_licence=accept_licence,
            )
            page = write_sweep(result, folder, command_line(), forms)
        if as_json:
            print_json(result.to_json())
            return
        from rich.console import Console

        show(result, Console())
        typer.echo(f"Page: {page}")
