"""Choosing what the model is told by proposing prompts and racing them, on training questions only.

The winner is then confirmed once on the held-out split, next to the task's own instruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from truing.files import append, read_jsonl, write_text_atomically
from truing.methods.common import candidate_folder, save
from truing.methods.model_card import Made
from truing.methods.prompt_choice import DESCRIPTION, named_instructions
from truing.methods.prompt_measure import PromptMeasure, prompt_measure
from truing.methods.prompt_search_page import race_page, race_table
from truing.methods.proposing import Proposer, check_proposer
from truing.methods.setup import Setup
from truing.prompts.halving import RaceResult, RaceTrial, check_budget, race
from truing.prompts.proposals import Proposal
from truing.prompts.rendering import Prompt
from truing.runs.costs import Cost
from truing.runs.run import Run
from truing.spec.run import Spec
from truing.statistics.means import mean, paired_difference
from truing.types import Case, InputError, Score, Unscored, stable_hash

SPARE_SHARE = 0.2  # of the training questions: examples come from them, and no round asks them


class ScoreCache:
    """Scores of one search kept in a file, each piece of work whole: a search that was interrupted goes
    on with the same pieces, and ends with the same bytes."""

    def __init__(self, path: Path, setup: Setup, by: PromptMeasure) -> None:
        self.path, self.setup, self.by = path, setup, by
        lines = read_jsonl(path, torn_end=True) if path.is_file() else []
        self.known = {line["key"]: [_score(s) for s in line["scores"]] for line in lines}
        self.asked: set[str] = set()

    def __call__(self, prompt: Prompt, cases: Sequence[Case]) -> list[Score]:
        """The measure of each case under the prompt. A prompt that doesn't fit the model is unscored."""
        self.asked.update(case.id for case in cases)
        key = stable_hash("asked", prompt.id, *(case.id for case in cases))[:16]
        if key not in self.known:
            try:
                scores = self.by(prompt, cases)
            except InputError as error:
                if prompt == self.setup.base_prompt:
                    raise
                scores = [Unscored(str(error))] * len(cases)
            self.known[key] = scores
            entries = [{"unscored": s.reason} if isinstance(s, Unscored) else s for s in scores]
            append(self.path, {"key": key, "scores": entries})
        return self.known[key]


def _score(data: Any) -> Score:
    return Unscored(data["unscored"]) if isinstance(data, dict) else float(data)


def check_search(spec: Spec) -> None:
    """Raises InputError where the search can't be made, before anything is written."""
    check_proposer(spec)
    check_budget(spec.prompt.search.budget, spec.prompt.search.generations)


def find_prompt(run: Run, setup: Setup, seed: int) -> None:
    """A search with its confirmation, for one seed."""
    run.stage(
        f"prompt-seed{seed}",
        f"Searching a prompt, seed {seed}",
        "prompt",
        lambda cost: search_prompt(run, setup, cost, seed, confirm=True),
    )


def found_prompt(run: Run, setup: Setup, seed: int) -> dict[str, Any]:
    """What `truing train prompt --json` prints of one search."""
    noted = dict(run.record()["prompts"][_name(setup, seed)])
    noted.pop("tried")
    return {
        "name": "prompt",
        "seed": seed,
        "folder": str(candidate_folder(run, setup, "prompt", seed)),
        "log": str(log_of(run, seed)),
        **noted,
    }


def search_lines(record: Mapping[str, Any]) -> list[str]:
    """The same for a person: the last round as a table, the winner, how it did on held-out questions."""
    lines = [*race_table(read_jsonl(Path(record["log"])), record["compared_by"]), ""]
    lines.append(
        f"prompt, seed {record['seed']}: {record['prompts_tried']} prompts on "
        f"{record['questions_scored']} of {record['budget']} questions"
    )
    lines.append(f"Instruction: {record['instruction'] or '(none)'}")
    if record["shots"]:
        lines.append(f"Examples: {record['shots']}")
    for metric, sides in record["held_out"].items():
        ours, own, difference = (sides[side] for side in ("prompt", "own", "difference"))
        if difference["value"] is not None:
            lines.append(
                f"Held out, {metric.replace('_', ' ').upper()}: {ours['value']:.3f}, the task's own "
                f"instruction {own['value']:.3f}, difference {_signed(difference)} "
                f"({difference['n']} questions)"
            )
    lines.append(f"Candidate: {record['folder']}")
    return lines


def _signed(estimate: Mapping[str, Any]) -> str:
    if estimate["low"] is None:
        return f"{estimate['value']:+.3f}"
    return f"{estimate['value']:+.3f} [{estimate['low']:+.3f}, {estimate['high']:+.3f}]"


def _name(setup: Setup, seed: int) -> str:
    """Under which run.json has a search."""
    return "prompt" if seed == setup.spec.seeds[0] else f"prompt-seed{seed}"


