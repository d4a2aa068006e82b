"""Learning curves of our loop and of TRL's RLOO trainer on the same work, several seeds each.

Full weights in float32, REINFORCE with leave-one-out and no KL, AdamW at one rate, the same prompts in
every step, the same reward (a program's): only the random draws differ. Prints the curves and whether
they agree within noise (or --json).

    python benchmarks/curves_vs_trl.py --write

puts them into docs/speed.md and docs/curves.png. STEPS=3 SEEDS=2 in front is a quick trial.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student_t

from _page import machine, replace_block
from _trl import ALIKE
from _work import cases, folder, model, two_threads

DOCS = Path(__file__).resolve().parent.parent / "docs"
SIDES = ("truing", "trl")
PROMPTS, SAMPLES, NEW_TOKENS = 4, 4, 12
STEPS = int(os.environ.get("STEPS", "12"))
SEEDS = int(os.environ.get("SEEDS", "3"))
LEARNING_RATE = 4e-5
Curves = NDArray[np.float64]  # (seeds, steps) mean reward of each step


def reward(text: str) -> float:
    """Share of vowels."""
    return sum(letter in "aeiou" for letter in text.casefold()) / max(1, len(text))


def texts() -> list[str]:
    """The first questions as they stand: short prompts, so that steps are short."""
    return [f"Q: {case.prompt}\nA:" for case in cases(PROMPTS)]


def ours(seed: int) -> list[float]:
    """Mean reward of each step of Truing's loop."""
    from truing.learn import Reinforce
    from truing.learn.sources.rollout import rollout
    from truing.learn.update import update
    from truing.models.sampling import Sampling
    from truing.policies.language import LanguagePolicy
    from truing.spec.run import AdapterSpec

    reference = model("float32")
    policy = LanguagePolicy(reference, reference, AdapterSpec(kind="full"), "float32", seed=seed)
    rows = [reference.encode(text) for text in texts()]
    optimizer = torch.optim.AdamW(
        policy.parameters.values(), lr=LEARNING_RATE, weight_decay=0.0, fused=True
    )
    rewards = []
    for step in range(STEPS):
        sampling = Sampling(NEW_TOKENS, 1.0, seed=1000 * seed + step)
        rolled = rollout(policy, rows, SAMPLES, sampling, reference=False)
        scores = torch.tensor([reward(c.text) for group in rolled.completions for c in group])
        rewards.append(float(scores.mean()))
        update(policy, optimizer, Reinforce(), rolled.trajectories.rewarded(scores), 1.0)
    return rewards


def theirs(seed: int) -> list[float]:
    """Mean reward of each step of TRL's RLOOTrainer."""
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rewards: list[float] = []

    def reward_function(completions: list[str], **_: Any) -> list[float]:
        scores = [reward(completion) for completion in completions]
        rewards.append(sum(scores) / len(scores))
        return scores

    with tempfile.TemporaryDirectory() as out:
        trl.RLOOTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder(), dtype=torch.float32),
            reward_funcs=reward_function,
            args=trl.RLOOConfig(
                output_dir=out,
                seed=seed,
                per_device_train_batch_size=PROMPTS * SAMPLES,
                num_generations=SAMPLES,
                max_completion_length=NEW_TOKENS,
                temperature=1.0,
                beta=0.0,
                max_steps=STEPS,
                learning_rate=LEARNING_RATE,
                lr_scheduler_type="constant",
                shuffle_dataset=False,
                bf16=False,
                **ALIKE,
            ),
            train_dataset=Dataset.from_list([{"prompt": text} for text in texts()] * STEPS),
            processing_class=AutoTokenizer.from_pretrained(folder(), padding_side="left"),
        ).train()
    return rewards


def _child(side: str, seed: int) -> list[float]:
    print(f"{side}, seed {seed} ...", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--side", side, "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"{side}, seed {seed}: failed with code {done.returncode}")
    found: list[float] = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(found) == STEPS, f"{side} took {len(found)} steps"
    return found


