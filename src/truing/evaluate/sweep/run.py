"""`truing eval`: candidates x prompts on the same questions, scored, summarised and written down."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from truing.data.questions import load_questions, load_several
from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.sweep.free import FREELY
from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.sweep.respondents import Opened, opened
from truing.evaluate.sweep.result import METRICS, Asked, Line, SweepResult
from truing.evaluate.sweep.sensitivity import sensitivities
from truing.judges.trained import read_record
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.precision import substitution
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import is_endpoint
from truing.progress import Progress
from truing.prompts.wording_file import named_prompts
from truing.prompts.wordings import Wording, families
from truing.statistics.means import summary
from truing.types import Case, InputError, Row, Score, Unscored


def plan_sweep(spec: SweepSpec) -> SweepResult:
    """The questions and prompts that the spec names, and no rows yet.

    Raises InputError where they are wrong: before a model is loaded or anything is written.
    """
    if spec.judge is not None:
        read_record(spec.judge)
    prompts = named_prompts(spec.prompts, spec.wordings, spec.presets)
    return SweepResult(spec, _asked(spec), prompts=prompts)


def run_sweep(
    result: SweepResult,
    progress: Progress,
    store: ScoreStore | None = None,
    *,
    connection: Connection | None = None,
    accept_licence: bool = False,
) -> SweepResult:
    """Scores everything that is planned and returns it; what is in the store isn't computed again.

    `connection` says how endpoints are asked. Raises InputError where a candidate is wrong, or none of
    its questions can be scored.
    """
    started, spec = time.monotonic(), result.spec
    store = store or ScoreStore()
    here = not all(map(is_endpoint, spec.candidates))
    if here and (sentence := substitution(spec.dtype)):
        progress.note(sentence)
    if spec.free:  # first: what is wrong with a judge is told before answers are asked for
        result.free.load(
            spec.judge, result.asked[FREELY].cases, progress, accept_licence=accept_licence
        )
    for name in dict.fromkeys(spec.candidates):
        with opened(
            name, spec.form, spec.dtype, spec.seed, store, progress,
            connection=connection, accept_licence=accept_licence, free=spec.free,
        ) as candidate:  # fmt: skip
            result.models[name] = candidate.about()
            for evaluation, asked in result.asked.items():
                for wording in result.prompts:
                    _one(result, candidate, name, evaluation, asked.cases, wording, progress)
            if spec.free:
                _answer(result, candidate, name, progress)
            result.models[name] = candidate.about()
        del candidate
        gc.collect()  # two models needn't be in memory at once
    if spec.free:
        _judge(result)
    if found := families(result.prompts):
        with progress.task("Comparing wordings"):
            result.sensitivities = sensitivities(result.rows, found, spec.seed)
    result.seconds = time.monotonic() - started
    return result


def _asked(spec: SweepSpec) -> dict[str, Asked]:
    load = {
        "truthfulness": lambda: (spec.questions, load_questions(spec.questions)),
        "trivia": lambda: (", ".join(spec.controls), load_several(spec.controls)),
    }
    asked = {}
    for name in dict.fromkeys(spec.evaluations):
        source, cases = load[name]()
        if not cases:
            raise InputError(
                f"{name}: no questions; give 'built-in', files or a folder with --controls"
            )
        asked[name] = Asked(source, cases[: spec.limit])
    return asked


def _one(
    result: SweepResult,
    candidate: Opened,
    name: str,
    evaluation: str,
    cases: Sequence[Case],
    wording: Wording,
    progress: Progress,
) -> None:
    """One candidate, one evaluation, one wording: its rows and its line."""
    what = f"{name}, {evaluation}, {wording.name}"
    with progress.task(what, total=len(cases)) as advance:
        scoring = candidate.score(wording, cases, lambda done: advance(done))
    reasons = [_nothing_scored(chosen) for chosen in scoring.choices]
    _say_left_out(what, cases, reasons, scoring.hint, progress)
    rows = []
    for case, chosen in zip(cases, scoring.choices, strict=True):
        metrics: dict[str, Score] = (
            dict.fromkeys(METRICS, chosen) if isinstance(chosen, Unscored) else dict(chosen.metrics)
        )
        detail = {"question": case.prompt, **_detail(chosen)}
        seed = result.spec.seed
        rows.append(Row(name, seed, evaluation, case.id, metrics, case.category, detail))
    result.rows += [(wording.name, row) for row in rows]
    result.lines.append(Line(name, evaluation, wording.name, summary(rows, result.spec.seed)))
    result.contexts[name, evaluation, wording.name] = scoring.contexts
    result.answers_computed += scoring.computed


def _answer(result: SweepResult, candidate: Opened, name: str, progress: Progress) -> None:
    """The free answers of one candidate under every wording."""
    cases, most, store = result.asked[FREELY].cases, result.spec.max_new_tokens, AnswerStore()
    for wording in result.prompts:
        what = f"{name}, answers, {wording.name}"
        with progress.task(what, total=len(cases)) as advance:
            found = candidate.answer(wording, cases, most, store, lambda done: advance(done))
        reasons = [a.reason if isinstance(a, Unscored) else "" for a in found.answers]
        _say_left_out(what, cases, reasons, found.hint, progress)
        result.free.answers[name, wording.name] = found
    store.close()


def _judge(result: SweepResult) -> None:
    """Grades all free answers; rows and lines get the judged metrics."""
    spec, cases = result.spec, result.asked[FREELY].cases
    for place, line in enumerate(result.lines):
        if line.evaluation != FREELY:
            continue
        places = [
            n for n, (prompt, row) in enumerate(result.rows)
            if (row.candidate, row.evaluation, prompt) == (line.candidate, FREELY, line.prompt)
        ]  # fmt: skip
        rows, estimates = result.free.judged(
            [result.rows[n][1] for n in places], cases, line.prompt, spec.seed
        )
        for n, row in zip(places, rows, strict=True):
            result.rows[n] = (line.prompt, row)
        result.lines[place] = replace(line, metrics={**line.metrics, **estimates})


def _detail(chosen: Choices | Lettered | Unscored) -> dict[str, Any]:
    """What stands behind a row's metrics."""
    if isinstance(chosen, Lettered):
        return {
            "taken": {"all": _finite(chosen.among_all), "two": _finite(chosen.among_two)},
        }
    if isinstance(chosen, Unscored):
        return {"log_likelihoods": {}}
    return {
        "log_likelihoods": {"true": _finite(chosen.true), "false": _finite(chosen.false)},
    }


def _finite(scores: Sequence[float]) -> list[float | None]:
    """JSON knows neither NaN nor infinity."""
    return [score if abs(score) < float("inf") else None for score in scores]


def _say_left_out(
    what: str, cases: Sequence[Case], reasons: Sequence[str], hint: str, progress: Progress
) -> None:
    """Names the first question that has a reason to be left out; where all have, that is the user's to
    mend."""
    left_out = [(c, reason) for c, reason in zip(cases, reasons, strict=True) if reason]
    if not left_out:
        return
    case, reason = left_out[0]
    first = f"{what}: question {case.prompt[:60]!r}: {reason}"
    if len(left_out) == len(cases):
        raise InputError(f"{first}; so are all others: {hint}")
    progress.note(f"{first}; {len(left_out)} of {len(cases)} questions are unscored.")


def _nothing_scored(chosen: Choices | Lettered | Unscored) -> str:
    """Why a question has no figure at all for a reason that the user may mend; empty where it has."""
    if isinstance(chosen, Unscored):
        return chosen.reason
    scores = chosen.metrics.values() if isinstance(chosen, Lettered) else ()
    reasons = [score.reason for score in scores if isinstance(score, Unscored)]
    return reasons[0] if len(reasons) == len(METRICS) else ""
