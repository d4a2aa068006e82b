"""Learning curves with a sampler in int8 and with one in float32, on the same work, ten seeds each.

The default model with a low-rank adapter in float32, REINFORCE with leave-one-out, the same prompts in
every step, a program's reward from 0 to 1. Both samplers draw with the same uniform numbers, and samples
in int8 are corrected as `rl.correction` says by default. Prints the difference of the mean reward over all
steps and of that over the last third, paired by seed, with 95 % intervals, and how long each side samples
(or --json).

    python benchmarks/int8_sampling.py

`--small` takes a model of 2 million random weights in its place, all of which learn, 60 steps to say even
tokens only: a minute, and the whole way from chance to nearly all. STEPS=3 SEEDS=2 in front is a quick
trial.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student_t
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from _page import machine
from _work import cases, model
from truing.learn import Reinforce
from truing.learn.in_passing import corrected_in_passing, figures_of
from truing.learn.objectives.objective import Objective
from truing.learn.sources.rollout import rollout
from truing.learn.update import update
from truing.models.engine.int8 import multiplies_int8
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy
from truing.spec.run import AdapterSpec
from truing.spec.sampler import Products
from truing.types import Completion

SAMPLERS: tuple[Products, ...] = ("same", "int8")
PROMPTS, SAMPLES, NEW_TOKENS = 4, 4, 12
SEEDS = int(os.environ.get("SEEDS", "10"))
WORDS = 512
FIGURES = ("importance_ratio", "sampler_kl", "effective_sample_size", "truncated_fraction")
ALLOWED = 0.05  # of the reward's scale, which is 1
Curves = NDArray[np.float64]  # (seeds, steps) mean reward of each step


@dataclass(frozen=True)
class Task:
    """What is learned, and how."""

    name: str
    reference: LanguageModel
    rows: list[list[int]]
    reward: Callable[[Completion], float]
    adapter: AdapterSpec
    learning_rate: float
    steps: int


def _steps(usual: int) -> int:
    return int(os.environ.get("STEPS", str(usual)))


def default_model() -> Task:
    """Share of vowels, by the default model with an adapter."""
    reference = model("float32")
    rows = [reference.encode(f"Q: {case.prompt}\nA:") for case in cases(PROMPTS)]

    def reward(completion: Completion) -> float:
        text = completion.text.casefold()
        return sum(letter in "aeiou" for letter in text) / max(1, len(text))

    return Task("smollm2-135m", reference, rows, reward, AdapterSpec(), 1e-3, _steps(12))


def small_model() -> Task:
    """Share of even tokens, by all weights of a small model."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=None,
    )
    words = WordLevel({str(number): number for number in range(WORDS)}, unk_token="0")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words))
    network = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    rows = torch.randint(0, WORDS, (PROMPTS, 8)).tolist()

    def reward(completion: Completion) -> float:
        return sum(token % 2 == 0 for token in completion.tokens) / len(completion.tokens)

    reference = LanguageModel(network, tokenizer)
    return Task("2 M", reference, rows, reward, AdapterSpec(kind="full"), 1e-3, _steps(60))


def trained(task: Task, sampler: Products, seed: int) -> list[dict[str, float]]:
    """What each step's log says, with the seconds that it sampled."""
    reference = task.reference
    policy = LanguagePolicy(
        reference, reference, task.adapter, "float32", seed=seed, sampler=sampler
    )
    parameters = policy.parameters.values()
    optimizer = torch.optim.AdamW(parameters, lr=task.learning_rate, weight_decay=0.0)
    log = []
    for step in range(task.steps):
        sampling = Sampling(NEW_TOKENS, 1.0, seed=1000 * seed + step)
        begun = time.perf_counter()
        rolled = rollout(policy, task.rows, SAMPLES, sampling, reference=False)
        sampled = time.perf_counter() - begun
        scores = torch.tensor([task.reward(c) for group in rolled.completions for c in group])
        objective: Objective = Reinforce()
        if policy.sampler_differs:
            objective = corrected_in_passing(objective)
        batch = rolled.trajectories.rewarded(scores)
        row = figures_of(update(policy, optimizer, objective, batch, 1.0))
        seconds = {"sampling": sampled, "a step": time.perf_counter() - begun}
        figures = {key: row[key] for key in FIGURES if key in row}
        log.append({"reward": float(scores.mean()), **seconds, **figures})
    return log


