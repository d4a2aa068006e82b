"""How a reinforcement learning step grows: with samples per prompt, completion length, prompt length.

Ours alone, each setting in a process of its own: 4 prompts, full weights, bfloat16, REINFORCE with
leave-one-out and KL to the reference. Prints a table (or --json) and draws --picture FILE.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from _work import model, prompts, timed, two_threads, without_end
from truing.learn import Reinforce
from truing.learn.kl import KL
from truing.learn.update import update
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Renderer
from truing.rollout import rollout
from truing.spec import AdapterSpec

PROMPTS = 4
USUAL = {"samples": 8, "new_tokens": 32, "prompt_tokens": 60}
AXES = {
    "samples": [2, 4, 8, 16, 32],
    "new_tokens": [16, 32, 64, 128, 256],
    "prompt_tokens": [50, 100, 300, 1000],
}
NAMES = {
    "samples": "samples per prompt",
    "new_tokens": "tokens per completion",
    "prompt_tokens": "tokens per prompt",
}


def _step(samples: int, new_tokens: int, prompt_tokens: int) -> dict[str, float]:
    """Seconds of the second step, and the process's peak memory."""
    two_threads()
    reference = model("bfloat16")
    start = model("float32")
    policy = LanguagePolicy(reference, start, AdapterSpec(kind="full"), "bfloat16", seed=0)
    del start
    without_end(policy.trained)
    # Different text from the first token on, so that the prompts share nothing.
    texts = prompts(Renderer(reference), 60)
    rows = [
        (reference.encode("".join(texts[i::PROMPTS]))[40:] * 9)[:prompt_tokens]
        for i in range(PROMPTS)
    ]
    objective = Reinforce(kl=KL(0.05))
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=1e-6, fused=True)

    def step(number: int) -> None:
        rolled = rollout(policy, rows, samples, Sampling(new_tokens, 1.0, seed=number))
        scores = torch.arange(PROMPTS * samples) % samples
        batch = rolled.trajectories.rewarded(scores.float())
        update(policy, optimizer, objective, batch, 1.0)

    step(0)
    seconds = timed(lambda: step(1))
    return {
        "seconds": seconds,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def _child(setting: dict[str, int]) -> dict[str, float]:
    command = [sys.executable, sys.argv[0], "--one", json.dumps(setting)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _draw(found: dict[str, list[dict[str, Any]]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    for plot, (name, rows) in zip(axes, found.items(), strict=True):
        x = [row[name] for row in rows]
        plot.plot(
            x, [row["seconds"] for row in rows], "o-", color="#1f5fa8", label="seconds a step"
        )
        plot.plot(
            x, [row["peak_gigabytes"] for row in rows], "s--", color="#b4552d", label="peak GB"
        )
        plot.set_xscale("log", base=2)
        plot.set_xticks(x, [str(value) for value in x])
        plot.minorticks_off()
        plot.set_xlabel(NAMES[name])
        plot.set_ylim(bottom=0)
        plot.grid(alpha=0.25)
    axes[0].legend(frameon=False)
    figure.savefig(file, dpi=110)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--picture", type=Path, help="draw into this PNG file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_step(**json.loads(options.one))))
        return
    found: dict[str, list[dict[str, Any]]] = {}
    for name, values in AXES.items():
        found[name] = []
        for value in values:
            setting = {**USUAL, name: value}
            print(f"{NAMES[name]}: {value} ...", file=sys.stderr, flush=True)
            found[name].append({name: value, **_child(setting)})
    if options.picture:
        _draw(found, options.picture)
    if options.json:
        print(json.dumps({"usual": USUAL, "prompts": PROMPTS, "found": found}, indent=2))
        return
    for name, rows in found.items():
        print(f"\n| {NAMES[name]} | seconds a step | peak GB |\n| ---: | ---: | ---: |")
        for row in rows:
            print(f"| {row[name]} | {row['seconds']:.1f} | {row['peak_gigabytes']:.2f} |")


if __name__ == "__main__":
    main()
