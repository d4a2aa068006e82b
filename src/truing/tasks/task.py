"""The task of a run: its spec, its cases, and the programs that grade answers to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from truing.data.case_file import read_cases
from truing.data.distinct import CaseFile
from truing.data.preference_file import read_preferences
from truing.data.preferred_cases import cases_of_preferences
from truing.data.questions import question_file
from truing.data.refusal_cases import task_refusals
from truing.data.rule_book import RuleBook, built_in_rules
from truing.data.splits import split
from truing.data.survey import Survey, task_survey
from truing.files import read_bytes
from truing.judges.checks import CHECKS, Check
from truing.judges.programs import Program, program, try_out
from truing.judges.rule_programs import built_in_rule_programs, rule_programs, try_rules
from truing.judges.served_rules import RuleJudge, served_in
from truing.progress import Progress, StderrProgress
from truing.rewards.calling import columns_of
from truing.rewards.reward import Answered
from truing.rewards.rubrics.judge import ServedJudge
from truing.rewards.user_code import is_user_function
from truing.spec.data import DataSpec
from truing.spec.rubric import RubricJudge
from truing.spec.run import Spec
from truing.spec.task import CheckSpec, TaskSpec
from truing.tasks.adapters import ADAPTERS, Load
from truing.tasks.reading import ADAPTED_CASES, HUB, built_in
from truing.tasks.rules import rule_book
from truing.types import Case, InputError, Score, did_you_mean, stable_hash

RULED = "rules"
"""The evaluation that needs a check of every rule."""


@dataclass(frozen=True)
class Task:
    """What a run aligns a model to.

    `load` reads the cases; `functions` are programs of its own by name; `fingerprint` is what it stands
    on beside files, for the identity of a run; `held_out` is the share of cases that nobody trains on.
    """

    spec: TaskSpec
    load: Callable[[], CaseFile]
    source: str
    functions: Mapping[str, Check] = field(default_factory=dict)
    fingerprint: str = ""
    held_out: float = DataSpec().held_out

    @cached_property
    def read(self) -> CaseFile:
        """The cases and how many were left out. Raises InputError where they are wrong."""
        return self.load()

    @property
    def asks_pairs(self) -> bool:
        """Whether its cases are the prompts of its pairs."""
        data = self.spec.data
        return data.cases is None and data.preferences == self.source

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases, in the order of their source."""
        return self.read.cases

    @cached_property
    def refusals(self) -> tuple[Case, ...]:
        """Prompts that say whether they are to be declined. Raises InputError where they are wrong."""
        return task_refusals(self.spec.data.refusals)

    @cached_property
    def survey(self) -> Survey | None:
        """The survey that candidates are asked; None where there is none. Raises InputError where it is
        wrong."""
        return task_survey(self.spec.survey)

    @cached_property
    def graders(self) -> dict[str, Program | ServedJudge]:
        """The program, or the model behind an endpoint, of each judge of the task, by the judge's name.

        A user's file is run here; nothing is asked yet. Raises InputError where a program isn't there or
        asks for a column that no case has, or where an endpoint or a rubric is wrong.
        """
        return {name: self._grader(name, check) for name, check in self.spec.judges.items()}

    def _grader(self, name: str, check: CheckSpec) -> Program | ServedJudge:
        where = f"task.judges.{name}"
        if check.endpoint is None:
            return self._program(check, f"{where}.program")
        judge = _served(name, check, where)
        judge.check_columns(columns_of(self.cases), where)
        return judge

    @property
    def measures_rules(self) -> bool:
        """Whether rules are among what is measured, so that each needs a check."""
        return not self.spec.rules or RULED in self.spec.evaluations

    @cached_property
    def rules(self) -> RuleBook:
        """The task's book of rules, the built-in one where it has none. Raises InputError at a mistake.

        Where they aren't measured, rules without a check aren't in it.
        """
        spec = self.spec
        if not self.measures_rules:
            spec = spec.model_copy(update={"rules": tuple(r for r in spec.rules if r.check)})
        return rule_book(spec, self._asked_of_rules)

    @cached_property
    def _asked_of_rules(self) -> Sequence[Case]:
        """Held-out cases, for rules without items; as the share stands where the spec says nothing."""
        if all(rule.items is not None for rule in self.spec.rules):
            return ()
        return split(self.cases, self.held_out)[1]

    @cached_property
    def rule_checks(self) -> Mapping[str, Callable[[Answered], Score]]:
        """What tells whether an answer keeps each rule, by the rule's id: its program, or a judge.

        Raises InputError as `graders` does.
        """
        if self.rules is built_in_rules():
            return built_in_rule_programs()
        where = f"task {self.spec.name}: rules"
        judges: dict[str, Callable[[Answered], Score]] = {}
        for rule in self.spec.rules:
            if rule.check and rule.check.endpoint is not None:
                served = _served(rule.id, rule.check, f"{where}.{rule.id}.check")
                judges[rule.id] = RuleJudge(served, rule.says)
            if rule.check and (name := rule.check.judge) is not None:
                if name not in self.graders:
                    raise InputError(
                        f"{where}.{rule.id}.check.judge: {name!r}: no such judge; "
                        f"{did_you_mean(name, self.graders)}the task has "
                        f"{', '.join(self.graders) or 'none'}"
                    )
                judge = self.graders[name]
                of_rule = RuleJudge(judge, rule.says) if isinstance(judge, ServedJudge) else judge
                judges[rule.id] = of_rule
        programs = RuleBook(
            tuple(rule for rule in self.rules.rules if rule.id not in judges), self.rules.contexts
        )
        return {**judges, **rule_programs(programs, where, self.functions)}

    def _program(self, check: CheckSpec, where: str) -> Program:
        known = {**CHECKS, **self.functions}
        return program(check.program, where, columns_of(self.cases), known)

    @property
    def served(self) -> list[ServedJudge]:
        """The judges behind endpoints, those of rules too. Raises InputError as `graders` does."""
        graders = self.graders.values() if self.spec.judges else ()
        asked = any(rule.check and rule.check.endpoint for rule in self.spec.rules)
        return served_in((*graders, *(self.rule_checks.values() if asked else ())))

    def name_programs(self, progress: Progress) -> None:
        """Says which programs of the user's own will run."""
        for name in self.users_programs:
            progress.note(f"Running {name}")
        for judge in self.served:
            judge.watched_by(progress)
            progress.note(f"Judge {judge.name}: {judge.by}")

    def check_programs(self) -> None:
        """Tries every program on made-up answers; a model behind an endpoint is asked for nothing yet.

        Raises InputError where one can't grade any.
        """
        tried = {
            f"task.judges.{name}": each
            for name, each in self.graders.items()
            if isinstance(each, Program)
        }
        try_out(tried, self.cases)
        if self.spec.rules:
            checks = self.rule_checks
            if self.measures_rules:
                served = {name for name, check in checks.items() if isinstance(check, RuleJudge)}
                rules = tuple(rule for rule in self.rules.rules if rule.id not in served)
                book = RuleBook(rules, self.rules.contexts)
                try_rules(book, checks, f"task {self.spec.name}: rules")

    @property
    def users_programs(self) -> list[str]:
        """The programs of the user's own that the task runs, as `file.py:function`."""
        named = [check.program for check in self.spec.judges.values() if check.program]
        named += [r.check.program for r in self.spec.rules if r.check and r.check.program]
        return list(dict.fromkeys(name for name in named if is_user_function(name)))

    @property
    def files(self) -> Iterator[Path]:
        """Every file that the task names and that is here, programs included."""
        data = self.spec.data
        named = [data.cases, data.demonstrations, data.preferences, data.refusals]
        named += [self.spec.survey]
        named += [name.rpartition(":")[0] for name in self.users_programs]
        named += [rule.items for rule in self.spec.rules if isinstance(rule.items, str)]
        checks = [*self.spec.judges.values(), *(r.check for r in self.spec.rules if r.check)]
        named += [check.rubric for check in checks if isinstance(check.rubric, str)]
        for name in named:
            if name and not name.startswith(HUB) and Path(name).is_file():
                yield Path(name)

    def content_hash(self) -> str:
        """Changes with any file that the task names; empty for a built-in task."""
        contents = [stable_hash(read_bytes(path).hex()) for path in self.files]
        if not contents and not self.fingerprint:
            return ""
        return stable_hash("task", self.fingerprint, *contents)


