"""From `task:` in a spec, or --task, to the task's mapping: a built-in name, a file, or the mapping.

A task file is YAML with the keys of `truing.spec.task.TaskSpec`; paths in it are relative to it. What a
file leaves out is that of GENERIC, not of the truthful task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from truing.rewards.rubrics.reading import is_rubric_file
from truing.spec.part import merged, worded
from truing.spec.reading import read_mapping
from truing.spec.run import Spec
from truing.spec.task import TaskSpec
from truing.tasks.adapters import ADAPTERS
from truing.types import InputError, did_you_mean

GENERIC: dict[str, Any] = {
    "evaluations": ["answers", "trivia", "drift", "hacking"],
    "gold": [],
    "must_not_fall": {"trivia.mc1": 0.05},
}
"""What a task that isn't the built-in one leaves out."""
ADAPTED_CASES = 256
"""Cases that are asked of another package's task where the spec sets no limit."""
TRUTHFUL = TaskSpec.model_fields["name"].default
_ENDINGS = (".yaml", ".yml")
HUB = "hub:"
PROGRAM_FILE = ".py:"


def with_task(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A spec's mapping with its task as a mapping, and what the task says of the other parts.

    Raises InputError where there is no such task or its file is wrong.
    """
    task = data.get("task")
    if not isinstance(task, str | Mapping):
        return dict(data), {}
    mapping = task_mapping(task)
    return {**data, "task": mapping}, defaults_of(mapping)


PREFERENCES, OF_PAIRS = "preferences", ("accuracy", "wins")
"""The evaluation of held-out pairs, and what of it is the headline where pairs are all there is."""
READERS = {"spec": with_task}
"""For `truing.spec`, which lies below and looks it up."""


def built_in(name: str) -> Any:
    """The module of a built-in task."""
    from truing.tasks import TASKS

    return import_module(TASKS[name])


def task_mapping(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """All keys of the task that `value` means: a built-in name, a file, an adapter's, or a mapping.

    Raises InputError where there is no such task or its file is wrong.
    """
    if isinstance(value, str):
        return _named(value)
    return _laid_over(dict(value))


def _named(name: str) -> dict[str, Any]:
    from truing.tasks import TASKS

    if not name:
        raise InputError(f"task: empty; give a name ({', '.join(TASKS)}) or a YAML file")
    if name in TASKS:
        return _dumped(built_in(name).TASK)
    kind, _, reference = name.partition(":")
    if kind in ADAPTERS:
        return _dumped(ADAPTERS[kind](reference, seed=0, size=ADAPTED_CASES).task)
    if Path(name).suffix.lower() in _ENDINGS or Path(name).exists():
        return read_task_file(Path(name))
    hint = did_you_mean(name, TASKS)
    raise InputError(
        f"task {name!r}: {hint}known: {', '.join(TASKS)}; or give a YAML file, or "
        f"{', '.join(f'{kind}:…' for kind in ADAPTERS)}"
    )


def _dumped(task: TaskSpec) -> dict[str, Any]:
    return task.model_dump(mode="json")


def _laid_over(mapping: dict[str, Any]) -> dict[str, Any]:
    """A mapping of a spec over what it leaves out: the built-in task that it names, or GENERIC."""
    from truing.tasks import TASKS

    name = mapping.get("name", "truthful")
    if name in TASKS:
        return _guarded(merged(_dumped(built_in(name).TASK), mapping), mapping)
    return _completed(mapping)


def _guarded(whole: dict[str, Any], mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Without the usual `must_not_fall` of evaluations that the task doesn't have; what the mapping itself
    names stays, and is refused where nothing measures it."""
    usual, names = whole.get("must_not_fall"), whole.get("evaluations")
    if not isinstance(usual, Mapping) or not isinstance(names, list | tuple):
        return whole
    own = mapping.get("must_not_fall") or {}
    guards = {key: usual[key] for key in usual if key in own or key.partition(".")[0] in names}
    return {**whole, "must_not_fall": guards}


def _completed(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """With the generic parts, and with every judge as headline where none is named."""
    whole = merged(GENERIC, mapping)
    judges = whole.get("judges")
    if "evaluations" not in mapping:
        if _pairs_alone(mapping):
            whole["evaluations"] = [PREFERENCES, *whole["evaluations"]]
        if _all_checked(mapping.get("rules")):
            whole["evaluations"] = [*whole["evaluations"], "rules"]
    if "headline" not in whole:
        if isinstance(judges, Mapping) and judges:
            whole["headline"] = [f"answers.{name}" for name in judges]
        elif PREFERENCES in whole["evaluations"]:
            whole["headline"] = [f"{PREFERENCES}.{name}" for name in OF_PAIRS]
        elif isinstance(judges, Mapping):
            whole["headline"] = []
    return _guarded(whole, mapping)


def _pairs_alone(task: Mapping[str, Any]) -> bool:
    """Whether pairs of answers are all that says what a good answer is."""
    texts = task.get("data")
    return isinstance(texts, Mapping) and bool(texts.get("preferences")) and not task.get("judges")


def _all_checked(rules: Any) -> bool:
    """Whether there are rules, and each has a check."""
    return (
        isinstance(rules, list)
        and bool(rules)
        and all(isinstance(rule, Mapping) and rule.get("check") for rule in rules)
    )


def read_task_file(path: Path) -> dict[str, Any]:
    """The mapping in a task file, complete and with whole paths.

    Raises InputError naming the file and the key that is wrong.
    """
    mapping = read_mapping(path, "task")
    _check_own_name(path, mapping)
    whole = _completed(mapping)
    checked = parsed(whole, str(path))
    if checked.data.cases is None and checked.data.preferences is None:
        raise InputError(f"{path}: data.cases: missing; name the file of what is asked")
    return _with_whole_paths(_dumped(checked), path.parent)


def _check_own_name(path: Path, mapping: Mapping[str, Any]) -> None:
    from truing.tasks import TASKS

    name = mapping.get("name")
    if not isinstance(name, str) or not name:
        raise InputError(f"{path}: name: missing; give the task a name")
    if not re.fullmatch(r"[\w .-]+", name) or not name.strip(". "):
        raise InputError(
            f"{path}: name: {name!r}: a name has letters, digits, spaces, dots, dashes and underscores"
        )
    if name in TASKS:
        raise InputError(f"{path}: name: {name!r} is taken by a built-in task; give another")
    for key in ("instruction", "data"):
        if key not in mapping:
            raise InputError(f"{path}: {key}: missing; a task says what to do and with which cases")


def parsed(mapping: Mapping[str, Any], where: str) -> TaskSpec:
    """The task that a complete mapping means. Raises InputError naming `where` and the key."""
    try:
        return TaskSpec.model_validate(mapping)
    except ValidationError as error:
        raise InputError(worded(error.errors()[0], TaskSpec, where)) from None


def _with_whole_paths(mapping: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths relative to the task file as paths from here."""
    data = mapping["data"]
    for key in ("cases", "demonstrations", "preferences", "refusals"):
        data[key] = _whole(data[key], folder)
    if mapping.get("survey"):
        mapping["survey"] = _whole(mapping["survey"], folder)
    for check in mapping["judges"].values():
        check["program"] = _whole_program(check["program"], folder)
        _with_whole_rubric(check, folder)
    for rule in mapping["rules"]:
        if rule["check"]:
            _with_whole_rubric(rule["check"], folder)
        if rule["check"] and rule["check"]["program"]:
            rule["check"]["program"] = _whole_program(rule["check"]["program"], folder)
        if isinstance(rule["items"], str):
            rule["items"] = _whole(rule["items"], folder)
    for part in (mapping["reward"] or {}).get("parts", ()):
        part["name"] = _whole_program(part["name"], folder)
        _with_whole_rubric(part, folder)
    return mapping


def _with_whole_rubric(part: dict[str, Any], folder: Path) -> None:
    """A judge's rubric as a path from here, where it is a file."""
    if is_rubric_file(part.get("rubric")):
        part["rubric"] = _whole(part["rubric"], folder)


def _whole(source: str | None, folder: Path) -> str | None:
    if source is None or source.startswith(HUB) or "://" in source:
        return source
    return str(folder / Path(source).expanduser())


def _whole_program(name: str, folder: Path) -> str:
    if PROGRAM_FILE not in name:
        return name
    file, _, function = name.rpartition(":")
    return f"{folder / Path(file).expanduser()}:{function}"


def defaults_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """What a task says of other parts of the spec, to be laid under the user's own."""
    parts: dict[str, Any] = {}
    if reward := task.get("reward") or _reward_of_judges(task) or _reward_of_pairs(task):
        parts["reward"] = reward
    if most := task.get("max_new_tokens"):
        parts |= {"evaluation": {"max_new_tokens": most}, "rl": {"max_new_tokens": most}}
    texts = task.get("data") or {}
    without = [] if has_pairs(task) else ["preference"]
    if not parts.get("reward") and task.get("judges"):  # each is behind an endpoint
        without.append("rl")
    if without:
        parts["methods"] = [name for name in usual_methods() if name not in without]
    if people := {key: texts[key] for key in ("demonstrations", "preferences") if texts.get(key)}:
        parts["data"] = people
    return parts


def has_pairs(task: Mapping[str, Any]) -> bool:
    """Whether a task is sure to have pairs of answers: it names a file of them, or is the built-in one
    whose questions have true and false answers."""
    return bool((task.get("data") or {}).get("preferences")) or task.get("name") == TRUTHFUL


def usual_methods() -> tuple[str, ...]:
    """The methods of a spec that names none."""
    usual: tuple[str, ...] = Spec.model_fields["methods"].default
    return usual


def _reward_of_pairs(task: Mapping[str, Any]) -> dict[str, Any] | None:
    """A reward model fitted to the pairs, where they are all there is and measured; it reads an answer that
    was cut off as if it had ended, so that a proper end counts beside it."""
    if not _pairs_alone(task) or PREFERENCES not in (task.get("evaluations") or ()):
        return None
    return {"parts": [{"name": "reward_model", "from": "pairs"}, {"name": "ends_properly"}]}


def _reward_of_judges(task: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a task names no reward: the judges of its headline, each counted once."""
    judges = task.get("judges") or {}
    headline = task.get("headline") or ()
    names = [name for name in judges if f"answers.{name}" in headline] or list(judges)
    # A judge behind an endpoint is a reward only where somebody says so: it is asked about every sample.
    names = [name for name in names if not judges[name].get("endpoint")]
    return {"parts": [{"name": f"judge:{name}"} for name in names]} if names else None
