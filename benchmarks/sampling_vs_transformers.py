"""Sampling: shared prefills and packed weights against `transformers` generate.

Each side draws 33 new tokens for every completion from the same prompts at temperature 1, with no end
token, so that the work is the same. In the case int8 our weights are float32 and our products int8, as
`compute.sampler: int8` has it; the peer samples in float32.
"""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from _in_turn import Benchmark, Measured, main
from _work import folder, model, prompts, sampler, timed, two_threads, without_end
from truing.models.sampling import Sampling, sample
from truing.prompts.rendering import Renderer

NEW_TOKENS = 33
REPEATS = 4
SHAPES = {"4x8": (4, 8), "32x1": (32, 1)}


def _case(case: str) -> tuple[int, int, str]:
    shape, dtype = case.split("-")
    return (*SHAPES[shape], dtype)


def ours(case: str) -> Measured:
    """Truing's sampler."""
    two_threads()
    count, samples, dtype = _case(case)
    language_model = without_end(sampler(dtype))
    rows = [language_model.encode(text) for text in prompts(Renderer(language_model), count)]
    tokens = 0

    def draw(seed: int) -> None:
        nonlocal tokens
        tokens = sample(language_model, rows, samples, Sampling(NEW_TOKENS, 1.0, seed)).tokens

    draw(0)
    seconds = [timed(lambda seed=seed: draw(seed)) for seed in range(1, REPEATS + 1)]  # type: ignore[misc]
    return Measured(seconds, {"tokens": tokens})


def theirs(case: str) -> Measured:
    """`generate` with padding on the left and a dynamic cache."""
    two_threads()
    count, samples, dtype = _case(case)
    tokenizer = AutoTokenizer.from_pretrained(folder(), padding_side="left")
    precision = getattr(torch, dtype.replace("int8", "float32"))
    network = AutoModelForCausalLM.from_pretrained(folder(), dtype=precision).eval()
    texts = prompts(Renderer(model("bfloat16")), count)
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    tokens = 0

    def draw(seed: int) -> None:
        nonlocal tokens
        torch.manual_seed(seed)
        found = network.generate(
            **batch,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            num_return_sequences=samples,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
        )
        tokens = found.shape[0] * (found.shape[1] - batch["input_ids"].shape[1])

    with torch.inference_mode():
        draw(0)
        seconds = [timed(lambda seed=seed: draw(seed)) for seed in range(1, REPEATS + 1)]  # type: ignore[misc]
    return Measured(seconds, {"tokens": tokens})


if __name__ == "__main__":
    main(
        Benchmark(
            title="sampling against transformers generate",
            sides={"transformers": theirs, "truing": ours},
            cases=[
                *("4x8-float32", "4x8-int8", "4x8-bfloat16"),
                *("32x1-float32", "32x1-int8", "32x1-bfloat16"),
            ],
            settings={"model": "smollm2-135m", "new_tokens": NEW_TOKENS, "threads": 2},
        )
    )
