"""What a comparison of runs says, in sentences: who did better in what, and how far it can be trusted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from truing.report.compared.differences import (
    ComparedCandidate,
    Figure,
    RunComparison,
    has_figures,
    place_of,
)
from truing.report.compared.runs import ComparedRun, candidates_of
from truing.report.effects import Effect, effect
from truing.report.metrics import moved
from truing.report.sentences import Finding, Tone, change_text, joined
from truing.types import Estimate, Metric

BY_CHANCE = 0.05
"""The share of differences that an interval of 95 % leaves 0 out of though there is none."""


def verdicts(comparison: RunComparison) -> list[Finding]:
    """For each candidate and run, what got better and worse by comparison with the first run."""
    return [
        _verdict(candidate, run)
        for candidate in comparison.candidates
        for run in candidate.runs[1:]
    ]


_KINDS: dict[Effect, str] = {
    "gain": "better: ",
    "loss": "worse: ",
    "small": "beyond noise, but too small to count: ",
    "unconfirmed": "better beyond noise, but not once adjusted: ",
    "": "within noise: ",
}


def _verdict(candidate: ComparedCandidate, run: ComparedRun) -> Finding:
    place = place_of(run, candidate.runs)
    changes: dict[Effect, list[str]] = defaultdict(list)
    untold: list[str] = []
    for metric, difference in _counted(candidate, place):
        told = difference.low is not None
        kind = changes[effect(candidate.measured, place, metric)] if told else untold
        kind.append(f"{metric.spoken_label} {change_text(difference, metric.unit)}")
    parts = [f"{title}{joined(changes[kind])}" for kind, title in _KINDS.items() if changes[kind]]
    parts += [f"can’t be told from noise: {joined(untold)}"] if untold else []
    text = "; ".join(parts) or "nothing that the task goes by was measured in both"
    subject = f"{candidate.name}, {run.label} against {candidate.reference.label}"
    return Finding(f"{subject}: {text}.", _tone(changes), candidate.name)


def _tone(changes: Mapping[Effect, Sequence[str]]) -> Tone:
    if changes.get("gain"):
        return "mixed" if changes.get("loss") else "gain"
    return "loss" if changes.get("loss") else "none"


def _counted(candidate: ComparedCandidate, place: str) -> list[tuple[Metric, Estimate]]:
    """The differences that the task goes by; where there are none, those that are for better or worse."""
    every = [
        (metric, difference)
        for metric in candidate.metrics()
        if metric.better
        and (difference := candidate.measured.defined_difference(place, metric)) is not None
    ]
    counted = [pair for pair in every if candidate.task.counts((pair[0].evaluation, pair[0].name))]
    return counted or every


def remarks(comparison: RunComparison) -> list[Finding]:
    """What to beware of: what isn't whole, what isn't paired, how many marks chance alone would set."""
    return [
        *_on_runs(comparison.runs),
        *_on_candidates(comparison),
        *_on_pairs(comparison),
        *_on_chance(comparison),
        *_on_seeds(comparison.runs),
    ]


def _on_runs(runs: Sequence[ComparedRun]) -> list[Finding]:
    found = [
        Finding(f"{run.label} isn’t finished: figures may be missing.", "warning")
        for run in runs
        if not run.finished
    ]
    found += [Finding(text, "note") for run in runs for text in run.notes]
    first: dict[str, ComparedRun] = {}
    for run in runs:
        other = first.setdefault(run.made, run)
        if other is not run and run.made:
            text = (
                f"{run.label} began as a copy of {other.label}: what both share is no second "
                "measurement."
            )
            found.append(Finding(text, "warning"))
    return found


def _on_candidates(comparison: RunComparison) -> list[Finding]:
    """Candidates that stand in one run alone."""
    compared = {candidate.name for candidate in comparison.candidates} | set(comparison.learned)
    alone: dict[str, list[str]] = defaultdict(list)
    for name in candidates_of(comparison.runs):
        having = [run for run in comparison.runs if has_figures(run, name) or name in run.logs]
        if having and name not in compared:
            alone[having[0].label].append(name)
    return [
        Finding(f"Only {label} has figures of {joined(names)}.", "note")
        for label, names in alone.items()
    ]


def _on_pairs(comparison: RunComparison) -> list[Finding]:
    """Which differences aren't paired and why, and which are of a part of the cases."""
    apart: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    about: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for candidate in comparison.candidates:
        for (evaluation, name), of in candidate.figures.items():
            metric = candidate.task.metric_of(evaluation, name)
            for label, figure in of.items():
                if not figure.why or figure.value is None:
                    continue
                key = (label, candidate.reference.label, figure.why, _how(figure))
                apart[key] = list(dict.fromkeys([*apart[key], metric.brief]))
                about[key] = list(dict.fromkeys([*about[key], candidate.name]))
    return [Finding(_pairing(key, metrics, about[key]), "note") for key, metrics in apart.items()]


_PAIRED, _APART, _NEITHER = "paired on common cases", "not paired", "not compared"


def _how(figure: Figure) -> str:
    if figure.difference is None:
        return _NEITHER
    return _PAIRED if figure.paired else _APART


def _pairing(key: tuple[str, str, str, str], metrics: Sequence[str], names: Sequence[str]) -> str:
    label, reference, why, how = key
    wider = ", which makes intervals wider" if how == _APART else ""
    return f"{label} and {reference}, {joined(metrics)} of {joined(names)}: {how} ({why}){wider}."


def _on_chance(comparison: RunComparison) -> list[Finding]:
    differences = [
        figure.difference
        for candidate in comparison.candidates
        for _, _, figure in candidate.differences()
    ]
    sure = [each for each in differences if each is not None and each.low is not None]
    if not sure:
        return []
    marked = sum(moved(each) != 0 for each in sure)
    text = (
        f"Of {len(sure)} differences {marked} {'is' if marked == 1 else 'are'} beyond noise. By chance "
        f"alone it would be one in twenty, about {_about(BY_CHANCE * len(sure))}."
    )
    return [Finding(text, "note")]


def _about(expected: float) -> str:
    """'0.15', '2': how many are expected, which may be a part of one."""
    return f"{expected:.2g}" if expected < 1 else str(round(expected))


def _on_seeds(runs: Sequence[ComparedRun]) -> list[Finding]:
    known = [
        [str(run.settings[key]) for run in runs if key in run.settings]
        for key in ("seeds", "seed")  # of a training; of the drawing of an evaluation
    ]
    if not any(len(set(of)) > 1 for of in known):
        return []
    text = (
        "The runs have other seeds: intervals are for other cases, and say nothing of other seeds. How "
        "much those matter is seen by runs that differ in nothing else."
    )
    return [Finding(text, "note")]
