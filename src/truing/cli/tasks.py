"""`truing tasks`: the tasks that there are, and a look at one.

As in main.py: parses, calls, prints, and imports what the command needs inside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli import completion
from truing.cli.common import AsJson, explained, print_json
from truing.terminal import say

if TYPE_CHECKING:
    from truing.recipes.tasks import CheckedTask

TaskName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME|FILE",
        autocompletion=completion.tasks,
        help="a built-in task, a task file (YAML), reasoning_gym:NAME, verifiers:MODULE or "
        "inspect:FILE.py@task; without one, the built-in ones are listed",
    ),
]


def tasks(task: TaskName = None, as_json: AsJson = False) -> None:
    """List the built-in tasks; with one, or with your own file: check it and show what it holds.

    Checking a task of your own runs the programs that it names; they are said first.
    """
    with explained():
        if task is None:
            _list(as_json)
            return
        checked = _checked(task)
        if as_json:
            print_json(checked.to_json())
        else:
            _show(checked)


def _list(as_json: bool) -> None:
    from truing.tasks.listing import built_in_tasks

    rows = built_in_tasks()
    if as_json:
        print_json({"tasks": rows})
        return
    for row in rows:
        say(f"{row['name']}: {row['purpose']}")
        say(f"    {row['instruction']}")
    say("\ntruing tasks NAME shows one; truing align --task NAME|FILE runs it.")


def _checked(name: str) -> CheckedTask:
    from truing.progress import StderrProgress
    from truing.recipes.tasks import checked_task

    return checked_task(name, StderrProgress())


def _show_rules(document: dict[str, Any]) -> None:
    for rule in document["rules"]:
        how = "told" if rule["stated"] else "only expected"
        expected = ", ".join(f"{context}: {what}" for context, what in rule["expects"].items())
        count = f"{rule['cases']} cases" if rule["measured"] else "not measured"
        say(f"Rule: {rule['id']}: {rule['says']} ({how}; {count}; {expected})")
    for name, template in document["contexts"].items():
        say(f"Context: {name}: {' '.join(template.split())}")
    if document["contexts"]:
        say(f"Contrast pairs: {document['pairs']}")
    for place, example in enumerate(document["rule_examples"], 1):
        say(
            f"{place:>3}. {example['rule']}, {example['context']}: {' '.join(example['prompt'].split())}"
        )


def _show(checked: CheckedTask) -> None:
    document = checked.to_json()
    cases = document["cases"]
    say(f"{document['name']}: {document['instruction']}")
    say(f"Cases: {document['source']} ({cases['train']} training, {cases['held_out']} held out)")
    for name, program in document["judges"].items():
        say(f"Judge: {name} ({program})")
    say(f"Reward: {', '.join(document['reward'])}")
    say(f"Measured: {', '.join(document['evaluations'])}")
    say(f"Helped means: {', '.join(document['headline'])}")
    for key, limit in document["must_not_fall"].items():
        say(f"Must not fall: {key} (by more than {limit:g})")
    _show_rules(document)
    for place, example in enumerate(document["examples"], 1):
        answers = " | ".join(example["references"]) or "(no reference)"
        say(f"{place:>3}. {' '.join(example['prompt'].split())}")
        say(f"     -> {' '.join(answers.split())}")