def difference(ours_: Curves, theirs_: Curves) -> dict[str, float]:
    """Difference of the means over seeds of a figure (seeds,), with its 95 % interval (Welch)."""
    parts = [values.var(ddof=1) / len(values) for values in (ours_, theirs_)]
    error = float(np.sqrt(sum(parts)))
    freedom = sum(parts) ** 2 / sum(p**2 / (len(ours_) - 1) for p in parts)
    wide = float(student_t.ppf(0.975, freedom)) * error
    value = float(ours_.mean() - theirs_.mean())
    return {"value": value, "low": value - wide, "high": value + wide}


def compared(curves: dict[str, Curves]) -> dict[str, Any]:
    """The gain from the first third of the steps to the last, and the mean over all steps."""
    third = STEPS // 3
    gain = {s: c[:, -third:].mean(1) - c[:, :third].mean(1) for s, c in curves.items()}
    level = {side: values.mean(1) for side, values in curves.items()}
    found = {
        "gain": difference(gain["truing"], gain["trl"]),
        "level": difference(level["truing"], level["trl"]),
    }
    return {
        "gain": {side: float(values.mean()) for side, values in gain.items()},
        "differences": found,
        "agree": all(interval["low"] <= 0 <= interval["high"] for interval in found.values()),
    }


def sentences(found: dict[str, Any]) -> list[str]:
    """What the curves say, in words."""
    gain, apart = found["gain"], found["differences"]
    spans = {k: f"{v['value']:+.3f} [{v['low']:+.3f}, {v['high']:+.3f}]" for k, v in apart.items()}
    verdict = "agree within noise" if found["agree"] else "do NOT agree within noise"
    return [
        f"The reward (share of vowels) rises from the first to the last {STEPS // 3} steps by "
        f"{gain['truing']:.3f} here and by {gain['trl']:.3f} in TRL: difference {spans['gain']}, of the "
        f"mean over all steps {spans['level']} (95 % intervals over {SEEDS} seeds each). "
        f"The curves {verdict}.",
    ]


def _draw(curves: dict[str, Curves], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, plot = pyplot.subplots(figsize=(7, 3.4), layout="constrained")
    steps = np.arange(1, STEPS + 1)
    for (side, values), colour in zip(curves.items(), ("#1f5fa8", "#b4552d"), strict=True):
        for curve in values:
            plot.plot(steps, curve, color=colour, alpha=0.25, linewidth=0.8)
        plot.plot(steps, values.mean(0), color=colour, linewidth=2, label=side)
    plot.set_xlabel("step")
    plot.set_ylabel("mean reward")
    plot.grid(alpha=0.25)
    plot.legend(frameon=False)
    figure.savefig(file, dpi=110)


def _write(curves: dict[str, Curves], found: dict[str, Any]) -> None:
    """The page's block and the picture."""
    _draw(curves, DOCS / "curves.png")
    about = (
        f"Measured on {machine()}: {PROMPTS} prompts x {SAMPLES} samples x at most {NEW_TOKENS} tokens, "
        f"{STEPS} steps, full weights in float32, learning rate {LEARNING_RATE:g}."
    )
    picture = "![Reward over the steps, each seed thin, their mean thick](curves.png)"
    replace_block(DOCS / "speed.md", "curves", [about, *sentences(found), "", picture])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", action="store_true", help="write docs/speed.md and its picture")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        two_threads()
        print(json.dumps({"truing": ours, "trl": theirs}[options.side](options.seed)))
        return
    curves = {
        side: np.array([_child(side, seed) for seed in range(1, SEEDS + 1)]) for side in SIDES
    }
    found = compared(curves)
    if options.write:
        _write(curves, found)
    if options.json:
        listed = {side: values.tolist() for side, values in curves.items()}
        print(json.dumps({**found, "curves": listed, "machine": machine()}, indent=2))
    else:
        print("\n".join(sentences(found)))


if __name__ == "__main__":
    main()