def _served(name: str, check: RubricJudge, where: str) -> ServedJudge:
    """A judge behind an endpoint, of which nothing is asked yet."""
    judge = ServedJudge(name, check, where)
    judge.check_ordered(where)
    judge.watched_by(StderrProgress())
    return judge


def task_of(spec: Spec) -> Task:
    """The task that the spec names. Raises InputError where it can't be had."""
    name = spec.task.name
    if load := ADAPTERS.get(name.partition(":")[0]):
        return _adapted(spec, load)
    source, read = _cases_of(spec)
    share = spec.data.held_out
    return Task(spec.task, read, source, _programs_of(name), held_out=share)


def measuring(spec: Spec, evaluations: Sequence[str]) -> Spec:
    """The spec with these evaluations among those of its task, so that the task is checked for them."""
    names = tuple(dict.fromkeys((*spec.task.evaluations, *evaluations)))
    task = spec.task.model_copy(update={"evaluations": names})
    return spec.model_copy(update={"task": task})


def _cases_of(spec: Spec) -> tuple[str, Callable[[], CaseFile]]:
    """Where the cases are, and how they are read: a file that the task names, else the built-in ones."""
    from truing.tasks import TASKS

    name, data = spec.task.name, spec.task.data
    if (source := data.cases) is not None:
        return source, lambda: read_cases(source, data.columns, "task.data.cases")
    if name == "truthful":
        questions = spec.data.questions
        return questions, lambda: question_file(questions)
    if name not in TASKS and (pairs := data.preferences) is not None:
        return pairs, lambda: _cases_of_pairs(pairs, data.columns)
    if name not in TASKS:
        raise InputError(f"task {name}: data.cases: missing; name the file of what is asked")
    return f"built-in {name}", lambda: CaseFile(built_in(name).cases(), 0, name)


def _cases_of_pairs(source: str, columns: Mapping[str, str]) -> CaseFile:
    """The prompts of pairs, which are all that the task has to ask."""
    return cases_of_preferences(read_preferences(source, columns, "task.data.preferences"))


def _programs_of(name: str) -> dict[str, Check]:
    """A built-in task's own programs, also where it is given other cases."""
    from truing.tasks import TASKS

    programs: dict[str, Check] = built_in(name).PROGRAMS if name in TASKS else {}
    return {f"{name}.{key}": function for key, function in programs.items()}


def _adapted(spec: Spec, load: Load) -> Task:
    """A task of another package, with as many cases as the spec takes."""
    reference = spec.task.name.partition(":")[2]
    made = load(reference, seed=spec.seeds[0], size=spec.data.limit or ADAPTED_CASES)
    return Task(
        spec.task,
        lambda: CaseFile(made.cases, made.repeated, spec.task.name),
        spec.task.name,
        made.programs,
        made.fingerprint,
        spec.data.held_out,
    )
