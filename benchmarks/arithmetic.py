"""How near the machine's matrix products each piece of work comes.

Counts the floating-point operations that the work needs, measures its seconds and the speed of the
model's own matrix products alone, and prints a table (or --json). What is needed: each distinct token
goes through the layers once, each distinct position is projected to the vocabulary once, learning costs
three times a pass. Whatever is computed twice, or isn't a product, counts against us.

    python benchmarks/arithmetic.py --write

puts the table into docs/speed.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from _page import machine, replace_block
from _work import (
    PROMPT,
    cases,
    demonstrations,
    model,
    prompts,
    timed,
    two_threads,
    without_end,
)
from truing.evaluate.multiple_choice import choice_requests
from truing.learn import Reinforce, Supervised
from truing.learn.objectives.kl import KL
from truing.learn.sources.demonstrations import demonstrated
from truing.learn.sources.rollout import reference_log_probs, rollout
from truing.learn.update import update
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy, requests_of
from truing.prompts.rendering import Renderer
from truing.spec.run import AdapterSpec

DOCS = Path(__file__).resolve().parent.parent / "docs"
PROMPTS, SAMPLES, NEW_TOKENS = 4, 8, 32
DEMONSTRATIONS = 16
SCORED = 60  # questions
ROUNDS = 3  # after a first one that isn't counted
ROWS = (32, 768)  # of a step of sampling, of a learning pass


@dataclass
class Work:
    """What is done in each round, the floating-point operations it `needs`, and seconds of each."""

    name: str
    needs: float = 0.0
    seconds: list[float] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Needed operations a second."""
        return self.needs / statistics.median(self.seconds)


def _linears(language_model: LanguageModel) -> list[torch.Tensor]:
    """The matrices of the layers."""
    head = language_model.model.get_output_embeddings()
    return [
        module.weight
        for module in language_model.model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    ]


def needed(language_model: LanguageModel, requests: Sequence[PromptWithContinuations]) -> float:
    """Floating-point operations of one pass over texts of which nothing is computed twice.

    The same for sampling the continuations, whose last tokens aren't read either.
    """
    tree = TokenTree(requests, merge=True)
    config = language_model.model.config
    width = config.num_attention_heads * config.head_dim
    # Two products (scores, weighted sum) of two operations for each key that a token sees.
    attention = 4 * config.num_hidden_layers * width * float((tree.positions_N + 1).sum())
    layers = 2 * sum(weight.numel() for weight in _linears(language_model)) * len(tree.tokens_N)
    head = language_model.model.get_output_embeddings()
    assert isinstance(head, torch.nn.Linear)
    return attention + layers + 2 * head.weight.numel() * len(tree.source_C.unique())


def _products(language_model: LanguageModel, rows: int) -> float:
    """Operations a second of the layers' and the vocabulary's products alone."""
    head = language_model.model.get_output_embeddings()
    assert isinstance(head, torch.nn.Linear)
    weights = [weight.detach() for weight in (*_linears(language_model), head.weight)]
    inputs = {size: torch.randn(rows, size) for size in {weight.shape[1] for weight in weights}}
    # Results go where memory is known already: making new memory isn't a product's work.
    results = {size: torch.empty(rows, size) for size in {weight.shape[0] for weight in weights}}

    def work() -> None:
        for weight in weights:
            outputs, width = weight.shape
            torch.mm(inputs[width], weight.T, out=results[outputs])

    work()
    seconds = statistics.median(timed(work) for _ in range(10 * ROUNDS))
    return 2 * rows * sum(weight.numel() for weight in weights) / seconds


def _reinforcement() -> list[Work]:
    """The three parts of a step with full weights and KL to the reference."""
    reference = model("float32")
    policy = LanguagePolicy(reference, reference, AdapterSpec(kind="full"), "float32", seed=0)
    without_end(policy.trained)
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=1e-6, fused=True)
    objective = Reinforce(kl=KL(0.05))
    rows = [reference.encode(text) for text in prompts(Renderer(reference), PROMPTS)]
    scores = (torch.arange(PROMPTS * SAMPLES) % SAMPLES).float()
    sampling = Work(f"sampling, {PROMPTS} x {SAMPLES} x {NEW_TOKENS} tokens")
    asking = Work("the reference's log-probabilities of these")
    learning = Work("learning from them, full weights")
    for number in range(1 + ROUNDS):
        start = time.perf_counter()
        drawn = Sampling(NEW_TOKENS, 1.0, seed=number)
        sampled = rollout(policy, rows, SAMPLES, drawn, reference=False).trajectories
        sampling.seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        known_BT = reference_log_probs(reference, sampled.data, 1.0)
        asking.seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        batch = replace(sampled, reference_log_prob_BT=known_BT).rewarded(scores)
        update(policy, optimizer, objective, batch, 1.0)
        learning.seconds.append(time.perf_counter() - start)
    once = needed(reference, requests_of(batch.data))
    sampling.needs, asking.needs, learning.needs = once, once, 3 * once
    return [sampling, asking, learning]


def _fine_tuning() -> Work:
    """A step on demonstrations, full weights."""
    start = model("float32")
    batch = demonstrated(demonstrations(Renderer(start), DEMONSTRATIONS))
    policy = LanguagePolicy(start, start, AdapterSpec(kind="full"), "float32", seed=0)
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=1e-6, fused=True)
    work = Work(
        f"fine-tuning, {DEMONSTRATIONS} demonstrations, full weights",
        3 * needed(start, requests_of(batch.data)),
    )
    for _ in range(1 + ROUNDS):
        work.seconds.append(timed(lambda: update(policy, optimizer, Supervised(), batch, 1.0)))
    return work


def _scoring() -> Work:
    """All answers of built-in questions behind an instruction."""
    language_model = model("float32")
    requests = choice_requests(Renderer(language_model), PROMPT, cases(SCORED))
    work = Work(f"scoring, all answers of {SCORED} questions", needed(language_model, requests))
    for _ in range(1 + ROUNDS):
        work.seconds.append(timed(lambda: language_model.score(requests)))
    return work


def _measured() -> tuple[dict[int, float], list[Work]]:
    """Speeds of the products alone by rows, and all works without their first rounds."""
    two_threads()
    language_model = model("float32")
    speeds = {rows: _products(language_model, rows) for rows in ROWS}
    works = [*_reinforcement(), _fine_tuning(), _scoring()]
    for work in works:
        del work.seconds[0]
    return speeds, works


def _lines(speeds: dict[int, float], works: Sequence[Work]) -> list[str]:
    alone = " and ".join(f"{speed / 1e9:.0f} with {rows} rows" for rows, speed in speeds.items())
    lines = [
        f"Measured on {machine()}, float32. The default model's matrix products alone run at {alone}",
        "(thousand million operations a second, GFLOP/s).",
        "",
        "| Work | needed GFLOP | seconds | GFLOP/s | of the products' speed |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for work in works:
        share = work.speed / max(speeds.values())
        lines.append(
            f"| {work.name} | {work.needs / 1e9:.0f} | {statistics.median(work.seconds):.2f} "
            f"| {work.speed / 1e9:.0f} | {share:.0%} |"
        )
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", action="store_true", help="write docs/speed.md")
    options = parser.parse_args()
    speeds, works = _measured()
    if options.write:
        replace_block(DOCS / "speed.md", "arithmetic", _lines(speeds, works))
    if options.json:
        found = [
            {"work": w.name, "needed": w.needs, "seconds": w.seconds, "speed": w.speed}
            for w in works
        ]
        document = {"machine": machine(), "products": speeds, "works": found}
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(_lines(speeds, works)))


if __name__ == "__main__":
    main()
