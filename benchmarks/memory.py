"""The arithmetic of memory beside what the default model takes on the processor; what a 7B needs.

    python benchmarks/memory.py
    python benchmarks/memory.py --json     # one JSON document in place of the table

Each kind of work runs in a process of its own, in float32, on one thread: the most that was resident,
less what was before the weights came. That is after imports, and after the same work with a model of a
moment, so that libraries aren't counted as the model's. glibc gives freed blocks back at once there
(MALLOC_MMAP_THRESHOLD_), as the arithmetic has it. Linux: it reads /proc. Of a model like Llama 2 7B, in
bfloat16 on a card, there is the arithmetic alone, beside its goals.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from _card import CARD, SMALL, model, texts
from _page import machine
from _work import folder, without_end
from truing.learn import Supervised
from truing.learn.sources.demonstrations import demonstrated
from truing.learn.update import update
from truing.models.engine.tree import PromptWithContinuations
from truing.models.footprint import SCORED, Footprint, Need, Texts, config_of
from truing.models.language_model import LanguageModel
from truing.models.loading import read_tokenizer, read_weights
from truing.models.sampling import Sampling, sample
from truing.policies.footprint import learning
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.spec.run import AdapterSpec

NEAR = 0.1  # of the measured peak: how far off the arithmetic may be
TWO_PACKS = replace(SCORED, prompts=2)  # the first runs before the output layer has its copy
ROLLOUT = Texts(prompts=4, answers=8, tokens=64, prompt_tokens=128)
STEP = replace(
    ROLLOUT, prompts=2
)  # two pieces: the second has the gradients of the first beside it
UPDATES = 2  # the optimizer's numbers are there from the first on
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "262144", "OMP_NUM_THREADS": "1"}
LORA, FULL = AdapterSpec(kind="lora"), AdapterSpec(kind="full")
LARGE_STEP, LONG = Texts(4, 8, 256), Texts(1, 1, 7936)

# --- The work, in a process of its own --------------------------------------------------------


def _requests(what: Texts, vocabulary: int) -> list[PromptWithContinuations]:
    """Random texts of these lengths: none is another's beginning, so that nothing is merged."""
    prompts = texts(what.prompts, what.prompt_tokens, vocabulary)
    answers = texts(what.prompts * what.answers, what.tokens, vocabulary, seed=2)
    each = what.answers
    return [
        PromptWithContinuations(prompt, answers[number * each : (number + 1) * each])
        for number, prompt in enumerate(prompts)
    ]


def _vocabulary(language_model: LanguageModel) -> int:
    return int(language_model.model.config.vocab_size)


def _score(language_model: LanguageModel) -> None:
    language_model.score(_requests(TWO_PACKS, _vocabulary(language_model)))


def _rollout(language_model: LanguageModel, *, int8: bool = False) -> None:
    if int8:
        whole = language_model.model, language_model.tokenizer
        language_model = without_end(LanguageModel(*whole, int8=True))
    prompts = [request.prompt for request in _requests(ROLLOUT, _vocabulary(language_model))]
    sample(language_model, prompts, ROLLOUT.answers, Sampling(ROLLOUT.tokens))


def _learn(language_model: LanguageModel, *, adapter: AdapterSpec, checkpointing: bool) -> None:
    policy = LanguagePolicy(
        language_model,
        language_model,
        adapter,
        "float32",
        seed=0,
        checkpointing="always" if checkpointing else "never",
    )
    with torch.inference_mode():  # the output layer's copy, which sampling leaves behind
        policy.trained.next_token_scores(torch.zeros(1, language_model.model.config.hidden_size))
    batch = demonstrated(
        [
            PromptCompletion(tuple(request.prompt), tuple(answer))
            for request in _requests(STEP, _vocabulary(language_model))
            for answer in request.continuations
        ]
    )
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=1e-5, fused=True)
    for _ in range(UPDATES):
        update(policy, optimizer, Supervised(), batch, 1.0)


@dataclass(frozen=True)
class Work:
    """What is done with a model, and the arithmetic of it."""

    run: Callable[[LanguageModel], None]
    need: Callable[[Footprint], Need]


def _learning(adapter: AdapterSpec, checkpointing: bool) -> Work:
    return Work(
        partial(_learn, adapter=adapter, checkpointing=checkpointing),
        lambda footprint: learning(footprint, STEP, adapter, checkpointing=checkpointing),
    )


WORKS = {
    "scoring": Work(_score, Footprint.scoring),
    "rollout": Work(_rollout, lambda footprint: footprint.rollout(ROLLOUT)),
    "rollout, int8": Work(
        partial(_rollout, int8=True), lambda footprint: footprint.rollout(ROLLOUT, int8=True)
    ),
    "LoRA step": _learning(LORA, False),
    "LoRA step, checkpointing": _learning(LORA, True),
    "full step": _learning(FULL, False),
    "full step, checkpointing": _learning(FULL, True),
}


