"""`truing eval`: candidates under prompts.

As in main.py: parses, calls, prints, and imports what the command needs inside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from truing.cli.eval_options import (
    Adviser,
    Arms,
    AtOnce,
    AttackBudget,
    AttackerName,
    AttackLimit,
    Attacks,
    Base,
    Candidates,
    Controls,
    Draws,
    Evaluations,
    Exports,
    FormName,
    Free,
    Items,
    Judge,
    JudgeKey,
    JudgePrices,
    KeyVariable,
    Limit,
    MaxNewTokens,
    OptionOrders,
    Out,
    OutcomeJudgeName,
    OutcomeLabels,
    Overseer,
    Precision,
    Presets,
    PromptNames,
    Questions,
    Readings,
    Refusals,
    RubricFiles,
    Run,
    ScalesFile,
    Seed,
    SteerTo,
    SurveyFile,
    Timeout,
    VariantFiles,
)
from truing.cli.lists import Listing
from truing.cli.oversight import oversee
from truing.cli.workers import (
    WorkerCa,
    Workers,
    WorkerSilence,
    WorkerThreads,
    WorkerToken,
    entered,
    named_pool,
)
from truing.evaluate import EVALUATIONS  # a list of names and declarations: loads nothing
from truing.terminal import say
from truing.types import InputError

if TYPE_CHECKING:
    from truing.data.survey import Survey
    from truing.evaluate.sweep.request import SweepSpec
    from truing.evaluate.sweep.result import SweepResult


OWN = "built-in"
"""The questions that are asked where no others are named."""
OVERSIGHT = "oversight"
"""The evaluation of two parties: it lies above the others, and stands alone."""


class Evaluating(Listing):
    """Behind a list of candidates, prompts or files the name of an evaluation is an evaluation."""

    ends = staticmethod({*EVALUATIONS, OVERSIGHT}.__contains__)


def evaluate(
    evaluations: Evaluations,
    candidate: Candidates = None,
    prompt: PromptNames = None,
    prompts: VariantFiles = None,
    presets: Presets = None,
    form: FormName = "auto",
    questions: Questions = OWN,
    controls: Controls = None,
    refusals: Refusals = None,
    outcome_labels: OutcomeLabels = None,
    limit: Limit = None,
    dtype: Precision = None,
    seed: Seed = 0,
    free: Free = False,
    judge: Judge = None,
    outcome_judge: OutcomeJudgeName = None,
    rubric: RubricFiles = None,
    prices: JudgePrices = None,
    judge_key_variable: JudgeKey = None,
    max_new_tokens: MaxNewTokens = 50,
    base: Base = None,
    task: TaskName = None,
    attacks: Attacks = None,
    attack_limit: AttackLimit = None,
    attacker: AttackerName = None,
    attack_budget: AttackBudget = None,
    draws: Draws = None,
    overseer: Overseer = None,
    adviser: Adviser = None,
    items: Items = None,
    arm: Arms = None,
    survey: SurveyFile = None,
    scales: ScalesFile = None,
    read: Readings = None,
    orders: OptionOrders = None,
    steer: SteerTo = None,
    run: Run = None,
    out: Out = None,
    export: Exports = None,
    key_variable: KeyVariable = None,
    at_once: AtOnce = None,
    timeout: Timeout = None,
    device: DeviceName = None,
    workers: Workers = None,
    worker_threads: WorkerThreads = None,
    worker_token: WorkerToken = None,
    worker_ca: WorkerCa = None,
    worker_silence: WorkerSilence = None,
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
            task=task,
            prompt=prompt,
            prompts=prompts,
            limit=limit,
            judge=judge,
            base=base,
            out=out,
            refusals=refusals,
            outcome_labels=outcome_labels,
            outcome_judge=outcome_judge,
            rubric=rubric or None,
            prices=prices,
            judge_key_variable=judge_key_variable,
            questions=None if questions == OWN else questions,
            controls=controls or None,
            presets=presets,
            form=None if form == "auto" else form,
            dtype=dtype,
        )
        asks = _lists(attacks=attacks, read=read, steer=steer) | given(
            attack_limit=attack_limit,
            attacker=attacker,
            attack_budget=attack_budget,
            draws=draws,
            survey=survey,
            scales=scales,
            orders=orders,
        )
        parties = given(overseer=overseer, adviser=adviser, items=items, arm=arm or None)
        asking = given(key_variable=key_variable, at_once=at_once, timeout=timeout)
        spread = given(
            workers=workers,
            worker_threads=worker_threads,
            worker_token=worker_token,
            worker_ca=worker_ca,
            worker_silence=worker_silence,
        )
        if OVERSIGHT in evaluations:
            measured = {**apart, **asks, **spread, **given(run=run, candidate=candidate or None)}
            _check_alone(evaluations, [n for n in measured if n not in ("limit", "out")], parties)
            oversee(parties, seed, limit, out, asking, accept_licence, as_json)
            return
        if parties:
            option = next(iter(parties))
            raise InputError(f"--{option}: belongs to {OVERSIGHT}; name that evaluation")
        if run is not None:
            asked: dict[str, Path] = given(
                survey=asks.pop("survey", None), scales=asks.pop("scales", None)
            )
            apart |= (
                asks | asking | spread | given(export=export, free=free or None, seed=seed or None)
            )
            others = [name.replace("_", "-") for name in apart]
            _add_to(run, evaluations, candidate, others, asked, as_json)
            return
        from truing.evaluate.sweep.request import SweepSpec

        spec = SweepSpec(
            evaluations=tuple(evaluations),
            candidates=tuple(candidate or ()),
            questions=questions,
            seed=seed,
            free=free,
            max_new_tokens=max_new_tokens,
            **_lists(
                controls=controls,
                refusals=refusals,
                outcome_labels=outcome_labels,
                prompts=prompt,
                variant_files=prompts,
                rubrics=rubric,
            ),
            **given(judge=judge, outcome_judge=outcome_judge, prices=prices),
            **given(judge_key_variable=judge_key_variable, base=base, task=task, presets=presets),
            **given(form=form, limit=limit, dtype=dtype),
            **asks,
        )
        with redirect_stdout(sys.stderr):
            result, page = _evaluated(spec, out, export or (), asking, accept_licence, spread)
        if as_json:
            print_json(result.to_json())
            return
        from truing.evaluate.sweep.page import show
        from truing.terminal.console import console

        show(result, console())
        say(f"Page: {page}")


def _check_alone(
    evaluations: Sequence[str], others: Sequence[str], parties: dict[str, Any]
) -> None:
    """Raises InputError where oversight is asked for together with something else, or lacks a party."""
    if list(evaluations) != [OVERSIGHT]:
        raise InputError(f"{OVERSIGHT}: has two parties and stands alone; name no other evaluation")
    if others:
        name = others[0].replace("_", "-")
        raise InputError(f"--{name}: says nothing of {OVERSIGHT}; leave it out")
    for name in ("overseer", "items"):
        if name not in parties:
            raise InputError(f"{OVERSIGHT}: needs --overseer and --items; give --{name}")


def _lists(**options: Sequence[Any] | None) -> dict[str, Any]:
    """The lists that were given and aren't empty."""
    return {name: tuple(values) for name, values in options.items() if values}


