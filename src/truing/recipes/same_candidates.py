"""Which candidates of runs and evaluations are the same, whatever they are called: weights and prompt tell.

`truing eval` notes a hash of each candidate's weights and settings (models/identity.py) and of its prompt;
of a run's candidate they are had from its folder. An evaluation's candidate is called here as the run calls
it, and one that only shares a name with a run's gets another. What isn't known, such as the weights of a
server's model, leaves the name to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from truing.files import read_json
from truing.models.identity import identity_of
from truing.models.weights.resolving import CANDIDATE
from truing.prompts.rendering import Prompt, prompt_from_json
from truing.prompts.variants import PromptVariant
from truing.report.compared.runs import ComparedRun, Subject
from truing.runs.folder import candidate_folder
from truing.runs.kinds import EVAL
from truing.types import InputError

_NO_PROMPT = Prompt().id


@dataclass(frozen=True)
class OfRun:
    """A candidate of one seed in a run's folder."""

    run: ComparedRun
    name: str
    seed: int
    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """Its candidate.json; empty where there is none."""
        try:
            record = read_json(self.folder / CANDIDATE)
        except InputError:
            return {}
        return record if isinstance(record, dict) else {}

    @cached_property
    def prompt(self) -> Prompt | None:
        """None where it isn't known."""
        try:
            return prompt_from_json(self.record["prompt"])
        except (KeyError, TypeError, AttributeError):
            return None

    @cached_property
    def weights(self) -> frozenset[str]:
        """What `truing eval` calls its weights; of an unchanged base also under the base's own name. Empty
        where they, or those they are an adapter of, are no longer there."""
        base = Path(str(self.record.get("base", "")))
        if not self.record or not base.is_dir():
            return frozenset()
        try:
            own, plain = identity_of(self.folder, base, base), identity_of(base, base, base)
        except (OSError, ValueError, InputError):
            return frozenset()
        return frozenset({own.hash, *([plain.hash] if own.weights == plain.weights else [])})

    def asked_alike(self, subject: Subject) -> bool:
        """Whether an evaluation asked under this candidate's prompt."""
        assert self.prompt is not None
        if subject.variant == PromptVariant("", prompt=self.prompt).id:
            return True
        own = PromptVariant("").id, PromptVariant("", instruction=self.prompt.instruction).id
        if subject.prompt != _NO_PROMPT:
            return subject.prompt == self.prompt.id and subject.own
        told = self.prompt == Prompt(self.prompt.instruction)  # an instruction and nothing else
        return told and subject.own and subject.variant == own[bool(self.prompt.instruction)]

    @property
    def called(self) -> str:
        """Its name; where the run has it of several seeds, with this one."""
        seeds = {row.seed for row in self.run.rows if row.candidate == self.name}
        return self.name if len(seeds) < 2 else f"{self.name}, seed {self.seed}"


