"""A reward model on the harmless-base comparisons of Bai et al. (2022), beside length and a bag of words.

    python benchmarks/reward_hh.py --data ../shared/data/hh_rlhf

Split by how conversations begin; layer, what of the states is seen and ridge are chosen by cross-validation
on the training side, which the held-out side never enters. Wanted: more accurate than the bag of words by a
paired interval above 0, and a calibration error of at most 0.05.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from truing.recipes.train import train
from truing.spec.reading import make_spec
from truing.terminal import say

FILE = "harmless-base_test.jsonl.gz"


def main() -> int:
    """Trains, prints every figure as JSON; the exit code says whether both targets were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--layers", type=int, nargs="*", default=[])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--out", type=Path, default=Path("runs/reward-hh"))
    options = parser.parse_args()
    section = {
        "judgements": str(options.data / FILE),
        "layers": options.layers,
        "dtype": options.dtype,
    }
    spec = make_spec({"model": options.model, "reward_model": section})
    result = train(spec, "reward", options.out, resume=True, command="benchmarks/reward_hh.py")
    for line in result.lines():
        say(line, error=True)
    document = result.document
    say(json.dumps({key: document[key] for key in SHOWN}, indent=2))
    gain = document["baselines"]["words"]["accuracy_gain"]
    error = next(iter(document["held_out"].values()))["calibration_error"]
    return 0 if gain["low"] > 0 and error["value"] <= 0.05 else 1


SHOWN = ("learned_from", "left_out", "chosen", "tried", "held_out", "baselines", "costs")

if __name__ == "__main__":
    sys.exit(main())
