"""Measuring base and candidates on the same held-out cases with the same instruments."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from truing.candidates import Candidate, load_candidate
from truing.evaluate import EVALUATIONS
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.local import LocalRespondent
from truing.files import write_jsonl_atomically
from truing.methods.graders import Instruments
from truing.methods.setup import Workshop
from truing.models.precision import computed_in
from truing.runs.costs import Cost
from truing.types import Completion


def compare(shop: Workshop, instruments: Instruments) -> None:
    """Every evaluation of every candidate and seed; base and prompt don't depend on the seed.

    The base is loaded once, unless it is there in that precision already; of the others only one is in
    memory at a time.
    """

    @cache
    def base() -> Candidate:
        spec = shop.spec
        if computed_in(spec.evaluation.dtype) == computed_in(spec.dtype):
            return shop.base  # which judges and reward read answers with: it is in memory already
        return _load(shop, "base", shop.spec.seeds[0])

    for name in ("base", *shop.spec.approaches):
        seeds = shop.spec.seeds if name in ("sft", "rl") else shop.spec.seeds[:1]
        for seed in seeds:
            shop.stage(
                f"evaluate-{name}-seed{seed}",
                f"Measuring {name}, seed {seed}",
                "evaluation",
                lambda cost, name=name, seed=seed: _measure(  # type: ignore[misc]
                    shop, instruments, base, name, seed, cost
                ),
            )
    shop.note(costs=shop.costs())


def _load(shop: Workshop, name: str, seed: int) -> Candidate:
    folder = shop.candidate_folder(name, seed)
    return load_candidate(folder, name, seed, shop.spec.evaluation.dtype)


def _context(
    shop: Workshop, instruments: Instruments, base: Callable[[], Candidate]
) -> EvalContext:
    return EvalContext(
        held_out=shop.held_out,
        controls=shop.controls,
        base=base,
        judges=lambda: instruments.judges,
        reward=lambda: instruments.reward if "rl" in shop.spec.approaches else None,
        max_new_tokens=shop.spec.evaluation.max_new_tokens,
        attacks=shop.spec.evaluation.attacks,
        kl_questions=shop.spec.evaluation.kl_questions,
    )


def _measure(
    shop: Workshop,
    instruments: Instruments,
    base: Callable[[], Candidate],
    name: str,
    seed: int,
    cost: Cost,
) -> None:
    context = _context(shop, instruments, base)
    respondent = LocalRespondent(base() if name == "base" else _load(shop, name, seed))
    with shop.progress.task(f"{name}: answers", len(shop.held_out)) as advance:
        answers = respondent.answer(
            shop.held_out, context.max_new_tokens, advance=lambda done: advance(done)
        )
    cost.tokens_sampled = sum(len(a.tokens) for a in answers if isinstance(a, Completion))
    for number, (evaluation, evaluate) in enumerate(EVALUATIONS.items()):
        with shop.progress.task(f"{name}: {evaluation}", len(EVALUATIONS)) as advance:
            advance(number)
            rows = evaluate.measure(context, respondent)
        write_jsonl_atomically(
            shop.folder / "rows" / evaluation / f"{name}-seed{seed}.jsonl",
            [row.to_json() for row in rows],
        )
