"""The page of a training: from its folder alone, while it goes on and when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.report.compared.runs import flat, written
from truing.report.curves import Log
from truing.report.examples import Samples, samples_of
from truing.report.findings import on_served_judges
from truing.report.html import render_page
from truing.report.measured import BASE, measure
from truing.report.metrics import change, interval, number
from truing.report.quantities import costs_table, quantity
from truing.report.sections import judge_figures
from truing.report.sentences import Finding, Tone, change_text
from truing.report.task_metrics import Key, TaskMetrics
from truing.report.training.held_out import HELD_OUT_METRICS, REWARD_MODEL, estimates_of, metric_of
from truing.report.training.last import ENDS, ends, last_table
from truing.report.training.panels import Drawn, panels_of
from truing.report.training.warnings import warnings_of
from truing.runs.entries import entries
from truing.runs.folder import HELD_OUT, RunFolder
from truing.statistics.means import RESAMPLES
from truing.types import Estimate

KICKER = "Truing training"
LOOKS = 6
"""Steps whose samples are shown, evenly spread from the first to the last."""
_TITLES = {
    "sft": "Supervised fine-tuning",
    "preference": "Preference optimisation",
    "rl": "Reinforcement learning",
    "prompt": "A search for a prompt",
    "reward": "A reward model",
    "best_of_n": "The best of many answers",
}
Defaults = Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """What a page shows of one thing that was trained."""

    name: str
    folder: str
    logs: Mapping[int, Log]
    figures: Mapping[Key, Estimate] = field(default_factory=dict)
    """What was measured on what was held out."""

    @property
    def held_out(self) -> dict[str, Estimate]:
        """The same by the metrics' names alone."""
        return {name: figure for (_, name), figure in self.figures.items()}

    @property
    def panels(self) -> list[Drawn]:
        """Its curves."""
        return panels_of(self.name, self.logs)

    @property
    def steps(self) -> int:
        """The last step that is logged."""
        return max((int(log[-1]["step"]) for log in self.logs.values() if log), default=0)

    @property
    def samples(self) -> list[Samples]:
        """Answers of its first seed over the steps."""
        looks = samples_of(next(iter(self.logs.values()), []))
        if len(looks) <= LOOKS:
            return looks
        places = {round(n * (len(looks) - 1) / (LOOKS - 1)) for n in range(LOOKS)}
        return [looks[place] for place in sorted(places)]


def candidates_in(run: RunFolder, resamples: int = RESAMPLES) -> list[Candidate]:
    """Everything that the run trained so far, in the order of its record."""
    rows, logs = run.held_out(), run.step_logs()
    names = [name for name in run.candidates(rows) if name != BASE]
    names = list(dict.fromkeys([*names, *logs]))
    recorded = estimates_of(run, rows)
    names += [REWARD_MODEL] if REWARD_MODEL in recorded else []
    measured = measure(rows, names, _TASK, resamples=resamples)
    found = []
    for name in names:
        figures = measured.values[name] | recorded.get(name, {})
        folder = run.path / "candidates" / name
        there = str(folder) if folder.is_dir() else ""
        if there or figures or logs.get(name):
            found.append(Candidate(name, there, logs.get(name, {}), figures))
    return found


_TASK = TaskMetrics(HELD_OUT_METRICS, {HELD_OUT: "Held out"}, headline=())


def page(run: RunFolder, task: TaskMetrics, defaults: Defaults) -> str:
    """The page. Equal folders give equal bytes: nothing here reads a clock. `defaults` is the spec that
    leaves everything as it is."""
    kind = str(run.part("identity").get("kind", "")).rpartition(" ")[2]
    candidates = candidates_in(run)
    context = {
        "kicker": KICKER,
        "title": _TITLES.get(kind, kind),
        "model": _model(run),
        "record": run.record,
        "finished": run.record.get("finished"),
        "steps": max((each.steps for each in candidates), default=0),
        "findings": findings(run, candidates, task),
        "candidates": candidates,
        "last": last_table([(each.name, each.logs) for each in candidates]),
        "held_out": held_out_table(candidates),
        "facts": _facts(run),
        "pages": _pages(run),
        "settings": settings_of(run, kind, defaults),
        "costs": costs_table(run.part("costs")),
        "judges": judge_figures(_served(run.judges())),
        "spec": run.spec_text(),
    }
    return render_page("truing.report.training", "page.html.j2", context)


def _served(judges: Mapping[str, Any]) -> dict[str, Any]:
    """Those behind endpoints."""
    return {name: of for name, of in judges.items() if isinstance(of, dict) and "replies" in of}


def _model(run: RunFolder) -> str:
    return str(run.spec().get("model") or "a model")


