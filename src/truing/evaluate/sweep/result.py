"""What `truing eval` has found: every row, and the figures computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from truing.evaluate.evaluation import EvalContext
from truing.evaluate.sweep.open_ended import OpenEndedGrades
from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.sweep.sensitivity import Sensitivity
from truing.models import devices
from truing.models.memo.scores import SCORING_VERSION
from truing.models.precision import computed_in
from truing.prompts.variants import Context, PromptVariant
from truing.report.opinion_verdicts import OpinionSummary
from truing.rewards.rubrics.summary import JudgeSummary
from truing.types import Case, Estimate, Row, stable_hash


@dataclass(frozen=True)
class Line:
    """One candidate's figures under one prompt in one evaluation."""

    candidate: str
    evaluation: str
    prompt: str
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True)
class Asked:
    """The cases of one evaluation, where they are from, and how many `--limit` left out.

    `lines` is what the user is told of how they were read, `reading` the same for the document; `own`
    says that the evaluation makes them itself.
    """

    source: str
    cases: tuple[Case, ...]
    left_out: int = 0
    lines: tuple[str, ...] = ()
    reading: Mapping[str, object] = field(default_factory=dict)
    own: bool = False

    @property
    def about(self) -> str:
        """'40 questions from mine.csv (608 more left out by --limit)'."""
        if self.own:
            return f"{len(self.cases)} cases of its own"
        more = f" ({self.left_out} more left out by --limit)" if self.left_out else ""
        return f"{len(self.cases)} questions from {self.source}{more}"

    def to_json(self) -> dict[str, Any]:
        """Source, number and hash of the cases."""
        texts = [
            text for c in self.cases for text in (c.prompt, *c.correct_answers, "", *c.incorrect_answers)
        ]  # fmt: skip
        return {
            "file": "its own" if self.own else self.source,
            "n": len(self.cases),
            "left_out": self.left_out,
            "hash": stable_hash("cases", *texts)[:16],
            **({"reading": dict(self.reading)} if self.reading else {}),
        }


@dataclass
class SweepResult:
    """All rows, each with its prompt, and what was computed from them."""

    spec: SweepSpec
    asked: dict[str, Asked]
    context: EvalContext = field(default_factory=lambda: EvalContext(standalone=True))
    rows: list[tuple[str, Row]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    prompts: list[PromptVariant] = field(default_factory=list)
    contexts: dict[tuple[str, str, str], tuple[Context, ...]] = field(default_factory=dict)
    sensitivities: list[Sensitivity] = field(default_factory=list)
    answers_computed: int = 0
    seconds: float = 0.0
    pool: dict[str, Any] | None = None
    """The workers that scored and sampled; None where there were none."""
    open_ended: OpenEndedGrades = field(default_factory=OpenEndedGrades)
    opinions: OpinionSummary | None = None
    outcome_agreement: str = ""
    """How far the judge of outcomes agrees with labels, in a sentence; empty where it judged nothing."""
    judges: list[JudgeSummary] = field(default_factory=list)
    """The judges behind endpoints: the task's own, and the one of outcomes."""

    def judge_lines(self) -> list[str]:
        """What is to be known of every judge behind an endpoint; of free answers', too."""
        served = self.open_ended.served
        every = [*(served.summaries if served else ()), *self.judges]
        return [line for each in every for line in each.lines()]

    def to_json(self) -> dict[str, Any]:
        """`candidates.<name>.<evaluation>.<prompt>.<metric>` with value, low, high, n, unscored."""
        candidates: dict[str, Any] = {}
        for line in self.lines:
            place = candidates.setdefault(line.candidate, {}).setdefault(line.evaluation, {})
            place[line.prompt] = {name: e.to_json() for name, e in line.metrics.items()}
        sensitivity: dict[str, Any] = {}
        for each in self.sensitivities:
            sensitivity.setdefault(each.family, {})[each.evaluation] = each.to_json()
        return {
            "candidates": candidates,
            "models": self.models,
            "questions": {name: asked.to_json() for name, asked in self.asked.items()},
            "prompts": {variant.name: variant.id for variant in self.prompts},
            "sensitivity": sensitivity,
            **({"opinions": self.opinions.to_json()} if self.opinions else {}),
            "form": self.spec.form,
            "dtype": self.spec.dtype,
            "computed_in": computed_in(self.spec.dtype),
            "device": devices.record(),
            **({"pool": self.pool} if self.pool else {}),
            "seed": self.spec.seed,
            "limit": self.spec.limit,
            "scoring_version": SCORING_VERSION,
            "answers_computed": self.answers_computed,
            **(
                {"judges": {each.name: each.to_json() for each in self.judges}}
                if self.judges
                else {}
            ),
            **({"free": self.open_ended.to_json()} if self.spec.free else {}),
            "seconds": round(self.seconds, 3),
        }

    def rows_json(self) -> list[dict[str, Any]]:
        """The rows as they stand in rows.jsonl."""
        return [{"prompt": prompt, **row.to_json()} for prompt, row in self.rows]
