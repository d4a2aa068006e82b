"""A method over several seeds, by default preference optimisation: gains with intervals over questions.

Candidates are made and measured as `truing align` does it, beside one base and by one set of judges. For
each question the mean over seeds is taken, then intervals over questions: a question's seeds aren't
independent. Without a --setting the method is as the spec has it by default; each is a candidate apart.

    python benchmarks/preference_seeds.py
    python benchmarks/preference_seeds.py --setting "beta: 0.07" --setting "{prompts_per_step: 6}"
    python benchmarks/preference_seeds.py --method rl --setting "start: preference"

"Adjusted" figures are of first sentences alone; "given surface" is what is left of a gain where length,
ending and manners of the answer didn't change (statistics/adjusted_gain.py).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from truing.progress import StderrProgress
from truing.recipes.align import Aligned, align
from truing.report.measured import BASE
from truing.report.surface_checks import feature_differences, features_of
from truing.report.task_metrics import Key
from truing.spec.reading import make_spec
from truing.statistics.adjusted_gain import adjusted_gain
from truing.types import Estimate, Unscored

EVALUATIONS = ("truthfulness", "trivia", "drift")
GAINS: dict[str, Key] = {
    "MC2": ("truthfulness", "mc2"),
    "MC1": ("truthfulness", "mc1"),
    "true and informative": ("truthfulness", "true_and_informative"),
    "adjusted": ("truthfulness", "true_and_informative_adjusted"),
    "ended": ("truthfulness", "ended"),
    "answer tokens": ("drift", "answer_tokens"),
    "controls, MC1": ("trivia", "mc1"),
    "controls, MC2": ("trivia", "mc2"),
}
"""What is compared with the base."""
KL: Key = ("drift", "kl")


def spec_of(
    method: str, settings: Mapping[str, Mapping[str, Any]], seeds: list[int], more: dict[str, Any]
) -> dict[str, Any]:
    """A spec whose candidates are the settings, each a defence by name of what it lays over the method."""
    defences = [
        {"name": name, "method": method, "options": dict(options)}
        for name, options in settings.items()
    ]
    task = {"name": "truthful", "evaluations": list(EVALUATIONS), "defences": defences}
    return {"methods": [], "seeds": seeds, "task": task, **more}


def line(name: str, estimate: Estimate | Unscored | None) -> str:
    """A figure with its interval."""
    if estimate is None or isinstance(estimate, Unscored):
        return f"  {name:32} {'not measured' if estimate is None else estimate.reason}"
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"  {name:32} {estimate.value}"
    return f"  {name:32} {estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def report(done: Aligned, name: str, seeds: list[int]) -> list[str]:
    """Its gains over base, how far it moved, and what it cost."""
    measured, rows = done.summary.measured, done.summary.rows
    text = [line(what, measured.difference(name, *key)) for what, key in GAINS.items()]
    features = features_of([row for row in rows if row.evaluation == "truthfulness"])
    differences = feature_differences(features[name], features[BASE])
    for what in ("true and informative", "adjusted"):
        ours, theirs = (measured.questions[each][GAINS[what]] for each in (name, BASE))
        gains = {case: ours[case] - theirs[case] for case in ours.keys() & theirs.keys()}
        text.append(line(f"{what}, given surface", adjusted_gain(gains, differences)))
    text.append(line("KL to base, nats", measured.value(name, *KL)))
    for seed in seeds:
        by_question = {
            case: value
            for row in rows
            if (row.candidate, row.evaluation, row.seed) == (name, "truthfulness", seed)
            for case, value in [(row.case, row.metrics["mc2"])]
        }
        base = measured.questions[BASE][GAINS["MC2"]]
        each = [float(by_question[c]) - base[c] for c in by_question]  # type: ignore[arg-type]
        text.append(f"  {f'MC2, seed {seed} alone':32} {sum(each) / len(each):+.4f}")
    costs = done.summary.to_json()["costs"][name]
    text.append(f"  processor seconds a seed: {costs['cpu_seconds'] / len(seeds):.0f}")
    return text


def main() -> None:
    """Makes and measures the candidates; prints a paragraph for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--method", default="preference")
    parser.add_argument("--setting", action="append", default=[], help="keys of its section, YAML")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--spec", default="{}", help="what else the spec says, YAML")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, help="the run's folder; an unfinished one is gone on with"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    texts = given.setting or ["{}"]
    settings = {f"setting_{n}": yaml.safe_load(text) or {} for n, text in enumerate(texts, 1)}
    spec = spec_of(given.method, settings, given.seeds, yaml.safe_load(given.spec))
    with tempfile.TemporaryDirectory() as folder:
        done = align(make_spec(spec), given.out or Path(folder) / "run", progress=StderrProgress())
        for name, text in zip(settings, texts, strict=True):
            print(f"{given.method} {text}, seeds {given.seeds}")
            print("\n".join(report(done, name, given.seeds)), flush=True)


if __name__ == "__main__":
    main()
