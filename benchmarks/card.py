"""What a card gives: Truing there against the card's own products, transformers, TRL and the processor.

    python benchmarks/card.py            # on a card: models of 7 and 1.5 billion parameters, 8 minutes
    python benchmarks/card.py --small    # on whatever is there: models of a moment, about a minute

It needs no network and nothing beside the checkout: weights are random, the tokenizer is made here.
Where TRL is installed, a step is compared with its own. Each figure is printed beside its goal; the last
line is one JSON document. What doesn't fit into --minutes is left out, with a line.
"""

from __future__ import annotations

import argparse
import copy
import gc
import hashlib
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import AutoModelForCausalLM

from _card import CARD, SMALL, Bench, Figure, in_products, model, network, texts, tokenizer
from _page import machine
from _work import without_end
from truing.learn import Reinforce
from truing.learn.correction import corrected
from truing.learn.objectives.kl import KL
from truing.learn.sources.rollout import rollout
from truing.learn.update import update
from truing.models.engine.tree import PromptWithContinuations
from truing.models.language_model import LanguageModel
from truing.models.precision import has_fast_bfloat16
from truing.models.sampling import Sampling, sample
from truing.policies.language import LanguagePolicy
from truing.runs.ranks import Ranks
from truing.spec.run import AdapterSpec

KL_WEIGHT, LEARNING_RATE = 0.05, 1e-6


def large_model(bench: Bench) -> Iterator[Figure]:
    """Scoring as a share of the device's products, and sampling against `generate`."""
    sizes = bench.sizes
    rate = _product_rate(bench)
    yield Figure("bfloat16 products", "none", rate / 1e12, bench.judged(True), " TFLOP/s")
    language_model = model(sizes.large, bench.device, torch.bfloat16)
    yield _scoring(bench, language_model, rate)
    yield _sampling(bench, language_model)
    yield from _steps(bench, language_model)


def _product_rate(bench: Bench) -> float:
    """Operations a second of big square products, by the best of a few."""
    n = bench.sizes.product
    left, right = torch.randn(2, n, n, device=bench.device).bfloat16()
    out = torch.empty_like(left)

    def products() -> None:
        for _ in range(10):
            torch.mm(left, right, out=out)

    return 10 * 2 * n**3 / min(bench.rounds(products)[0])


def _scoring(bench: Bench, language_model: LanguageModel, rate: float) -> Figure:
    count, length = bench.sizes.scored
    rows = texts(count, length, bench.sizes.large[1]["vocab_size"])
    requests = [PromptWithContinuations(row[:1], [row[1:]]) for row in rows]
    [seconds] = bench.rounds(lambda: language_model.score(requests))
    operations = 2 * in_products(language_model) * count * length
    share = 100 * operations / statistics.median(seconds) / rate
    return Figure(
        "scoring, share of the products' rate",
        ">= 40 %",
        share,
        bench.judged(share >= 40),
        " %",
        f"{count * length / statistics.median(seconds):.0f} tokens/s",
        {"seconds": seconds},
    )


def _sampling(bench: Bench, language_model: LanguageModel) -> Figure:
    count, new = bench.sizes.sampled
    rows = texts(count, bench.sizes.prompt, bench.sizes.large[1]["vocab_size"], 2)
    ids = torch.tensor(rows, device=bench.device)
    module = language_model.model
    ours_attention = module.config._attn_implementation

    def ours() -> None:
        sample(language_model, rows, 1, Sampling(new, 1.0, seed=1))

    @torch.inference_mode()
    def theirs() -> None:
        module.set_attn_implementation("sdpa")
        try:
            module.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                max_new_tokens=new,
                min_new_tokens=new,
            )
        finally:
            module.set_attn_implementation(ours_attention)

    return _ratio(
        f"sampling {count} x {new} against generate", 3, bench, *bench.rounds(ours, theirs)
    )


def _ratio(
    name: str, goal: float, bench: Bench, ours: Sequence[float], theirs: Sequence[float]
) -> Figure:
    ratios = [b / a for a, b in zip(ours, theirs, strict=False)]
    middle = statistics.median(ratios)
    spread = f"{min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds"
    seconds = {"seconds": list(ours), "peer_seconds": list(theirs)}
    return Figure(name, f">= {goal:g}x", middle, bench.judged(middle >= goal), "x", spread, seconds)