def log_of(run: Run, seed: int) -> Path:
    """Where every trial of a search is logged."""
    return run.folder / "logs" / f"prompt-seed{seed}.jsonl"


def search_prompt(
    run: Run, setup: Setup, cost: Cost, seed: int | None = None, *, confirm: bool = False
) -> None:
    """Searches, saves the winner as candidate 'prompt' and notes what was found.

    Without `seed`, the spec's first. `confirm` also compares it with the task's own instruction on
    held-out questions; `truing align` does so by itself.
    """
    seed = setup.spec.seeds[0] if seed is None else seed
    by = prompt_measure(setup)
    cases, spare = _dealt(setup.train, seed)
    folder = run.folder / "search"
    cache = ScoreCache(folder / f"scores-seed{seed}.jsonl", setup, by)
    proposer = Proposer(setup, spare, seed, folder / f"proposals-seed{seed}.jsonl", cost)
    result = _raced(run, setup, seed, cases, cache, proposer)
    write_text_atomically(
        run.folder / f"race-seed{seed}.html", race_page(read_jsonl(log_of(run, seed)), by.named)
    )
    best = result.best
    cost.labels = len(cache.asked) + len(best.proposal.prompt.shots)
    record = {
        "instruction": best.proposal.prompt.instruction,
        "shots": len(best.proposal.prompt.shots),
        "origin": best.proposal.origin,
        by.name: best.score if best.score >= 0 else None,
        "questions": best.questions,
        "questions_scored": result.spent,
        "budget": setup.spec.prompt.search.budget,
        "compared_by": by.named,
        "prompts_tried": len({s.proposal.prompt.id for s in result.trials}),
        "refused": proposer.refused,
    }
    if confirm:
        record["held_out"] = _confirmed(setup, by, best.proposal.prompt)
    # The report reads `tried`: the last round, in the order of its ranks.
    tried = [s.to_json(by.name) | {"shots": len(s.proposal.prompt.shots)} for s in _last(result)]
    run.note(prompts={_name(setup, seed): record | {"tried": tried}})
    facts = {"prompts_tried": record["prompts_tried"], "labels_used": cost.labels}
    save(run, setup, Made("prompt", seed, best.proposal.prompt, DESCRIPTION, facts=facts))


def _dealt(train: Sequence[Case], seed: int) -> tuple[list[Case], list[Case]]:
    """Training questions in the order they are asked, and those that examples are taken from."""
    rng = np.random.default_rng((seed, 1))
    order = [train[int(n)] for n in rng.permutation(len(train))]
    spare = int(SPARE_SHARE * len(order))
    return order[spare:], order[:spare]


def _raced(
    run: Run,
    setup: Setup,
    seed: int,
    cases: Sequence[Case],
    cache: ScoreCache,
    proposer: Proposer,
) -> RaceResult:
    search = setup.spec.prompt.search
    log = log_of(run, seed)
    log.unlink(missing_ok=True)  # written anew from what is cached
    with run.progress.task("Searching prompts", total=search.budget) as advance:

        def say(trials: Sequence[RaceTrial]) -> None:
            append(log, *(trial.to_json(cache.by.name) for trial in trials))
            first = trials[0]
            place = f"generation {first.generation}, round {first.round}"
            advance(
                first.spent,
                f"{place}: best {cache.by.label} {first.score:.3f} of {len(trials)}",
            )

        return race(
            [Proposal(Prompt(text), "named") for text in named_instructions(setup)],
            proposer,
            cases,
            cache,
            budget=search.budget,
            generations=search.generations,
            say=say,
        )


def _last(result: RaceResult) -> list[RaceTrial]:
    last = result.best
    return [s for s in result.trials if (s.generation, s.round) == (last.generation, last.round)]


def _confirmed(setup: Setup, by: PromptMeasure, prompt: Prompt) -> dict[str, Any]:
    """Winner and own instruction on the held-out questions: means, and the paired difference."""
    with setup.progress.task("Confirming on held-out questions"):
        metrics = [
            {
                case.id: metrics
                for case, metrics in zip(
                    setup.held_out, by.metrics(candidate_prompt, setup.held_out), strict=True
                )
            }
            for candidate_prompt in (prompt, setup.base_prompt)
        ]
    resamples = setup.spec.evaluation.resamples
    by_metric: dict[str, Any] = {}
    for metric in by.confirmed:
        ours, own = (
            {case: s for case, by in side.items() if not isinstance(s := by[metric], Unscored)}
            for side in metrics
        )
        missing = len(setup.held_out) - len(ours)
        by_metric[metric] = {
            "prompt": mean(list(ours.values()), unscored=missing, resamples=resamples).to_json(),
            "own": mean(
                list(own.values()), unscored=len(setup.held_out) - len(own), resamples=resamples
            ).to_json(),
            "difference": paired_difference(ours, own, resamples=resamples).to_json(),
        }
    return by_metric
