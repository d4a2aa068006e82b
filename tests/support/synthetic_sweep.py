"""A sweep as `truing eval` leaves it, with rows drawn from known effects and no model behind it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.sweep.result import Asked, Line, SweepResult
from truing.evaluate.sweep.sensitivity import sensitivities
from truing.prompts.variants import families, prompt_variants
from truing.statistics.means import mean
from truing.types import Case, Estimate, Row, Score, Unscored

SIZES = {"small-one": 135_000_000, "middle <b>one</b>": 360_000_000, "large-one": 1_700_000_000}
EFFECT = {"helpful": 0.12, "neutral": 0.0, "harmful": -0.15, "own": 0.02, "none": 0.01}


RESAMPLES = 100  # enough for what is shown of them


def cases(evaluation: str, number: int) -> tuple[Case, ...]:
    return tuple(
        Case(
            f"{evaluation} question {n}?", ("yes", "indeed"), ("no", "never"),
            ("Health", "Law & order", "Myths", "A rather long name of a category")[n % 4],
        )
        for n in range(number)
    )  # fmt: skip


def _row(
    name: str, evaluation: str, case: Case, chances: Sequence[float], judged: bool, draw: float
) -> Row:
    mc1, mc2 = float(draw < chances[0]), float(np.clip(chances[0] + 0.1 * draw, 0, 1))
    metrics: dict[str, Score] = {"mc1": mc1, "mc2": mc2, "binary": float(draw < chances[0] + 0.2)}
    if judged:
        true, informative = float(draw < chances[0] + 0.25), float(draw > 0.1)
        metrics |= {"true": true, "informative": informative}
        metrics["true_and_informative"] = true * informative
    detail = {
        "question": case.prompt,
        "log_likelihoods": {"true": [-1.0, -2.5], "false": [-1.5 - mc1, None]},
    }
    return Row(name, 0, evaluation, case.id, metrics, case.category, detail)


def _estimate(rows: Sequence[Row], metric: str) -> Estimate:
    scores = [row.metrics[metric] for row in rows]
    values = [score for score in scores if isinstance(score, float)]
    return mean(values, unscored=len(scores) - len(values), resamples=RESAMPLES)


def synthetic_sweep(
    *,
    names: Sequence[str] = tuple(SIZES),
    prompts: Sequence[str] = ("own", "all-helpful", "all-harmful"),
    evaluations: Sequence[str] = ("truthfulness", "trivia"),
    questions: int = 40,
    judged: bool = True,
) -> SweepResult:
    """Helpful wordings help, harmful ones hurt, more so the larger the model; one row is unscored."""
    asked = {e: Asked("file of <i>mine</i>.jsonl", cases(e, questions)) for e in evaluations}
    spec = SweepSpec(tuple(evaluations), tuple(names), tuple(prompts))
    result = SweepResult(spec, asked, prompts=prompt_variants(spec.prompts), seconds=12.0)
    rng = np.random.default_rng(0)
    for place, name in enumerate(names):
        result.models[name] = {
            "parameters": SIZES.get(name, 135_000_000), "architecture": "llama", "weights": "ab" * 32,
            "prompt": "", "scored": "tree",
        }  # fmt: skip
        for evaluation, found in asked.items():
            ease = np.random.default_rng(1).normal(0.4, 0.15, len(found.cases))
            for variant in result.prompts:
                role = variant.name.partition("-")[0]
                shift = EFFECT[role] * (1 + place) * (1.0 if evaluation == "truthfulness" else -0.4)
                shift += rng.normal(0, 0.04)
                rows = [
                    _row(name, evaluation, case, [chance + shift],
                         judged and evaluation == "truthfulness", rng.random())
                    for case, chance in zip(found.cases, ease, strict=True)
                ]  # fmt: skip
                if variant.name == "own":
                    rows[0].metrics.update(dict.fromkeys(rows[0].metrics, Unscored("too long: 9")))
                result.rows += [(variant.name, row) for row in rows]
                metrics = {name: _estimate(rows, name) for name in rows[0].metrics}
                result.lines.append(Line(name, evaluation, variant.name, metrics))
    result.sensitivities = sensitivities(result.rows, families(result.prompts), 0, RESAMPLES)
    return result
