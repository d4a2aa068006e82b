"""A reinforcement learning step: our loop against TRL's RLOO and GRPO trainers.

4 prompts x 8 samples x 32 new tokens, full weights, AdamW, the same prompts and the same reward (a
program's), no end token, so that every completion has 32 tokens on both sides.

In the cases int8 learning is in float32, and ours samples with products in eight bits, corrected by the
update's own pass: in `rloo-int8` both sides learn an adapter of all linear layers, in `rloo-int8full` all
weights.
"""

from __future__ import annotations

import tempfile
from typing import Any

import torch

from _in_turn import Benchmark, Measured, main
from _trl import ALIKE, StepTimes, affordable
from _work import folder, model, prompts, timed, two_threads, without_end
from truing.learn import Grpo, Reinforce
from truing.learn.in_passing import corrected_in_passing
from truing.learn.objectives.kl import KL
from truing.learn.objectives.objective import Objective
from truing.learn.sources.rollout import rollout
from truing.learn.update import update
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Renderer
from truing.spec.run import AdapterSpec

PROMPTS, SAMPLES, NEW_TOKENS = 4, 8, 32
STEPS = 3  # the first isn't counted
LEARNING_RATE = 1e-6
RANK = 16
KL_WEIGHT = {"rloo": 0.05, "grpo": 0.0}


def reward(text: str) -> float:
    """Share of vowels: cheap, and different for every completion."""
    return sum(letter in "aeiou" for letter in text.casefold()) / max(1, len(text))


def ours(case: str) -> Measured:
    """Truing's rollout and update."""
    two_threads()
    steps = affordable(STEPS, case)
    name, dtype = case.split("-")
    int8 = dtype in ("int8", "int8full")
    start = model("float32")
    reference = model("bfloat16") if dtype == "bfloat16" else start
    adapter = AdapterSpec(kind="lora" if dtype == "int8" else "full", rank=RANK, alpha=2 * RANK)
    learns_in, products = ("float32", "int8") if int8 else (dtype, "same")
    policy = LanguagePolicy(reference, start, adapter, learns_in, seed=0, sampler=products)  # type: ignore[arg-type]
    del start  # the policy has a copy of its own
    without_end(policy.sampler)
    rows = [reference.encode(text) for text in prompts(Renderer(reference), PROMPTS)]
    objective: Objective = Reinforce(kl=KL(KL_WEIGHT[name])) if name == "rloo" else Grpo()
    learnt = corrected_in_passing(objective) if int8 else objective
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=LEARNING_RATE, fused=True)
    tokens = 0

    def step(number: int) -> None:
        nonlocal tokens
        sampling = Sampling(NEW_TOKENS, 1.0, seed=number)
        rolled = rollout(policy, rows, SAMPLES, sampling, reference=KL_WEIGHT[name] > 0)
        scores = [reward(c.text) for group in rolled.completions for c in group]
        batch = rolled.trajectories.rewarded(torch.tensor(scores))
        update(policy, optimizer, learnt, batch, 1.0)
        tokens = int(batch.mask_BT.sum())

    seconds = [timed(lambda number=number: step(number)) for number in range(steps)]  # type: ignore[misc]
    return Measured(seconds[1:], {"tokens_per_step": tokens})


def theirs(case: str) -> Measured:
    """TRL's RLOOTrainer or GRPOTrainer."""
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    two_threads()
    steps = affordable(STEPS, case)
    name, dtype = case.split("-")
    texts = prompts(Renderer(model("bfloat16")), PROMPTS)
    times = StepTimes()
    tokens = 0

    def reward_function(completions: list[str], completion_ids: list[Any], **_: Any) -> list[float]:
        nonlocal tokens
        tokens = sum(map(len, completion_ids))
        return [reward(completion) for completion in completions]

    config, trainer = {
        "rloo": (trl.RLOOConfig, trl.RLOOTrainer),
        "grpo": (trl.GRPOConfig, trl.GRPOTrainer),
    }[name]
    lora = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with tempfile.TemporaryDirectory() as out:
        trainer(
            model=AutoModelForCausalLM.from_pretrained(folder(), dtype=torch.float32),
            reward_funcs=reward_function,
            args=config(
                output_dir=out,
                per_device_train_batch_size=PROMPTS * SAMPLES,
                num_generations=SAMPLES,
                max_completion_length=NEW_TOKENS,
                generation_kwargs={"min_new_tokens": NEW_TOKENS},
                temperature=1.0,
                beta=KL_WEIGHT[name],
                max_steps=steps,
                learning_rate=LEARNING_RATE,
                bf16=dtype == "bfloat16",
                **ALIKE,
            ),
            train_dataset=Dataset.from_list([{"prompt": text} for text in texts] * steps),
            processing_class=AutoTokenizer.from_pretrained(folder(), padding_side="left"),
            peft_config=lora if dtype == "int8" else None,
            callbacks=[times],
        ).train()
    return Measured(times.seconds[1:], {"tokens_per_step": tokens})


if __name__ == "__main__":
    main(
        Benchmark(
            title="a reinforcement learning step against TRL",
            sides={"trl": theirs, "truing": ours},
            cases=["rloo-float32", "rloo-int8", "rloo-int8full", "rloo-bfloat16", "grpo-float32"],
            settings={
                "model": "smollm2-135m",
                "prompts": PROMPTS,
                "samples_per_prompt": SAMPLES,
                "new_tokens": NEW_TOKENS,
                "weights": "full (int8: adapters of rank 16)",
                "threads": 2,
            },
        )
    )
