"""Supervised fine-tuning: our loop against TRL's SFTTrainer on the same demonstrations.

Each step trains on 16 demonstrations of 16 different questions, loss on the answers only. Tokens are
counted as the peer sees them: every prompt and answer in full, padding left out.
"""

from __future__ import annotations

import tempfile

import torch

from _in_turn import Benchmark, Measured, main
from _trl import ALIKE, StepTimes, affordable
from _work import PROMPT, cases, demonstrations, folder, model, timed, two_threads
from truing.learn import Supervised
from truing.learn.sources.demonstrations import demonstrated
from truing.learn.update import update
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Renderer
from truing.spec.run import AdapterSpec

BATCH = 16
STEPS = 5  # the first isn't counted
LEARNING_RATE = 1e-5
RANK = 16


def _kind(case: str) -> tuple[str, str]:
    weights, dtype = case.split("-")
    return weights, dtype


def ours(case: str) -> Measured:
    """Truing's policy and update."""
    two_threads()
    steps = affordable(STEPS, case)
    weights, dtype = _kind(case)
    start = model("float32" if weights == "full" else dtype)  # type: ignore[arg-type]
    actions = demonstrations(Renderer(start), BATCH * steps)
    adapter = AdapterSpec(kind=weights, rank=RANK, alpha=2 * RANK)  # type: ignore[arg-type]
    policy = LanguagePolicy(start, start, adapter, dtype, seed=0)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=LEARNING_RATE, fused=True)

    def step(number: int) -> None:
        batch = demonstrated(actions[number * BATCH : (number + 1) * BATCH])
        update(policy, optimizer, Supervised(), batch, 1.0)

    seconds = [timed(lambda number=number: step(number)) for number in range(steps)]  # type: ignore[misc]
    tokens = sum(len(a.prompt) + len(a.tokens) for a in actions[BATCH:])
    return Measured(seconds[1:], {"tokens_per_step": tokens / (steps - 1)})


def theirs(case: str) -> Measured:
    """TRL's SFTTrainer."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    two_threads()
    steps = affordable(STEPS, case)
    weights, dtype = _kind(case)
    renderer = Renderer(model("bfloat16"))
    pairs = [
        {
            "prompt": renderer.text(PROMPT, one.prompt),
            "completion": one.correct_answers[0] + str(renderer.model.tokenizer.eos_token),
        }
        for one in cases(BATCH * steps)
    ]
    lora = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    times = StepTimes()
    with tempfile.TemporaryDirectory() as out:
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                folder(), dtype=torch.float32 if weights == "full" else getattr(torch, dtype)
            ),
            args=SFTConfig(
                output_dir=out,
                per_device_train_batch_size=BATCH,
                max_steps=steps,
                learning_rate=LEARNING_RATE,
                bf16=dtype == "bfloat16",
                **ALIKE,
            ),
            train_dataset=Dataset.from_list(pairs),
            processing_class=AutoTokenizer.from_pretrained(folder()),
            peft_config=lora if weights == "lora" else None,
            callbacks=[times],
        )
        trainer.train()
    rows = trainer.train_dataset["input_ids"]
    tokens = sum(len(row) for row in rows) / steps
    return Measured(times.seconds[1:], {"tokens_per_step": tokens})


if __name__ == "__main__":
    main(
        Benchmark(
            title="supervised fine-tuning against TRL",
            sides={"trl": theirs, "truing": ours},
            cases=["full-float32", "full-bfloat16", "lora-bfloat16"],
            settings={"model": "smollm2-135m", "batch": BATCH, "rank": RANK, "threads": 2},
        )
    )