def _status(field: str) -> int:
    """Bytes of a field of this process's status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _measure(name: str) -> None:
    """In the child: does the work and prints one JSON document."""
    torch.set_num_threads(1)
    run, at = WORKS[name].run, folder()
    tokenizer = read_tokenizer(at)
    run(model(SMALL.large, torch.device("cpu"), torch.float32))
    gc.collect()
    before = _status("VmRSS")
    weights = read_weights(at, "float32")
    for parameter in weights.parameters():  # mapped: they come when they are read
        parameter.detach().sum()
    mapped = _status("RssFile")
    run(without_end(LanguageModel(weights, tokenizer)))
    taken = max(0, mapped - _status("RssFile"))
    print(json.dumps({"bytes": _status("VmHWM") - before, "mapped_pages_taken": taken}))


# --- Beside the arithmetic --------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A measured peak beside the arithmetic, in bytes."""

    work: str
    measured: int
    arithmetic: int
    mapped_pages_taken: int

    @property
    def difference(self) -> float:
        """Of the arithmetic from what was measured, as a share of that."""
        return self.arithmetic / self.measured - 1

    def __str__(self) -> str:
        words = "" if abs(self.difference) <= NEAR else f"  beyond {NEAR:.0%}"
        if self.mapped_pages_taken >= 10**6:
            # The system may do so where memory is short; the peak is then too low.
            words += f"  ({self.mapped_pages_taken / 1e6:.0f} MB of mapped weights were taken away)"
        return (
            f"{self.work:28}{self.measured / 1e6:10,.0f}{self.arithmetic / 1e6:12,.0f}"
            f"{100 * self.difference:+10.1f}{words}"
        )


def _child(name: str) -> dict[str, int]:
    command = [sys.executable, sys.argv[0], "--work", name]
    environment = os.environ | ENVIRONMENT
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{name}: failed with code {done.returncode}")
    document: dict[str, int] = json.loads(done.stdout.strip().splitlines()[-1])
    return document


def _line(name: str, footprint: Footprint) -> Line:
    print(f"{name} ...", file=sys.stderr, flush=True)
    child = _child(name)
    arithmetic = WORKS[name].need(footprint).total
    return Line(name, child["bytes"], arithmetic, child["mapped_pages_taken"])


@dataclass(frozen=True)
class Goal:
    """What a 7B takes by arithmetic, in bytes, and the most that it should."""

    work: str
    arithmetic: int
    cache: int
    most: int

    @property
    def reached(self) -> bool:
        """The cache is apart: it is as long as the texts."""
        return self.arithmetic - self.cache <= self.most

    def __str__(self) -> str:
        cache = " + cache" if self.cache else ""
        return (
            f"{self.work:44}{self.arithmetic / 1e9:8.1f} GB, goal {self.most / 1e9:.0f} GB{cache}"
            f"{f' of {self.cache / 1e9:.1f}' if self.cache else ''}: "
            f"{'reached' if self.reached else 'missed'}"
        )


def _goals() -> list[Goal]:
    kind, sizes = CARD.large
    footprint = Footprint.of(kind(**sizes), torch.bfloat16, "cuda")
    rollout = footprint.rollout(LARGE_STEP)
    step = learning(footprint, LARGE_STEP, LORA, checkpointing=False)
    long = learning(footprint, LONG, LORA, checkpointing=True)
    return [
        Goal("rollout, 4 x 8 x 256", rollout.total, rollout.parts["key-value cache"], 22 * 10**9),
        Goal("LoRA step, 4 x 8 x 256", step.total, 0, 40 * 10**9),
        Goal("LoRA, a text of 8,000 tokens, checkpointing", long.total, 0, 80 * 10**9),
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--work", choices=list(WORKS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return _measure(options.work)
    footprint = Footprint.of(config_of(folder()), torch.float32)
    lines, goals = [_line(name, footprint) for name in WORKS], _goals()
    if options.json:
        document = {
            "benchmark": "memory",
            "machine": machine(),
            "torch": torch.__version__,
            "near": NEAR,
            "works": [{**asdict(line), "difference": line.difference} for line in lines],
            "goals": [{**asdict(goal), "reached": goal.reached} for goal in goals],
        }
        print(json.dumps(document, indent=2))
        return None
    print(f"{'default model, float32':28}{'measured':>10}{'arithmetic':>12}{'off by':>10}")
    print(f"{'':28}{'MB':>10}{'MB':>12}{'%':>10}")
    print(*lines, sep="\n")
    print("\n7B, bfloat16 on a card, by arithmetic", *goals, sep="\n")
    return None


if __name__ == "__main__":
    main()
