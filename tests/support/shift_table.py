"""The figures about shift in LOG.md: benchmarks against instructions, and how often halves cover 0.5.

python tests/support/shift_table.py ../shared/data [--halves N]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from truing.data.conversion import Settings, Task, convert
from truing.shift.features import make_features
from truing.shift.grouping import group_prompts, make_folds
from truing.shift.prompts import Asked, read_side
from truing.shift.study import compare
from truing.shift.two_sample import auc_with_interval, cross_fitted, noise_share

BENCHMARKS = {
    "RTE": ("nli", "rte/dev.jsonl"),
    "CB": ("nli", "cb/train.jsonl"),
    "SQuAD": ("qa", "squad_xquad/xquad.en.json"),
    "SST-5": ("sentiment", "sst5/dev.jsonl"),
}
INSTRUCTIONS = ("user_oriented_instructions", "seed_tasks", "oasst_en_100_tree")


def converted(data: Path, task: str, file: str, limit: int | None = None) -> list[Asked]:
    """Converted rows as `truing data shift` reads them."""
    done = convert([data / "nlp" / file], Task.read(task), Settings(limit=limit))
    return [
        Asked(
            record["messages"][:1],
            record["row"],
            (f"group {record['group']}",),
            template=record["template"],
            use_case=record["use_case"],
        )
        for record in done.records
    ]


def instructions(data: Path, name: str) -> list[Asked]:
    """The prompts of an instruction file."""
    return read_side(str(data / "instructions" / f"{name}.jsonl"), [])


def print_benchmarks(data: Path) -> None:
    """AUC of each benchmark against each instruction file, and of the weighted and selected prompts."""
    for name, (task, file) in BENCHMARKS.items():
        train = converted(data, task, file)
        for other in INSTRUCTIONS:
            begun = time.monotonic()
            study = compare(train, instructions(data, other), select=100)
            auc, apart = study.auc, study.grouping.apart[-1]
            print(
                f"{name:6} {other:28} {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]  apart: {apart};"
                f"  uncovered {study.coverage.uncovered:.2f}, MMD p {study.distance.p_value:.3f},"
                f"  {time.monotonic() - begun:.1f} s",
                flush=True,
            )


def print_halves(data: Path, number: int) -> None:
    """Of random halves of each instruction file: how often 0.5 is inside, and the mean AUC."""
    for name in INSTRUCTIONS:
        asked = instructions(data, name)
        features = make_features([each.text for each in asked])
        values, inside = [], 0
        for seed in range(number):
            order = np.random.default_rng(seed).permutation(len(asked))
            target_N = order < len(asked) // 2
            group_N = group_prompts(asked, target_N, features.bag_NV).group_N
            fold_N = make_folds(group_N, target_N, seed)
            score_N = cross_fitted(features.all_NV, target_N, fold_N)
            noise = noise_share(features.all_NV, target_N, fold_N)
            auc = auc_with_interval(score_N, target_N, fold_N, group_N, noise=noise)
            values.append(auc.value)
            inside += auc.low <= 0.5 <= auc.high
        print(
            f"{name}: 0.5 inside in {inside} of {number} halves, mean AUC {np.mean(values):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--halves", type=int, default=200)
    given = parser.parse_args()
    print_halves(given.data, given.halves)
    print_benchmarks(given.data)
