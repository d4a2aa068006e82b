"""`truing tasks`: which tasks there are, and whether one of the user's can be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from truing.data.rule_book import RuleBook
from truing.data.rules import Rule
from truing.data.splits import split
from truing.evaluate.rules import balanced
from truing.progress import Progress
from truing.rewards.mixture import PROBE, check_reward
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.spec.task import RuleSpec
from truing.tasks import Task, texts
from truing.tasks.metrics import check_measures, metrics_of
from truing.tasks.task import RULED
from truing.types import Case

SHOWN_CASES = 10


@dataclass(frozen=True)
class CheckedTask:
    """A task that can be run: what it holds, split as a run splits it."""

    task: Task
    spec: Spec
    train: tuple[Case, ...]
    held_out: tuple[Case, ...]

    @property
    def _book(self) -> RuleBook:
        return self.task.rules

    def _rules(self) -> list[dict[str, Any]]:
        """The rules that the task measures, with how many cases each has; and those that it doesn't."""
        measured = RULED in self.spec.task.evaluations
        book = {rule.id: rule for rule in self._book.rules} if measured else {}
        own = {rule.id: rule for rule in self.spec.task.rules}
        listed: Mapping[str, RuleSpec | Rule] = own or book
        return [
            {
                "id": name,
                "says": rule.says,
                "stated": rule.stated,
                "measured": name in book,
                "expects": dict(rule.expects),
                "cases": len(book[name].items) * len(rule.expects) if name in book else 0,
            }
            for name, rule in listed.items()
        ]

    def _contexts(self) -> dict[str, str]:
        expected = [name for rule in self._rules() if rule["measured"] for name in rule["expects"]]
        return {name: self._book.contexts[name] for name in dict.fromkeys(expected)}

    def _rule_examples(self) -> list[dict[str, Any]]:
        if RULED not in self.spec.task.evaluations:
            return []
        return [
            {
                **{k: case.columns[k] for k in ("rule", "context", "expects")},
                "prompt": case.prompt,
                "system": case.system,
            }
            for case in balanced(self._book.cases(), SHOWN_CASES)
        ]

    def to_json(self) -> dict[str, Any]:
        """The document of `truing tasks NAME --json`."""
        task = self.task.spec
        return {
            "name": task.name,
            "instruction": task.instruction,
            "source": self.task.source,
            "cases": {"train": len(self.train), "held_out": len(self.held_out)},
            "rules": self._rules(),
            "contexts": self._contexts(),
            "pairs": len(self._book.pairs),
            "demands": [{"rule": each.rule, "asks": each.asks} for each in self._book.demands],
            "judges": {name: check.by for name, check in task.judges.items()},
            "evaluations": list(task.evaluations),
            "metrics": [metric.key for metric in metrics_of(task)],
            "headline": list(task.headline),
            "gold": list(task.gold or task.headline),
            "must_not_fall": dict(task.must_not_fall),
            "reward": [part.name for part in self.spec.reward.parts] or [PROBE],
            "examples": [
                {"prompt": case.prompt, "references": list(case.correct_answers)}
                for case in self.task.cases[:SHOWN_CASES]
            ],
            "rule_examples": self._rule_examples(),
        }


def checked_task(name: str, progress: Progress) -> CheckedTask:
    """The task called `name`, or in that file, checked. Raises InputError where it is wrong."""
    spec = make_spec({"task": name})
    check_measures(spec.task)
    task = texts.checked_task(spec, progress)
    check_reward(spec.reward, task.cases, task.graders)
    train, held_out = split(task.cases, spec.data.held_out)
    return CheckedTask(task, spec, train, held_out)