_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")
_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def _steps(bench: Bench, language_model: LanguageModel) -> Iterator[Figure]:
    """Launches and waits of a step of sampling: what 16 tokens have more than 8, for each."""
    layers = bench.sizes.large[1]["num_hidden_layers"]
    waits, launches = "waits a step of sampling", "launches a step and layer"
    if bench.device.type != "cuda":
        why = "PyTorch's profiler counts them on a CUDA card"
        yield Figure(waits, "<= 2", note=why)
        yield Figure(launches, "<= 25, or graphs", note=why)
        return
    rows = texts(bench.sizes.sampled[0], bench.sizes.prompt, bench.sizes.large[1]["vocab_size"], 3)
    counts = []
    for new in (8, 8, 16):  # the first warms up
        with torch.profiler.profile(activities=list(torch.profiler.supported_activities())) as seen:
            sample(language_model, rows, 1, Sampling(new, 1.0, seed=1))
        counts.append({event.key: event.count for event in seen.key_averages()})
    waited = _each(counts, _WAITS)
    launched = _each(counts, _LAUNCHES) / layers
    yield Figure(waits, "<= 2", waited, waited <= 2)
    yield Figure(launches, "<= 25, or graphs", launched, launched <= 25)


def _each(counts: Sequence[dict[str, int]], names: Sequence[str]) -> float:
    """Calls of these names that the last run has more than that before, for each of its 8 more steps."""
    starts = tuple(names)
    *_, half, whole = (sum(n for key, n in run.items() if key.startswith(starts)) for run in counts)
    return (whole - half) / 8


def learning_step(bench: Bench) -> Iterator[Figure]:
    """A step of REINFORCE, leave-one-out, full weights, against TRL's."""
    ours = _our_steps(bench)
    name = "RLOO step of full weights against TRL"
    if importlib.util.find_spec("trl") is None:
        note = f"TRL isn't installed; ours took {statistics.median(ours):.2f} s"
        yield Figure(name, ">= 2.5x", note=note, more={"seconds": ours})
        return
    _clear()
    yield _ratio(name, 2.5, bench, ours, _their_steps(bench))


def _reward(text: str) -> float:
    """Share of even words: cheap, and different for every answer."""
    words = text.split()
    return sum(word[-1] in "02468" for word in words) / max(1, len(words))


def _our_steps(bench: Bench) -> list[float]:
    prompts, samples, new = bench.sizes.step
    start = model(bench.sizes.middle, bench.device, torch.float32)
    module = copy.deepcopy(start.model).bfloat16()
    reference = LanguageModel(module, start.tokenizer)
    policy = LanguagePolicy(reference, start, AdapterSpec(kind="full"), "bfloat16", seed=0)
    del start
    without_end(policy.trained)
    rows = texts(prompts, bench.sizes.prompt, bench.sizes.middle[1]["vocab_size"], 4)
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=LEARNING_RATE, fused=True)
    numbers = iter(range(100))

    def step() -> None:
        rolled = rollout(policy, rows, samples, Sampling(new, 1.0, seed=next(numbers)))
        scores = [_reward(c.text) for group in rolled.completions for c in group]
        batch = rolled.trajectories.rewarded(torch.tensor(scores))
        batch, _ = corrected(policy, batch, "token", Ranks())
        update(policy, optimizer, Reinforce(kl=KL(KL_WEIGHT)), batch, 1.0)

    return bench.rounds(step)[0]


def _their_steps(bench: Bench) -> list[float]:
    import trl
    from datasets import Dataset

    from _trl import ALIKE, StepTimes

    (prompts, samples, new), steps = bench.sizes.step, 1 + bench.sizes.rounds
    vocabulary = bench.sizes.middle[1]["vocab_size"]
    words, rows = tokenizer(vocabulary), texts(prompts, bench.sizes.prompt, vocabulary, 4)
    times = StepTimes()
    with tempfile.TemporaryDirectory() as out:
        # Its reference is read from where the model came from.
        network(bench.sizes.middle, bench.device, torch.bfloat16).save_pretrained(out)
        _clear()
        trl.RLOOTrainer(
            model=AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32),
            reward_funcs=lambda completions, **_: [_reward(text) for text in completions],
            args=trl.RLOOConfig(
                output_dir=out,
                per_device_train_batch_size=prompts * samples,
                num_generations=samples,
                max_completion_length=new,
                generation_kwargs={"min_new_tokens": new},
                temperature=1.0,
                beta=KL_WEIGHT,
                max_steps=steps,
                learning_rate=LEARNING_RATE,
                bf16=True,
                **ALIKE | {"use_cpu": not bench.on_card},
            ),
            train_dataset=Dataset.from_list(
                [{"prompt": words.decode(row)} for row in rows] * steps
            ),
            processing_class=words,
            callbacks=[times],
        ).train()
    return times.seconds[1:]