def _add_to(
    run: Path,
    evaluations: Sequence[str],
    candidates: Sequence[str] | None,
    others: Sequence[str],
    asked: dict[str, Path],
    as_json: bool,
) -> None:
    """Adds evaluations to a run; raises InputError where options say how to measure something else."""
    if candidates:
        raise InputError("--run: measures the run's own candidates; leave out --candidate")
    if others:
        raise InputError(f"--run: measures as the run measured; leave out --{others[0]}")
    with redirect_stdout(sys.stderr):
        from truing.recipes.add_evaluation import add_evaluations

        summary = add_evaluations(run, evaluations, survey=_survey(evaluations, asked))
    if as_json:
        print_json(summary.to_json())
        return
    from truing.report import show
    from truing.terminal.console import console

    show(summary, console())
    say(f"Report: {run / 'report.html'}")


def _survey(evaluations: Sequence[str], asked: dict[str, Path]) -> Survey | None:
    """The survey that is asked of a run; None where none is named. Raises InputError where it can't be
    used."""
    if not asked:
        return None
    if "opinions" not in evaluations:
        raise InputError(f"--{next(iter(asked))}: belongs to opinions; name that evaluation")
    if "survey" not in asked:
        raise InputError("--scales: holds for a survey; name its file with --survey")
    from truing.data.survey import measurable_survey, survey_lines
    from truing.progress import StderrProgress

    survey = measurable_survey(asked["survey"], asked.get("scales"))
    for line in survey_lines(survey):
        StderrProgress().note(line)
    return survey


def _evaluated(
    spec: SweepSpec,
    out: Path | None,
    forms: Sequence[str],
    asking: dict[str, Any],
    accept_licence: bool,
    spread: dict[str, Any],
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
    of_task = task_cases(spec.task, progress, spec.evaluations) if spec.task else None
    plan = plan_sweep(spec, of_task)
    named = named_pool(progress.note, **spread)
    with entered(named) as pool, opened_folder(spec, out) as folder:
        connection = Connection(**asking)
        result = run_sweep(
            plan, progress, connection=connection, accept_licence=accept_licence, pool=pool
        )
        return result, write_sweep(result, folder, command_line(), known)