def matched(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """The runs, with each evaluation's candidates named as a run names the same ones."""
    trained = [run for run in runs if run.kind != EVAL]
    if not trained or len(trained) == len(runs):
        return list(runs)
    theirs = [each for run in trained for each in _of_run(run)]
    split: set[tuple[str, str, int]] = set()
    named = [run if run.kind != EVAL else _named(run, theirs, split) for run in runs]
    return [_with_seeds(run, split) for run in named]


def _of_run(run: ComparedRun) -> list[OfRun]:
    first = run.settings.get("seeds")
    seed = first[0] if isinstance(first, list | tuple) and first else 0
    pairs = dict.fromkeys((row.candidate, row.seed) for row in run.rows)
    return [
        OfRun(run, name, own, candidate_folder(run.path, name, own, seed)) for name, own in pairs
    ]


def _named(
    run: ComparedRun, theirs: Sequence[OfRun], split: set[tuple[str, str, int]]
) -> ComparedRun:
    """An evaluation under the names of runs. `split` learns of what is one seed of several."""
    found = {
        name: same
        for name in run.candidates
        if (subject := run.subjects.get(name)) and (same := _best(subject, theirs))
    }
    first = _first_of_each(found)
    taken = {same.called for same in found.values()}
    names: dict[str, str] = {}
    notes: list[str] = []
    for name in run.candidates:
        other = next((each for each in theirs if each.name == name), None)
        if same := found.get(name):
            if first[same.called] == name:
                names[name] = same.called
                if same.called != same.name:
                    split.add((same.run.label, same.name, same.seed))
            elif other:
                names[name] = f"{name} of {run.label}"
            if same.called != name:
                notes.append(_of_one_content(run, name, same, first[same.called]))
        elif other:
            subject = run.subjects.get(name)
            known = _is_known(subject, other)
            if known or name in taken:  # by its weights another one stands there
                names[name] = f"{name} of {run.label}"
            if known or name not in taken:
                notes.append(_of_one_name(run, subject, other))
    return _renamed(run, names, notes)


def _first_of_each(found: dict[str, OfRun]) -> dict[str, str]:
    """Which of an evaluation's candidates stands beside a run's, by that one's name: where several are the
    same, the one that is called so, else the first."""
    first: dict[str, str] = {}
    for name, same in sorted(found.items(), key=lambda pair: pair[0] != pair[1].called):
        first.setdefault(same.called, name)
    return first


def _of_one_content(run: ComparedRun, name: str, same: OfRun, first: str) -> str:
    apart = "" if first == name else f" So has {first}, which stands beside it."
    return (
        f"{name} of {run.label} is {same.called} of {same.run.label}: it has the same "
        f"weights and the same prompt.{apart}"
    )


def _is_known(subject: Subject | None, other: OfRun) -> bool:
    return bool(subject and subject.weights and other.weights and other.prompt is not None)


def _of_one_name(run: ComparedRun, subject: Subject | None, other: OfRun) -> str:
    name, them = other.name, other.run.label
    if subject is None or not _is_known(subject, other):
        return (
            f"{name} of {run.label} is taken for that of {them} by its name alone: the weights of one of "
            "them aren’t known."
        )
    what = "another prompt" if subject.weights in other.weights else "other weights"
    return (
        f"{name} of {run.label} has {what} than that of {them}, so they aren’t laid side by side."
    )


def _best(subject: Subject, theirs: Sequence[OfRun]) -> OfRun | None:
    """The candidate that a subject is. Where several are (best-of-n has the base's weights and prompt) it
    is the one whose folder was named, else one that answers by itself."""
    if not subject.weights:
        return None
    same = [
        each
        for each in theirs
        if each.prompt is not None and subject.weights in each.weights and each.asked_alike(subject)
    ]
    place = Path(subject.candidate).expanduser().resolve()
    ranked = sorted(
        same,
        key=lambda each: (
            each.folder.resolve() != place,
            each.folder.name != place.name,
            each.record.get("best_of_n") is not None,
        ),
    )
    return ranked[0] if ranked else None


def _renamed(run: ComparedRun, names: dict[str, str], notes: Sequence[str]) -> ComparedRun:
    rows = [replace(row, candidate=names.get(row.candidate, row.candidate)) for row in run.rows]
    candidates = tuple(names.get(name, name) for name in run.candidates)
    return replace(run, rows=rows, candidates=candidates, notes=(*run.notes, *notes))


def _with_seeds(run: ComparedRun, split: set[tuple[str, str, int]]) -> ComparedRun:
    """A run with what an evaluation measured of one seed as a candidate of its own."""
    for label, name, seed in sorted(split):
        if label == run.label:
            called = f"{name}, seed {seed}"
            own = [r for r in run.rows if r.candidate == name and r.seed == seed]
            run = replace(
                run,
                rows=[*run.rows, *(replace(row, candidate=called) for row in own)],
                candidates=(*run.candidates, called),
            )
    return run