def exactness(bench: Bench) -> Iterator[Figure]:
    """float32: the device's scores against the processor's; the same seed twice, to the byte."""
    vocabulary = bench.sizes.exact[1]["vocab_size"]
    requests = [PromptWithContinuations(row[:8], [row[8:]]) for row in texts(8, 48, vocabulary, 5)]
    here = model(bench.sizes.exact, torch.device("cpu"), torch.float32)
    name, goal = "float32 scores against the processor's, nats", "<= 1e-4"
    if bench.on_card:
        module = network(bench.sizes.exact, torch.device("cpu"), torch.float32).to(bench.device)  # type: ignore[arg-type]
        there = without_end(LanguageModel(module, here.tokenizer))
        pairs = zip(_scores(here, requests), _scores(there, requests), strict=True)
        apart = max(abs(a - b) for a, b in pairs)
        yield Figure(name, goal, apart, apart <= 1e-4)
    else:
        there = here
        yield Figure(name, goal, note="no card is here")
    twice = [_bytes_of_a_step(there, requests) for _ in range(2)]
    same = twice[0] == twice[1]
    yield Figure("same seed, same bytes twice (1: yes)", "1", float(same), same)


def _scores(
    language_model: LanguageModel, requests: Sequence[PromptWithContinuations]
) -> list[float]:
    scored = [each for row in language_model.score(requests) for each in row]
    return [value for each in scored for value in each.token_log_probs.tolist()]


def _bytes_of_a_step(start: LanguageModel, requests: Sequence[PromptWithContinuations]) -> str:
    """A digest of scores, samples and an adapter that has learned from them once."""
    policy = LanguagePolicy(start, start, AdapterSpec(rank=4), "float32", seed=0)
    optimizer = torch.optim.AdamW(policy.parameters.values(), lr=1e-3, fused=True)
    rolled = rollout(policy, [request.prompt for request in requests], 4, Sampling(16, 1.0, 7))
    scores = [_reward(c.text) for group in rolled.completions for c in group]
    update(policy, optimizer, Reinforce(), rolled.trajectories.rewarded(torch.tensor(scores)), 1.0)
    digest = hashlib.sha256(json.dumps(_scores(start, requests)).encode())
    for tensor in (rolled.trajectories.log_prob_BT, *policy.parameters.values()):
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


# --- The command ------------------------------------------------------------------------------

PARTS: dict[str, tuple[Callable[[Bench], Iterator[Figure]], float]] = {
    "exactness": (exactness, 0.1),
    "large model": (large_model, 0.35),
    "learning step": (learning_step, 0.3),
}
"""Each part, and the share of the whole time without which it isn't begun."""


def _clear() -> None:
    """What a part held on the card."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _measured(bench: Bench, minutes: float) -> Iterator[Figure]:
    """Figures as they come. A part that fails leaves the others as they are."""
    for name, (part, share) in PARTS.items():
        if bench.left < share * 60 * minutes or bench.left <= 0:
            yield Figure(name, "", note=f"{max(0.0, bench.left):.0f} s are left of {minutes:g} min")
            continue
        if name != "exactness" and not bench.on_card and not has_fast_bfloat16():
            yield Figure(name, "", note="this processor has no instructions for bfloat16")
            continue
        started = time.monotonic()
        try:
            yield from part(bench)
        except Exception as error:  # out of memory, another version of TRL: other parts don't care
            yield Figure(name, "", note=f"{type(error).__name__}: {str(error).splitlines()[0]}")
        print(f"  ({name}: {time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
        _clear()


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Truing on a card, beside its goals")
    parser.add_argument("--small", action="store_true", help="tiny models, on a card as well")
    parser.add_argument("--minutes", type=float, default=8.0, help="what doesn't fit is left out")
    options = parser.parse_args()
    device = _device()
    bench = Bench(device, SMALL if options.small or device.type == "cpu" else CARD, options.minutes)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()
    if not bench.on_card:
        print("no card is here: small models on the processor, which aren't held to the goals")
    figures = []
    for figure in _measured(bench, options.minutes):
        print(figure, flush=True)
        figures.append(figure)
    document = {
        "benchmark": "card",
        "device": str(device),
        "machine": name,
        "small": bench.sizes is SMALL,
        "torch": torch.__version__,
        "figures": [vars(figure) for figure in figures],
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
