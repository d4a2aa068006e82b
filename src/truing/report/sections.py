"""What each section of the page shows, as plain data: the template only lays it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from truing.prompts.variants import OWN
from truing.report import curves, examples, figures, reward_plane
from truing.report.answers import answer_table, by_seed, terms_of
from truing.report.attack_plane import attack_plane
from truing.report.best_of_n import best_of_n_figure, best_of_n_table
from truing.report.cards import cards_of
from truing.report.category_section import categories_section
from truing.report.counts import fewer
from truing.report.findings import GIVE_AWAY_LIMITS, judged_by
from truing.report.measured import BASE
from truing.report.metrics import DASH, change, interval, mark, number
from truing.report.opinion_figures import opinions_section
from truing.report.quantities import costs_table, quantity
from truing.report.rule_heat import rule_heat
from truing.report.sentences import joined
from truing.report.summary import Summary
from truing.report.svg import palette
from truing.report.task_metrics import ATTACKED, TaskMetrics
from truing.types import Estimate, Metric

_JUDGE_COLUMNS = (
    ("balanced_accuracy", "Balanced accuracy"),
    ("kappa", "Kappa"),
    ("accuracy", "Accuracy"),
    ("majority", "Always the commoner label"),
    ("rouge", "ROUGE alone"),
    ("calibration_error", "Calibration error"),
    ("n", "Answers"),
    ("order_changed", "Changed by the order of grades"),
    ("unread", "Answers without a grade"),
    ("replies", "Replies"),
    ("tokens_sent", "Tokens sent"),
    ("tokens_back", "Tokens back"),
    ("price", "Price"),
    ("questions_left_out", "Questions with too few references"),
)


class _Known(dict[str, Any]):
    """A part of run.json in which the template may ask for what isn't recorded: that is None."""

    def __missing__(self, key: str) -> None:
        return None


@dataclass(frozen=True)
class Cell:
    """A candidate's figure in the comparison: value, interval, difference to base and its mark."""

    candidate: str
    value: str
    interval: str
    difference: str = ""
    difference_interval: str = ""
    effect: str = ""
    mark: str = ""
    n: int = 0
    unscored: int = 0
    partial: str = ""
    """'48 of 85' where not all cases were asked."""
    hint: str = ""
    """The same in words, a line each: what the card over the figure says."""


@dataclass(frozen=True)
class Line:
    """A metric's row in the comparison."""

    metric: Metric
    cells: list[Cell]


def comparison(summary: Summary) -> list[tuple[str, list[Line]]]:
    """(title, lines) for each evaluation that was measured."""
    measured = summary.measured
    groups: dict[str, list[Line]] = {}
    for evaluation, name in measured.listed():
        metric = measured.task.metric_of(evaluation, name)
        cells = [_cell(summary, metric, candidate) for candidate in measured.names]
        groups.setdefault(evaluation, []).append(Line(metric, cells))
    return [(measured.task.title(name), lines) for name, lines in groups.items()]


def _cell(summary: Summary, metric: Metric, candidate: str) -> Cell:
    measured, key = summary.measured, (metric.evaluation, metric.name)
    value = measured.value(candidate, *key)
    difference = measured.defined_difference(candidate, metric)
    if value is None or value.value is None:
        return Cell(candidate, DASH, "", unscored=value.unscored if value else 0)
    effect = change(difference, metric)
    if effect and key == ATTACKED and not measured.task.counts(key):
        effect = "moved"  # fewer attacks carried out is no gain by itself: see findings
    return Cell(
        candidate,
        number(value.value, metric.unit),
        interval(value, metric.unit),
        number(difference.value, metric.unit, sign=True) if difference else "",
        interval(difference, metric.unit) if difference else "",
        effect,
        mark(difference),
        value.n,
        value.unscored,
        fewer(measured, candidate, metric, value),
        _hint(summary, metric, candidate, value, difference),
    )


_MEANINGS = {
    "gain": "a gain beyond noise",
    "loss": "a loss beyond noise",
    "moved": "beyond noise, neither good nor bad",
    "": "within noise",
}


def _hint(
    summary: Summary, metric: Metric, candidate: str, value: Estimate, difference: Estimate | None
) -> str:
    cases = summary.measured.task.words.cases
    lines = [f"{metric.label}, {candidate}"]
    lines.append(f"{number(value.value, metric.unit)} {interval(value, metric.unit)}".strip())
    lines.append(
        f"{value.n} {cases}" + (f", {value.unscored} rows unscored" * bool(value.unscored))
    )
    if difference is not None:
        figure = number(difference.value, metric.unit, sign=True)
        limits = interval(difference, metric.unit, sign=True)
        meaning = _MEANINGS[change(difference, metric)]
        lines.append(f"{figure} {limits} to {BASE}, {difference.n} in common: {meaning}")
    return "\n".join(lines)


def judge_figures(figures_of: Mapping[str, Any]) -> dict[str, Any]:
    """A table of whatever is known of how far judges (or reward models) agree with labels."""
    judges = {name: part for name, part in figures_of.items() if isinstance(part, dict)}
    known = [
        (key, title)
        for key, title in _JUDGE_COLUMNS
        if any(key in part for part in judges.values())
    ]
    rows = [(name, [_judged(part, key) for key, _ in known]) for name, part in judges.items()]
    return {"columns": [title for _, title in known], "rows": rows}


def _judged(part: Mapping[str, Any], key: str) -> str:
    """A figure of a judge; a price with its currency, to four digits however small it is."""
    value = part.get(key)
    if key == "price" and isinstance(value, int | float):
        return f"{value:.4g} {part.get('currency') or ''}".rstrip()
    return quantity(value)


