"""What more demonstrations are worth: the same fine-tuning on 10, 30, 100, ... of them.

The sets are nested: for each seed, the first n of one order that the seed draws. Every point is trained
by the same recipe (`sft` of the spec) and measured on the same questions and held-out demonstrations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from truing.evaluate.multiple_choice import CONFIRMED_BY, score_choices
from truing.files import read_json, write_json_atomically, write_text_atomically
from truing.methods.common import save
from truing.methods.model_card import Made
from truing.methods.setup import Setup
from truing.methods.sft import (
    TokenizedDemonstration,
    describe,
    facts_of,
    fit,
    held_out_losses,
    note_demonstrations,
    tokenized_answers,
    tokenized_dialogues,
    training_demonstrations,
)
from truing.models.language_model import LanguageModel
from truing.prompts.rendering import Renderer
from truing.recipes.curve_page import LOSS, METRICS, page
from truing.runs.costs import Cost
from truing.runs.run import Run
from truing.statistics.means import mean, paired_difference
from truing.types import stable_hash

Scores = dict[str, dict[str, float]]
"""Values by metric and by question (of the loss, by group of held-out demonstrations)."""


def nested(tokenized: Sequence[TokenizedDemonstration], seed: int) -> list[TokenizedDemonstration]:
    """In an order that the seed draws from the texts: the first n are among the first n + 1."""
    return sorted(tokenized, key=lambda each: stable_hash("nested", str(seed), each.id))


class LearningCurve:
    """The points of one curve, each a stage of the run: what is done is not done again."""

    def __init__(self, run: Run, setup: Setup) -> None:
        self.run, self.setup = run, setup

    @cached_property
    def tokenized(self) -> list[TokenizedDemonstration]:
        """All there is to learn from."""
        return training_demonstrations(self.setup, self.setup.spec.seeds[0])

    @cached_property
    def held_out(self) -> list[TokenizedDemonstration]:
        """What the loss is measured on."""
        people = self.setup.texts.demonstrations
        if people is None:
            return tokenized_answers(self.setup, self.setup.held_out)
        return tokenized_dialogues(self.setup, people.held_out)

    @cached_property
    def sizes(self) -> list[int]:
        """The sizes of the spec, none beyond what is there."""
        return sorted({min(size, len(self.tokenized)) for size in self.setup.spec.sft.curve})

    def _file(self, size: int, seed: int) -> Path:
        return self.run.folder / "curve" / f"{size}-seed{seed}.json"

    def draw(self) -> None:
        """Trains and measures every point, then writes curve.json and curve.html."""
        run, setup = self.run, self.setup
        first = setup.spec.seeds[0]
        note_demonstrations(run, setup, self.tokenized, self.held_out)
        for name in sorted(set(setup.spec.sft.curve) - set(self.sizes)):
            run.progress.note(f"{name} demonstrations: only {len(self.tokenized)} are there")
        points = {
            f"curve-{size}-seed{seed}": (size, seed)
            for seed in setup.spec.seeds
            for size in self.sizes
        }
        run.plan(["curve-0", *points])
        run.stage("curve-0", "The base", "evaluation", lambda cost: self._base(first))
        for stage, (size, seed) in points.items():
            run.stage(
                stage,
                f"{size} demonstrations, seed {seed}",
                f"sft-{size}",
                lambda cost, size=size, seed=seed: self._point(size, seed, cost),  # type: ignore[misc]
                together=True,
            )
        run.ranks.from_first(self._write)

    def _write(self) -> None:
        document = self.document()
        write_json_atomically(self.run.folder / "curve.json", document)
        write_text_atomically(self.run.folder / "curve.html", page(document))

    def _base(self, seed: int) -> None:
        self._measure(
            self.setup.base.model, 0, seed, held_out_losses(self.setup.base.model, self.held_out)
        )

    def _point(self, size: int, seed: int, cost: Cost) -> None:
        run, setup, name = self.run, self.setup, f"sft-{size}"
        demonstrations = nested(self.tokenized, seed)[:size]
        fitted = fit(run, setup, name, seed, demonstrations, self.held_out, cost)
        if run.ranks.leads:
            self._measure(fitted.policy.trained, size, seed, fitted.losses)
        facts = facts_of(setup, demonstrations, fitted.steps)
        made = Made(name, seed, setup.base_prompt, describe(setup), fitted.policy, facts)
        save(run, setup, made)

    def _measure(
        self, model: LanguageModel, size: int, seed: int, losses: dict[str, float]
    ) -> None:
        run, setup = self.run, self.setup
        found: Scores = {**{name: {} for name in CONFIRMED_BY}, LOSS: losses}
        with run.progress.task(f"{size} demonstrations: questions"):
            choices = score_choices(Renderer(model), setup.base_prompt, setup.held_out)
        for case, chosen in zip(setup.held_out, choices, strict=True):
            for metric in CONFIRMED_BY:
                score = chosen.metrics[metric]
                if isinstance(score, float):
                    found[metric][case.id] = score
        write_json_atomically(self._file(size, seed), found)

    def document(self) -> dict[str, Any]:
        """The curve: of each point its figures, by seed too, and what it gained over the one before."""
        setup = self.setup
        points = [self._scores(0, setup.spec.seeds[:1])]
        points += [self._scores(size, setup.spec.seeds) for size in self.sizes]
        seconds = self._seconds_per_label()
        rows = []
        for size, before, here in zip(self.sizes, points, points[1:], strict=False):
            rows.append(
                {
                    "n": size,
                    "hours": None if seconds is None else size * seconds / 3600,
                    **self._figures(_together(here)),
                    "by_seed": {
                        name: [mean(list(scores[name].values())).value for scores in here]
                        for name in METRICS
                    },
                    "gain": _differences(_together(here), _together(before)),
                    "over_base": _differences(_together(here), _together(points[0])),
                }
            )
        people = setup.texts.demonstrations
        return {
            "model": setup.spec.model,
            "source": setup.spec.data.demonstrations or f"{setup.spec.data.questions} questions",
            "available": len(self.tokenized),
            "seeds": list(setup.spec.seeds),
            "epochs": setup.spec.sft.epochs,
            "questions": len(setup.held_out),
            "held_out": len(self.held_out),
            "seconds_per_label": seconds,
            "contamination": people.contamination.sentence() if people else None,
            "base": self._figures(_together(points[0])),
            "points": rows,
        }

    def _scores(self, size: int, seeds: Sequence[int]) -> list[Scores]:
        return [read_json(self._file(size, seed)) for seed in seeds]

    def _figures(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        asked = len(self.setup.held_out)
        return {
            name: mean(
                list(values.values()), unscored=0 if name == LOSS else asked - len(values)
            ).to_json()
            for name, values in scores.items()
        }

    def _seconds_per_label(self) -> float | None:
        """How long an answer took people, the median, where the store or file says it."""
        people = self.setup.texts.demonstrations
        known = [each.seconds for each in people.train if each.seconds] if people else []
        return float(median(known)) if known else None


def _together(seeds: Sequence[Scores]) -> Scores:
    """The mean over seeds for each question that is scored with all of them."""
    return {
        name: {
            case: sum(scores[name][case] for scores in seeds) / len(seeds)
            for case in seeds[0][name]
            if all(case in scores[name] for scores in seeds)
        }
        for name in METRICS
    }


def _differences(ours: Scores, theirs: Scores) -> dict[str, Any]:
    return {name: paired_difference(ours[name], theirs[name]).to_json() for name in METRICS}


def learning_curve(run: Run, setup: Setup) -> None:
    """The curve that `sft.curve` asks for, in the folder of the run."""
    LearningCurve(run, setup).draw()