def difference(int8: Curves, same: Curves) -> dict[str, float]:
    """Of the means over some steps, paired by seed, with its 95 % interval (Student's t)."""
    apart_S = int8.mean(1) - same.mean(1)
    wide = student_t.ppf(0.975, len(apart_S) - 1) * apart_S.std(ddof=1) / np.sqrt(len(apart_S))
    value = float(apart_S.mean())
    return {"value": value, "low": value - float(wide), "high": value + float(wide)}


def compared(logs: dict[str, list[list[dict[str, float]]]]) -> dict[str, Any]:
    """Differences, gains, and what the correction had to do."""
    curves = {
        name: np.array([[row["reward"] for row in log] for log in each])
        for name, each in logs.items()
    }
    third = max(1, curves["same"].shape[1] // 3)
    apart = {
        "all steps": difference(curves["int8"], curves["same"]),
        "last third": difference(curves["int8"][:, -third:], curves["same"][:, -third:]),
    }
    rows = [row for log in logs["int8"] for row in log]
    return {
        "gain": {n: float((c[:, -third:] - c[:, :third]).mean()) for n, c in curves.items()},
        "differences": apart,
        "alike": all(
            each["low"] >= -ALLOWED and each["high"] <= ALLOWED for each in apart.values()
        ),
        "correction": {key: statistics.fmean(row[key] for row in rows) for key in FIGURES},
        "seconds": {
            what: {
                name: statistics.median(row[what] for log in each for row in log[1:])
                for name, each in logs.items()
            }
            for what in ("sampling", "a step")
        },
        "curves": {name: values.round(4).tolist() for name, values in curves.items()},
    }


def sentences(task: Task, found: dict[str, Any]) -> list[str]:
    """What the curves say, in words."""
    gain = found["gain"]
    lines = [
        f"{machine()}: {task.name}, {PROMPTS} prompts x {SAMPLES} samples x {NEW_TOKENS} tokens, "
        f"{task.steps} steps, {SEEDS} seeds",
        f"reward, last third of the steps less the first: {gain['same']:+.3f} with float32, "
        f"{gain['int8']:+.3f} with int8",
    ]
    lines += [
        f"int8 less float32, {name}: {d['value']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}]"
        for name, d in found["differences"].items()
    ]
    lines += [f"{name}: {value:.4f}" for name, value in found["correction"].items()]
    lines += [
        f"{what}: {each['same']:.3f} s with float32, {each['int8']:.3f} s with int8"
        for what, each in found["seconds"].items()
    ]
    return [
        *lines,
        f"alike within {ALLOWED}: {'yes' if found['alike'] else 'NO'}",
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--small", action="store_true", help="a model of a minute")
    options = parser.parse_args()
    if not multiplies_int8():
        raise SystemExit("this processor has no instructions for products in int8")
    task = small_model() if options.small else default_model()
    logs: dict[str, list[list[dict[str, float]]]] = {name: [] for name in SAMPLERS}
    for seed in range(1, SEEDS + 1):
        for sampler in SAMPLERS:
            print(f"{sampler}, seed {seed} of {SEEDS} ...", file=sys.stderr, flush=True)
            logs[sampler].append(trained(task, sampler, seed))
    found = compared(logs)
    if options.json:
        print(json.dumps({**found, "machine": machine()}, indent=2))
    else:
        print("\n".join(sentences(task, found)))


if __name__ == "__main__":
    main()