def _raced_by(summary: Summary) -> Metric | None:
    """What prompts were compared by: the first of the headline under whose name they have a score."""
    task = summary.measured.task
    tried = _tried(summary)
    return next(
        (
            metric
            for metric in task.of(task.headline)
            if any(metric.name in entry for entry in tried)
        ),
        None,
    )


def _tried(summary: Summary) -> list[dict[str, Any]]:
    part = summary.run.part("prompts").get("prompt")
    tried = part.get("tried") if isinstance(part, dict) else None
    entries = tried if isinstance(tried, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def _prompts(summary: Summary) -> list[dict[str, Any]]:
    """Every instruction and few-shot set tried, the last round and the best first."""
    part = summary.run.part("prompts").get("prompt")
    tried = _tried(summary)
    if not isinstance(part, dict) or not tried:
        return []
    metric = _raced_by(summary)
    score = metric.name if metric else ""
    tried.sort(key=lambda entry: (-_figure(entry, "round"), -_figure(entry, score)))
    chosen = (part.get("instruction"), part.get("shots"))
    rounds = [_figure(entry, "round") for entry in tried]
    return [
        {
            "instruction": str(entry.get("instruction") or ""),
            "shots": quantity(entry.get("shots")),
            "score": quantity(entry.get(score)),
            "questions": quantity(entry.get("questions")),
            "round": quantity(entry.get("round")),
            "chosen": (entry.get("instruction"), entry.get("shots")) == chosen
            and _figure(entry, "round") == max(rounds),
        }
        for entry in tried
    ]


def _figure(entry: Mapping[str, Any], name: str) -> float:
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) else float("-inf")


def _give_away(summary: Summary) -> list[dict[str, Any]]:
    part = summary.run.part("data").get("give_away")
    names = {
        "bag_of_words": "A bag of words that sees only the answers",
        "longer_answer": "Taking the longer answer",
        "shorter_answer": "Taking the shorter answer",
    }
    if not isinstance(part, dict):
        return []
    return [
        {
            "name": names[name],
            "value": quantity(part[name]),
            "limit": f"{limit:.2f}",
            "over": part[name] > limit,
        }
        for name, limit in GIVE_AWAY_LIMITS.items()
        if isinstance(part.get(name), int | float)
    ]


def _quoted(names: list[str]) -> str:
    return joined([f"“{name}”" for name in names])


def _graded_by_programs(task: TaskMetrics) -> str:
    """'Same answer and valid are', the grades that no judge gives; empty where all are judged."""
    labels = [metric.spoken_label for metric in task.grades if not metric.judges]
    if not labels:
        return ""
    text = f"{joined(labels)} {'is' if len(labels) == 1 else 'are'}"
    return text[:1].upper() + text[1:]


def _columns(candidates: int) -> int:
    """Answers side by side: at most four, in rows as even as can be."""
    rows = -(-candidates // 4)
    return -(-candidates // rows) if rows else 1


def page(summary: Summary) -> dict[str, Any]:
    """Everything that the template needs, by section."""
    run, measured, task = summary.run, summary.measured, summary.measured.task
    questions = run.questions()
    rl_logs = summary.rl_logs
    first_rl = next(iter(rl_logs.values()), [])
    cards = cards_of(summary)
    on_cards = {card.text for card in cards}
    return {
        "record": _Known(run.record),
        "model": _Known(run.part("model")),
        "machine": _Known(run.part("machine")),
        "data": _Known(run.part("data")),
        "names": measured.names,
        "base": BASE,
        "words": task.words,
        "likelihoods": joined([metric.label for metric in task.likelihoods]),
        "judged": _quoted([metric.name for metric in judged_by(measured).values()]),
        "programs": _graded_by_programs(task),
        "grades": task.grades,
        "ticked": joined([metric.spoken_label for metric in task.of(task.stands_for)]),
        "columns": _columns(len(measured.names)),
        "attacked": ATTACKED[0] in {*task.evaluations, *(name for name, _ in measured.listed())},
        "seeds": sorted({seed for seeds in measured.seeds.values() for seed in seeds}),
        "cards": cards,
        "findings": [finding for finding in summary.findings if finding.text not in on_cards],
        "comparison": comparison(summary),
        "gain_and_damage": figures.gain_and_damage(measured),
        "costs": costs_table(run.part("costs")),
        "sft_curve": curves.sft_curve(run.logs("sft")),
        "rl_curves": curves.rl_curves(rl_logs, task),
        "rl_captions": curves.captions(rl_logs, task),
        "best_of_n": best_of_n_figure(summary.rows, measured.names, task),
        "best_of_n_table": best_of_n_table(summary.rows, measured.names, task),
        "watched": curves.legend(task),
        "reward_plane": reward_plane.reward_plane(summary.audit),
        "reward_captions": reward_plane.captions(summary.audit),
        "rl_samples": examples.training_samples(first_rl),
        "categories": categories_section(summary),
        "answers": answer_table(by_seed(summary.rows), measured.names, terms_of(task), questions),
        "colour_of": palette(measured.names),
        "examples": examples.question_examples(summary.rows, measured.names, questions, task),
        "attack_plane": attack_plane(measured, run.part("methods")),
        "rule_heat": rule_heat(summary.rows, measured.names),
        "opinions": opinions_section(summary.opinions, summary.rows, OWN, palette(measured.names)),
        "attacks": examples.attack_examples(summary.rows, measured.names, questions),
        "judges": judge_figures(summary.judges),
        "reward_model": judge_figures(run.part("reward_model")),
        "prompts": _prompts(summary),
        "raced_by": _raced_by(summary),
        "give_away": _give_away(summary),
        "spec": run.spec_text(),
    }
