"""`truing eval`: candidates x prompts on the same questions, scored, summarised and written down."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from truing.data.questions import load_questions, load_several
from truing.evaluate.free import answers_under
from truing.evaluate.free_rows import FREELY, Free
from truing.evaluate.judged import JUDGED
from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.opening import Opened, opened
from truing.evaluate.scoring import Examinee, Scoring
from truing.evaluate.sensitivity import Sensitivity, sensitivities
from truing.evaluate.trained_judges import read_record
from truing.models.answer_store import AnswerStore
from truing.models.endpoint import is_endpoint
from truing.models.patient_client import Connection
from truing.models.precision import computed_in, substitution
from truing.models.score_store import SCORING_VERSION, ScoreStore
from truing.progress import Progress
from truing.prompts.wording_file import named_prompts
from truing.prompts.wordings import FORMS, Context, Form, Wording, families
from truing.spec import EvaluationSpec
from truing.statistics import summary
from truing.types import Case, Dtype, Estimate, InputError, Row, Score, Unscored, stable_hash

METRICS = ("mc1", "mc2", "binary")
"""Of likelihoods. Where free answers are asked for, JUDGED follow: see `SweepResult.metrics`."""
EVALUATIONS = {
    "truthfulness": "questions that tempt into a misconception (--questions)",
    "trivia": "control questions without one (--controls)",
}
"""What can be asked for, and about what it asks."""


@dataclass(frozen=True)
class SweepSpec:
    """What is asked of whom. `limit`: only the first questions. `seed` draws the intervals.

    `wordings` are files of many wordings of one instruction. Without them and without `prompts`, the
    candidate's own prompt is asked.

    `free`: candidates also answer in their own words, in at most `max_new_tokens`, and are graded by the
    judges in the folder `judge` or by the built-in ones.
    """

    evaluations: tuple[str, ...]
    candidates: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    wordings: tuple[Path, ...] = ()
    presets: Path | None = None
    form: Form = "auto"
    questions: str = "built-in"
    controls: tuple[str, ...] = ("built-in",)
    limit: int | None = None
    dtype: Dtype = EvaluationSpec().dtype
    seed: int = 0
    free: bool = False
    judge: Path | None = None
    max_new_tokens: int = 50

    def __post_init__(self) -> None:
        """Raises InputError for an unknown name, or where nothing is to be done."""
        for option, value, known in (
            ("--form", self.form, FORMS),
            ("--dtype", self.dtype, get_args(Dtype)),
        ):
            if value not in known:
                raise InputError(f"{option} {value}: unknown; known: {', '.join(known)}")
        for name in self.evaluations:
            if name not in EVALUATIONS:
                raise InputError(f"evaluation {name!r}: unknown; known: {', '.join(EVALUATIONS)}")
        if not self.evaluations:
            raise InputError(f"no evaluation is named; known: {', '.join(EVALUATIONS)}")
        if not self.candidates:
            raise InputError("no candidate is named; give --candidate")
        if self.judge is not None and not self.free:
            raise InputError("--judge: grades free answers; give --free too")
        if self.free and FREELY not in self.evaluations:
            raise InputError(f"--free: belongs to {FREELY}; name that evaluation too")
        if self.free and (served := next(filter(is_endpoint, self.candidates), None)):
            raise InputError(
                f"--free: {served} can't be asked for answers of its own here; leave out --free for it"
            )


@dataclass(frozen=True)
class Line:
    """One candidate's figures under one prompt in one evaluation."""

    candidate: str
    evaluation: str
    prompt: str
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True)
class Asked:
    """The cases of one evaluation and where they are from."""

    source: str
    cases: tuple[Case, ...]

    def to_json(self) -> dict[str, Any]:
        """Source, number and hash of the cases."""
        texts = [
            text for c in self.cases for text in (c.prompt, *c.correct_answers, "", *c.incorrect_answers)
        ]  # fmt: skip
        return {
            "file": self.source,
            "n": len(self.cases),
            "hash": stable_hash("cases", *texts)[:16],
        }


