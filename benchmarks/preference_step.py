"""A step of DPO: our source and update against TRL's DPOTrainer on the same pairs.

LoRA in float32, AdamW. A case says how many answers a prompt has: of 4, two are true and two false, and
each true one stands against each false one, 4 pairs; of 2, one pair. A batch is 4 prompts with all their
pairs. Our reference is computed before the first step; its time is shared out over the steps, each of which
sees prompts of its own. TRL computes it in the step.
"""

from __future__ import annotations

import tempfile
from typing import Any

import torch

from _in_turn import Benchmark, Measured, main
from _trl import ALIKE, StepTimes
from _work import PROMPT, cases, folder, model, timed, two_threads
from truing.learn import OBJECTIVES
from truing.learn.sources.pairs import Comparisons, Pairs
from truing.learn.update import update
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Renderer
from truing.spec.run import AdapterSpec
from truing.types import Case

PROMPTS, STEPS, RANK = 4, 3, 16  # the first step isn't counted
LEARNING_RATE = 1e-5


def _cases(answers: int) -> list[Case]:
    """Questions with enough answers of either kind."""
    half = answers // 2
    enough = [
        case
        for case in cases(400)
        if len(case.correct_answers) >= half and len(case.incorrect_answers) >= half
    ]
    return enough[: PROMPTS * STEPS]


def _texts(case: Case, answers: int) -> tuple[list[str], list[str]]:
    half = answers // 2
    return list(case.correct_answers[:half]), list(case.incorrect_answers[:half])


def _compared(renderer: Renderer, case: Case, answers: int) -> Comparisons:
    true, false = _texts(case, answers)
    tokens = tuple(tuple(renderer.answer_tokens(text, end=True)) for text in [*true, *false])
    half = len(true)
    pairs = tuple((a, half + b) for a in range(half) for b in range(half))
    return Comparisons(tuple(renderer.tokens(PROMPT, case.prompt)), tokens, pairs)


def ours(case: str) -> Measured:
    """Truing's source of pairs and update."""
    two_threads()
    answers = int(case.split("-")[0])
    start = model("float32")
    renderer = Renderer(start)
    found = [_compared(renderer, each, answers) for each in _cases(answers)]
    adapter = AdapterSpec(rank=RANK, alpha=2 * RANK)
    policy = LanguagePolicy(start, start, adapter, "float32", seed=0)
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=LEARNING_RATE, fused=True)
    source, objective = Pairs(policy, found, PROMPTS, seed=0), OBJECTIVES["dpo"]()
    reference = timed(lambda: list(source.remember_reference(STEPS))) / STEPS

    def step(number: int) -> None:
        update(policy, optimizer, objective, source.batch(number)[0], 1.0)

    seconds = [timed(lambda number=number: step(number)) for number in range(1, STEPS + 1)]  # type: ignore[misc]
    pairs = sum(len(each.pairs) for each in found)
    return Measured([s + reference for s in seconds[1:]], {"pairs_per_step": pairs / STEPS})


def theirs(case: str) -> Measured:
    """TRL's DPOTrainer."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    two_threads()
    answers = int(case.split("-")[0])
    renderer = Renderer(model("bfloat16"))
    rows: list[dict[str, Any]] = []
    for each in _cases(answers):
        true, false = _texts(each, answers)
        prompt = renderer.text(PROMPT, each.prompt)
        rows += [{"prompt": prompt, "chosen": a, "rejected": b} for a in true for b in false]
    lora = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    times = StepTimes()
    with tempfile.TemporaryDirectory() as out:
        trainer = DPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder(), dtype=torch.float32),
            args=DPOConfig(
                output_dir=out,
                per_device_train_batch_size=len(rows) // STEPS,
                max_steps=STEPS,
                learning_rate=LEARNING_RATE,
                bf16=False,
                **ALIKE,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder()),
            peft_config=lora,
            callbacks=[times],
        )
        trainer.train()
    return Measured(times.seconds[1:], {"pairs_per_step": len(rows) / STEPS})


if __name__ == "__main__":
    main(
        Benchmark(
            title="a step of DPO against TRL",
            sides={"trl": theirs, "truing": ours},
            cases=["4-answers", "2-answers"],
            settings={"model": "smollm2-135m", "prompts": PROMPTS, "rank": RANK, "threads": 2},
        )
    )
