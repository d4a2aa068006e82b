"""How a reinforcement learning step grows: with samples per prompt, completion length, prompt length.

Ours alone, each setting in a process of its own: 4 prompts, full weights, REINFORCE with leave-one-out
and KL to the reference. Prints a table (or --json).

    python benchmarks/rl_scaling.py --write

puts the table and a picture into docs/speed.md and docs/scaling.png.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from _page import machine, replace_block
from _work import model, prompts, timed, two_threads, without_end
from truing.learn import Reinforce
from truing.learn.objectives.kl import KL
from truing.learn.sources.rollout import rollout
from truing.learn.update import update
from truing.models.precision import computed_in
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Renderer
from truing.runs.costs import peak_memory_bytes
from truing.spec.run import AdapterSpec
from truing.types import Dtype

DOCS = Path(__file__).resolve().parent.parent / "docs"
PROMPTS = 4
DTYPE: Dtype = "bfloat16"
WARM_UP = 4  # tokens of a first, short step that isn't counted
USUAL = {"samples": 8, "new_tokens": 32, "prompt_tokens": 60}
AXES = {
    "samples": [2, 4, 8, 16, 32],
    "new_tokens": [16, 32, 64, 256],
    "prompt_tokens": [60, 300, 1000],
}
NAMES = {
    "samples": "samples per prompt",
    "new_tokens": "tokens per completion",
    "prompt_tokens": "tokens per prompt",
}


def _step(samples: int, new_tokens: int, prompt_tokens: int) -> dict[str, float]:
    """Seconds of a step, and the process's peak memory."""
    two_threads()
    reference = model(DTYPE)
    start = reference if computed_in(DTYPE) == "float32" else model("float32")
    policy = LanguagePolicy(reference, start, AdapterSpec(kind="full"), DTYPE, seed=0)
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

    def step(length: int) -> None:
        rolled = rollout(policy, rows, samples, Sampling(length, 1.0, seed=length))
        scores = torch.arange(PROMPTS * samples) % samples
        batch = rolled.trajectories.rewarded(scores.float())
        update(policy, optimizer, objective, batch, 1.0)

    step(WARM_UP)
    seconds = timed(lambda: step(new_tokens))
    return {
        "seconds": seconds,
        "peak_gigabytes": peak_memory_bytes() / 1e9,
    }


def _child(setting: dict[str, int]) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", json.dumps(setting)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"{setting}: failed with code {done.returncode}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _measured(axes: dict[str, list[int]]) -> dict[str, list[dict[str, Any]]]:
    """For each axis its settings with what they cost. A setting on several axes is run once."""
    known: dict[str, dict[str, float]] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    for name, values in axes.items():
        found[name] = []
        for value in values:
            setting = {**USUAL, name: value}
            key = json.dumps(setting)
            if key not in known:
                print(f"{NAMES[name]}: {value} ...", file=sys.stderr, flush=True)
                known[key] = _child(setting)
            found[name].append({name: value, **known[key]})
    return found


def _tables(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = []
    for name, rows in found.items():
        lines += [f"| {NAMES[name]} | seconds a step | peak GB |", "| ---: | ---: | ---: |"]
        lines += [
            f"| {row[name]} | {row['seconds']:.1f} | {row['peak_gigabytes']:.2f} |" for row in rows
        ]
        lines.append("")
    return lines[:-1]


def _write(found: dict[str, list[dict[str, Any]]]) -> None:
    """The page's block and the picture."""
    _draw(found, DOCS / "scaling.png")
    usual = ", ".join(f"{value} {NAMES[name]}" for name, value in USUAL.items())
    about = f"Measured on {machine()}: {PROMPTS} prompts, full weights, {computed_in(DTYPE)}; "
    about += f"where a table doesn't say otherwise, {usual}."
    picture = "![Seconds and peak memory of a step against each of the three](scaling.png)"
    replace_block(DOCS / "speed.md", "scaling", [about, "", *_tables(found), "", picture])


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
    parser.add_argument("--write", action="store_true", help="write docs/speed.md and its picture")
    parser.add_argument(
        "--quick", action="store_true", help="the two smallest settings of each axis"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_step(**json.loads(options.one))))
        return
    axes = {name: values[:2] for name, values in AXES.items()} if options.quick else AXES
    found = _measured(axes)
    if options.write:
        _write(found)
    if options.json:
        settings = {
            "usual": USUAL,
            "prompts": PROMPTS,
            "dtype": computed_in(DTYPE),
            "machine": machine(),
        }
        print(json.dumps({**settings, "found": found}, indent=2))
    else:
        print("\n".join(_tables(found)))


if __name__ == "__main__":
    main()