@dataclass
class SweepResult:
    """All rows, each with its prompt, and what was computed from them."""

    spec: SweepSpec
    asked: dict[str, Asked]
    rows: list[tuple[str, Row]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    prompts: list[Wording] = field(default_factory=list)
    contexts: dict[tuple[str, str, str], tuple[Context, ...]] = field(default_factory=dict)
    sensitivities: list[Sensitivity] = field(default_factory=list)
    answers_computed: int = 0
    seconds: float = 0.0
    free: Free = field(default_factory=Free)

    def metrics(self, evaluation: str) -> tuple[str, ...]:
        """The metrics that rows and lines of an evaluation have, in the order in which they are shown."""
        return METRICS + (JUDGED if self.spec.free and evaluation == FREELY else ())

    def to_json(self) -> dict[str, Any]:
        """`candidates.<name>.<evaluation>.<prompt>.<metric>` with value, low, high, n, unscored."""
        candidates: dict[str, Any] = {}
        for line in self.lines:
            place = candidates.setdefault(line.candidate, {}).setdefault(line.evaluation, {})
            place[line.prompt] = {name: e.to_json() for name, e in line.metrics.items()}
        sensitivity: dict[str, Any] = {}
        for found in self.sensitivities:
            sensitivity.setdefault(found.family, {})[found.evaluation] = found.to_json()
        return {
            "candidates": candidates,
            "models": self.models,
            "questions": {name: asked.to_json() for name, asked in self.asked.items()},
            "prompts": {wording.name: wording.id for wording in self.prompts},
            "sensitivity": sensitivity,
            "form": self.spec.form,
            "dtype": self.spec.dtype,
            "computed_in": computed_in(self.spec.dtype),
            "seed": self.spec.seed,
            "limit": self.spec.limit,
            "scoring_version": SCORING_VERSION,
            "answers_computed": self.answers_computed,
            **({"free": self.free.to_json()} if self.spec.free else {}),
            "seconds": round(self.seconds, 3),
        }

    def rows_json(self) -> list[dict[str, Any]]:
        """The rows as they stand in rows.jsonl."""
        return [{"prompt": prompt, **row.to_json()} for prompt, row in self.rows]


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
            connection=connection, accept_licence=accept_licence,
        ) as candidate:  # fmt: skip
            result.models[name] = candidate.about()
            for evaluation, asked in result.asked.items():
                for wording in result.prompts:
                    _one(result, candidate, name, evaluation, asked.cases, wording, progress)
            if spec.free and candidate.examinee:
                _answer(result, candidate.examinee, name, progress)
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
    _say_unscored(what, cases, scoring, progress)
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


def _answer(result: SweepResult, examinee: Examinee, name: str, progress: Progress) -> None:
    """The free answers of one candidate under every wording."""
    cases, spec, store = result.asked[FREELY].cases, result.spec, AnswerStore()
    for wording in result.prompts:
        with progress.task(f"{name}, answers, {wording.name}", total=len(cases)) as advance:
            result.free.answers[name, wording.name] = answers_under(
                examinee,
                wording,
                spec.form,
                cases,
                spec.max_new_tokens,
                store,
                lambda n: advance(n),
            )
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


def _say_unscored(what: str, cases: Sequence[Case], scoring: Scoring, progress: Progress) -> None:
    """Names the first question that can't be scored; where none can, that is the user's to mend."""
    left_out = [
        (case, reason)
        for case, chosen in zip(cases, scoring.choices, strict=True)
        if (reason := _nothing_scored(chosen))
    ]
    if not left_out:
        return
    case, reason = left_out[0]
    first = f"{what}: question {case.prompt[:60]!r}: {reason}"
    if len(left_out) == len(cases):
        raise InputError(f"{first}; so are all others: {scoring.hint}")
    progress.note(f"{first}; {len(left_out)} of {len(cases)} questions are unscored.")


def _nothing_scored(chosen: Choices | Lettered | Unscored) -> str:
    """Why a question has no figure at all for a reason that the user may mend; empty where it has."""
    if isinstance(chosen, Unscored):
        return chosen.reason
    scores = chosen.metrics.values() if isinstance(chosen, Lettered) else ()
    reasons = [score.reason for score in scores if isinstance(score, Unscored)]
    return reasons[0] if len(reasons) == len(METRICS) else ""