def findings(run: RunFolder, candidates: Sequence[Candidate], task: TaskMetrics) -> list[Finding]:
    """What is said on top: warnings, how each candidate did, notes."""
    said = [
        finding
        for each in candidates
        for finding in warnings_of(each.name, each.logs, each.held_out, task)
    ]
    verdicts = [finding for each in candidates for finding in _verdicts(each)]
    unfinished = []
    if not run.record.get("finished"):
        text = (
            "The training isn’t finished: this is how far it had come at its last checkpoint. The page is "
            "written anew as it goes on; load it again."
        )
        unfinished = [Finding(text, "note")]
    warnings = on_served_judges(run.judges())
    warnings += [finding for finding in said if finding.tone == "warning"]
    notes = [finding for finding in said if finding.tone != "warning"]
    return [*warnings, *unfinished, *verdicts, *notes]


def _verdicts(candidate: Candidate) -> list[Finding]:
    """What training did, in a sentence: by what was held out, else by its log."""
    gap, loss = (candidate.held_out.get(name) for name in ("loss_over_base", "loss"))
    if gap is not None and gap.value is not None and loss is not None:
        kind = change(gap, metric_of((HELD_OUT, "loss_over_base")))
        text = (
            f"{candidate.name}: held-out loss {number(loss.value, 'nats/token')} nats per token, "
            f"{change_text(gap)} against the base, {'beyond' if kind else 'within'} noise."
        )
        return [
            Finding(text, "gain" if kind == "gain" else "loss" if kind else "none", candidate.name)
        ]
    if (accuracy := candidate.held_out.get("accuracy")) and accuracy.value is not None:
        above = accuracy.low is not None and accuracy.low > 0.5
        below = accuracy.high is not None and accuracy.high < 0.5
        text = (
            f"{candidate.name}: in {number(accuracy.value)} {interval(accuracy)} of the pairs that it did "
            "not learn from, the better answer gained more than the other."
        )
        tone: Tone = "gain" if above else "loss" if below else "none"
        return [Finding(text, tone, candidate.name)]
    return [
        Finding(
            f"{candidate.name}{f', seed {seed}' if len(candidate.logs) > 1 else ''}: the reward went from "
            f"{number(reward[0], 'reward')} to {number(reward[1], 'reward')} (means of the first and the "
            f"last {ENDS} steps).",
            "none",
            candidate.name,
        )
        for seed, log in candidate.logs.items()
        if (reward := ends(log, "reward"))
    ]


def held_out_table(candidates: Sequence[Candidate]) -> list[tuple[str, str, str, str, int]]:
    """(candidate, metric, figure, interval, cases) of everything that was held out."""
    return [
        (
            candidate.name,
            metric.label,
            number(figure.value, metric.unit),
            interval(figure, metric.unit),
            figure.n,
        )
        for candidate in candidates
        for key, figure in candidate.figures.items()
        for metric in (metric_of(key),)
    ]


def _facts(run: RunFolder) -> list[tuple[str, str]]:
    """What was learned from, and what was left out of it."""
    facts = []
    for part, what in (("demonstrations", "demonstrations"), ("preferences", "pairs")):
        if noted := run.part(part):
            facts.append(
                (
                    what.capitalize(),
                    f"{quantity(noted.get('trained_on'))} of {noted.get('source')} trained on, "
                    f"{quantity(noted.get('measured_on'))} held out",
                )
            )
            contamination = noted.get("contamination")
            if isinstance(contamination, dict) and contamination.get("sentence"):
                facts.append(("Contamination", str(contamination["sentence"])))
            left_out = noted.get("left_out")
            if isinstance(left_out, dict) and left_out:
                text = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
                facts.append(("Left out", text))
    for name, noted in run.part("prompts").items():
        if isinstance(noted, dict) and noted.get("instruction") is not None:
            facts.append((f"Instruction of {name}", str(noted["instruction"]) or "(none)"))
    return facts


def _pages(run: RunFolder) -> list[str]:
    """Further pages in the folder."""
    return [
        path.name
        for path in entries(run.path)
        if path.suffix == ".html" and path.name != "report.html" and not path.name.startswith(".")
    ]


def settings_of(run: RunFolder, kind: str, defaults: Defaults) -> list[tuple[str, str, str]]:
    """(key, value, default where it is another) of the method's own section, then of others that were
    changed."""
    usual, given = flat(defaults), flat(run.spec())
    given.pop("methods", None)  # which isn't read
    own = [key for key in given if key.partition(".")[0] == kind]
    changed = [key for key, value in given.items() if usual.get(key) != value and key not in own]
    return [
        (key, written(given[key]), "" if usual.get(key) == given[key] else written(usual.get(key)))
        for key in [*changed, *own]
    ]
