"""TruthfulQA MC1 and MC2 against lm-evaluation-harness: time, and every log-likelihood.

The harness gets the requests that its own tasks `truthfulqa_mc1` and `truthfulqa_mc2` make, with their
QA prompt and delimiter, from the user's copy of `mc_task_v1.json`; Truing gets the same file and the
prompt from the user's `prompts.json`. Both read and tokenise within the measured time; loading the
model is left out.

The files are looked for in ../shared/data/truthfulqa beside the project, or in $TRUTHFULQA.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from _in_turn import Benchmark, Measured, main
from _work import TRUTHFULQA as DATA
from _work import folder, model, timed, two_threads
from truing.candidates import Candidate
from truing.data.questions import load_questions
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.variant import StoredVariant
from truing.evaluate.variant_choices import variant_choices
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.prompts.rendering import Prompt
from truing.prompts.variants import prompt_variants

QUESTIONS = int(os.environ.get("QUESTIONS", "30"))
BATCH = 16


def _measured(seconds: float, choices: list[Choices], requests: int) -> Measured:
    """MC1 and MC2 in full, and the log-likelihoods in an order that both sides share."""
    work = {
        "requests": requests,
        "mc1": float(np.mean([c.mc1 for c in choices])),
        "mc2": float(np.mean([c.mc2 for c in choices])),
    }
    return Measured([seconds], work, [ll for c in choices for ll in (*c.true, *c.false)])


def ours(case: str) -> Measured:
    """Truing, with an empty store of scores."""
    two_threads()
    candidate = Candidate("base", 0, model(case), Prompt())  # type: ignore[arg-type]
    found: list[Choices] = []

    def work() -> None:
        cases = load_questions(DATA / "mc_task_v1.json")[:QUESTIONS]
        [qa] = prompt_variants(["qa"], DATA / "prompts.json")
        with tempfile.TemporaryDirectory() as temporary:
            store = ScoreStore(Path(temporary) / "scores.sqlite")
            answers = AnswerStore(Path(temporary) / "answers.sqlite")
            variant = StoredVariant(qa, "text", "benchmark", case, store, answers)  # type: ignore[arg-type]
            scoring = variant_choices(candidate, variant, cases)
            store.close()
        found.extend(c for c in scoring.choices if isinstance(c, Choices))

    seconds = timed(work)
    return _measured(seconds, found, sum(len(c.true) + len(c.false) for c in found))


def theirs(case: str) -> Measured:
    """The harness's model class on its two tasks' requests, as its evaluator would send them."""
    import lm_eval.tasks
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    two_threads()
    peer = HFLM(pretrained=str(folder()), dtype=case, batch_size=BATCH, device="cpu")
    context_of = _task_context(Path(lm_eval.tasks.__file__).parent / "truthfulqa")
    found: list[Choices] = []
    count = 0

    def work() -> None:
        nonlocal count
        records = json.loads((DATA / "mc_task_v1.json").read_text(encoding="utf-8"))[:QUESTIONS]
        requests = [
            Instance("loglikelihood", {}, (context_of(record["question"]), f" {answer}"), 0)
            for task in ("mc1_targets", "mc2_targets")
            for record in records
            for answer in record[task]
        ]
        count = len(requests)
        scores = iter([score for score, _ in peer.loglikelihood(requests)])
        for record in records:  # those of MC1, which stand among those of MC2 again
            for _ in record["mc1_targets"]:
                next(scores)
        for record in records:
            marked = [
                (mark, answer, next(scores)) for answer, mark in record["mc2_targets"].items()
            ]
            found.append(_choices(record, marked))

    seconds = timed(work)
    return _measured(seconds, found, count)


def _task_context(tasks: Path) -> Any:
    """The harness's own `doc_to_text` of the two tasks."""
    import yaml
    from lm_eval.utils import apply_template

    task = yaml.safe_load((tasks / "truthfulqa_mc1.yaml").read_text(encoding="utf-8"))
    return lambda question: apply_template(task["doc_to_text"], {"question": question})


def _choices(record: dict[str, Any], marked: list[tuple[int, str, float]]) -> Choices:
    """True answers, the best first, then false ones, in the order in which Truing reads the file."""
    [best] = [answer for answer, mark in record["mc1_targets"].items() if mark]
    order = [*record["mc1_targets"], *record["mc2_targets"]]
    marked = sorted(marked, key=lambda entry: (entry[1] != best, order.index(entry[1])))
    return Choices(
        tuple(score for mark, _, score in marked if mark),
        tuple(score for mark, _, score in marked if not mark),
    )


if __name__ == "__main__":
    main(
        Benchmark(
            title="TruthfulQA MC1 and MC2 against lm-evaluation-harness",
            sides={"lm_eval": theirs, "truing": ours},
            cases=["float32", "bfloat16"],
            settings={
                "model": "smollm2-135m",
                "questions": QUESTIONS,
                "prompt": "qa",
                "peer_version": "0.4.13",
                "peer_batch": BATCH,
                "threads": 2,
            },
        )
    )
