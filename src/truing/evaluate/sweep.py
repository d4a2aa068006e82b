"""`truing eval`: candidates x prompts on the same questions, scored, summarised and written down."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from truing.candidates import Candidate, open_candidate
from truing.data.questions import load_controls, load_questions
from truing.evaluate.scoring import Examinee, Scoring, score_wording
from truing.evaluate.statistics import mean
from truing.models.plain import SENTENCE
from truing.models.precision import computed_in, substitution
from truing.models.score_store import SCORING_VERSION, ScoreStore
from truing.progress import Progress
from truing.prompts.wordings import FORMS, Form, Wording, wordings
from truing.spec import EvaluationSpec
from truing.types import Case, Dtype, Estimate, InputError, Row, Score, Unscored, stable_hash

METRICS = ("mc1", "mc2", "binary")
EVALUATIONS = {
    "truthfulness": "questions that tempt into a misconception (--questions)",
    "trivia": "control questions without one (--controls)",
}
"""What can be asked for, and about what it asks."""


@dataclass(frozen=True)
class SweepSpec:
    """What is asked of whom. `limit`: only the first questions. `seed` draws the intervals."""

    evaluations: tuple[str, ...]
    candidates: tuple[str, ...]
    prompts: tuple[str, ...] = ("own",)
    presets: Path | None = None
    form: Form = "auto"
    questions: str = "built-in"
    controls: str = "built-in"
    limit: int | None = None
    dtype: Dtype = EvaluationSpec().dtype
    seed: int = 0

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
    answers_computed: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """`candidates.<name>.<evaluation>.<prompt>.<metric>` with value, low, high, n, unscored."""
        candidates: dict[str, Any] = {}
        for line in self.lines:
            place = candidates.setdefault(line.candidate, {}).setdefault(line.evaluation, {})
            place[line.prompt] = {name: e.to_json() for name, e in line.metrics.items()}
        return {
            "candidates": candidates,
            "models": self.models,
            "questions": {name: asked.to_json() for name, asked in self.asked.items()},
            "prompts": {wording.name: wording.id for wording in self.prompts},
            "form": self.spec.form,
            "dtype": self.spec.dtype,
            "computed_in": computed_in(self.spec.dtype),
            "seed": self.spec.seed,
            "limit": self.spec.limit,
            "scoring_version": SCORING_VERSION,
            "answers_computed": self.answers_computed,
            "seconds": round(self.seconds, 3),
        }

    def rows_json(self) -> list[dict[str, Any]]:
        """The rows as they stand in rows.jsonl."""
        return [{"prompt": prompt, **row.to_json()} for prompt, row in self.rows]


def plan_sweep(spec: SweepSpec) -> SweepResult:
    """The questions and prompts that the spec names, and no rows yet.

    Raises InputError where they are wrong: before a model is loaded or anything is written.
    """
    return SweepResult(spec, _asked(spec), prompts=wordings(spec.prompts, spec.presets))


def run_sweep(
    result: SweepResult,
    progress: Progress,
    store: ScoreStore | None = None,
    *,
    accept_licence: bool = False,
) -> SweepResult:
    """Scores everything that is planned and returns it; what is in the store isn't computed again.

    Raises InputError where a candidate is wrong, or none of its questions can be scored.
    """
    started, spec = time.monotonic(), result.spec
    store = store or ScoreStore()
    if sentence := substitution(spec.dtype):
        progress.note(sentence)
    for name in dict.fromkeys(spec.candidates):
        with progress.task(f"Loading {name}"):
            candidate, weights = open_candidate(
                name, spec.seed, spec.dtype, accept_licence=accept_licence
            )
        if candidate.model.plain:
            progress.note(f"{name}: {SENTENCE}")
        result.models[name] = _about(candidate, weights)
        for evaluation, asked in result.asked.items():
            for wording in result.prompts:
                _one(result, Examinee(candidate, weights, spec.dtype), name, evaluation, asked.cases,
                     wording, store, progress)  # fmt: skip
        del candidate
        gc.collect()  # two models needn't be in memory at once
    result.seconds = time.monotonic() - started
    return result


def _asked(spec: SweepSpec) -> dict[str, Asked]:
    load = {
        "truthfulness": lambda: (spec.questions, load_questions(spec.questions)),
        "trivia": lambda: (spec.controls, load_controls(spec.controls)),
    }
    asked = {}
    for name in dict.fromkeys(spec.evaluations):
        source, cases = load[name]()
        if not cases:
            raise InputError(f"{name}: no questions; give 'built-in' or a file with --controls")
        asked[name] = Asked(source, cases[: spec.limit])
    return asked


def _about(candidate: Candidate, weights: str) -> dict[str, Any]:
    network = candidate.model.model
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "architecture": network.config.model_type,
        "weights": weights,
        "prompt": candidate.prompt.id,
        "scored": "alone" if candidate.model.plain else "tree",
    }


def _one(
    result: SweepResult,
    examinee: Examinee,
    name: str,
    evaluation: str,
    cases: Sequence[Case],
    wording: Wording,
    store: ScoreStore,
    progress: Progress,
) -> None:
    """One candidate, one evaluation, one wording: its rows and its line."""
    what = f"{name}, {evaluation}, {wording.name}"
    with progress.task(what, total=len(cases)) as advance:
        scoring = score_wording(
            examinee, wording, result.spec.form, cases, store, lambda done: advance(done)
        )
    _say_unscored(what, cases, scoring, progress)
    rows = []
    for case, chosen in zip(cases, scoring.choices, strict=True):
        if isinstance(chosen, Unscored):
            detail: dict[str, Any] = {}
            metrics: dict[str, Score] = dict.fromkeys(METRICS, chosen)
        else:
            metrics = chosen.metrics
            detail = {"true": _finite(chosen.true), "false": _finite(chosen.false)}
        rows.append(
            Row(
                name,
                result.spec.seed,
                evaluation,
                case.id,
                metrics,
                case.category,
                {"question": case.prompt, "log_likelihoods": detail},
            )
        )
    result.rows += [(wording.name, row) for row in rows]
    result.lines.append(Line(name, evaluation, wording.name, summary(rows, result.spec.seed)))
    result.answers_computed += scoring.computed


def _finite(scores: Sequence[float]) -> list[float | None]:
    """JSON knows neither NaN nor infinity."""
    return [score if abs(score) < float("inf") else None for score in scores]


def _say_unscored(what: str, cases: Sequence[Case], scoring: Scoring, progress: Progress) -> None:
    """Names the first question that can't be scored; where none can, that is the user's to mend."""
    left_out = [
        (case, chosen)
        for case, chosen in zip(cases, scoring.choices, strict=True)
        if isinstance(chosen, Unscored)
    ]
    if not left_out:
        return
    case, reason = left_out[0]
    first = f"{what}: question {case.prompt[:60]!r} is {reason.reason}"
    if len(left_out) == len(cases):
        raise InputError(f"{first}; so are all others: use a shorter prompt or another model")
    progress.note(f"{first}; {len(left_out)} of {len(cases)} questions are unscored.")


def summary(rows: Sequence[Row], seed: int) -> dict[str, Estimate]:
    """Mean and interval of each metric over the rows of one line."""
    return {name: _estimate([row.metrics[name] for row in rows], seed) for name in METRICS}


def _estimate(scores: Sequence[Score], seed: int) -> Estimate:
    values = [score for score in scores if not isinstance(score, Unscored)]
    return mean(values, unscored=len(scores) - len(values), seed=seed)
