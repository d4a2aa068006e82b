"""Measuring base and candidates on the same held-out cases with the same graders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from truing.candidates import Candidate, load_candidate
from truing.data.attacks import attacks_on
from truing.evaluate import EVALUATIONS
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.local import LocalRespondent
from truing.evaluate.opinion_prompts import asked_of
from truing.files import write_jsonl_atomically
from truing.methods import chosen
from truing.methods.common import candidate_folder
from truing.methods.graders import Graders
from truing.methods.setup import Setup, planned
from truing.models.pool.pool import WorkerPool
from truing.models.precision import computed_in
from truing.runs.costs import Cost
from truing.runs.run import Run
from truing.spec.run import Spec


def compare(run: Run, setup: Setup, graders: Graders, pool: WorkerPool | None = None) -> None:
    """Every evaluation of every candidate and seed; base and prompt don't depend on the seed.

    The base is loaded once, unless it is there in that precision already; of the others only one is in
    memory at a time. With a `pool` its workers load, score and sample; only what else is asked of a
    candidate's weights is done here.
    """

    def load(name: str, seed: int) -> Candidate:
        folder = candidate_folder(run, setup, name, seed)
        judges = setup.texts.task.graders
        return load_candidate(folder, name, seed, setup.spec.evaluation.dtype, judges, pool)

    @cache
    def base() -> LocalRespondent:
        spec = setup.spec
        here = pool is None or spec.compute.base_precision == "nf4"
        if here and computed_in(spec.evaluation.dtype) == computed_in(spec.dtype):
            return LocalRespondent(setup.base)  # judges and reward read with it: it is in memory
        return LocalRespondent(load("base", setup.spec.seeds[0]))

    for name, seed in _compared(setup.spec):
        run.stage(
            _stage(name, seed),
            f"Measuring {name}, seed {seed}",
            "evaluation",
            lambda cost, name=name, seed=seed: _measure(  # type: ignore[misc]
                run, setup, graders, base, load, name, seed, cost
            ),
        )
    for line in graders.note_served():
        run.progress.note(line)
    run.note(costs=run.costs())


def _compared(spec: Spec) -> Iterator[tuple[str, int]]:
    yield "base", spec.seeds[0]
    for each in planned(spec):
        for seed in spec.seeds if each.needs_seeds else spec.seeds[:1]:
            yield each.name, seed


def comparing_stages(spec: Spec) -> list[str]:
    """The stages that `compare` does its work in."""
    return [_stage(name, seed) for name, seed in _compared(spec)]


def _stage(name: str, seed: int) -> str:
    return f"evaluate-{name}-seed{seed}"


def _context(
    run: Run, setup: Setup, graders: Graders, base: Callable[[], LocalRespondent]
) -> EvalContext:
    rewarded = any(method.trained_on_reward for method in chosen(setup.spec))
    return EvalContext(
        held_out=setup.held_out,
        controls=setup.controls,
        refusals=setup.texts.task.refusals,
        opinions=asked_of(setup.texts.task.survey),
        pairs=people.held_out if (people := setup.texts.preferences) else None,
        pair_judge=lambda: graders.pair_judge,
        outcomes=lambda: graders.outcomes,
        base=base,
        judges=lambda: graders.judges,
        graders=lambda: setup.texts.task.graders,
        rules=lambda: setup.texts.task.rules,
        rule_checks=lambda: setup.texts.task.rule_checks,
        attack_book=lambda: attacks_on(setup.texts.task.rules),
        reward=lambda: graders.reward if rewarded else None,
        max_new_tokens=setup.spec.evaluation.max_new_tokens,
        attacks=setup.spec.evaluation.attacks,
        rule_cases=setup.spec.evaluation.rules,
        kl_questions=setup.spec.evaluation.kl_questions,
        draws=setup.spec.evaluation.draws,
        draw_cases=setup.spec.evaluation.draw_cases,
        temperature=setup.spec.best_of_n.temperature,
        progress=run.progress,
    )


def _measure(
    run: Run,
    setup: Setup,
    graders: Graders,
    base: Callable[[], LocalRespondent],
    load: Callable[[str, int], Candidate],
    name: str,
    seed: int,
    cost: Cost,
) -> None:
    context = _context(run, setup, graders, base)
    respondent = base() if name == "base" else LocalRespondent(load(name, seed))
    with run.progress.task(f"{name}: answers", len(setup.held_out)) as advance:
        respondent.answer(
            setup.held_out, context.max_new_tokens, advance=lambda done: advance(done)
        )
    cost.tokens_sampled = respondent.computed.tokens
    evaluations = setup.spec.task.evaluations
    for number, evaluation in enumerate(evaluations, 1):
        with run.progress.task(f"{name}: {evaluation}, {number} of {len(evaluations)}"):
            rows = EVALUATIONS[evaluation].measure(context, respondent)
        write_jsonl_atomically(
            run.folder / "rows" / evaluation / f"{name}-seed{seed}.jsonl",
            [row.to_json() for row in rows],
        )
    graders.note_served()
