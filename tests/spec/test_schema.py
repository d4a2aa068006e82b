"""The published schemas say what the program says: current, true of what is read, and no wider."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import pytest
import yaml

from paths import DOCS, ROOT
from truing.learn.objectives.baselines import BASELINES
from truing.spec.objective import ObjectivePart
from truing.spec.reading import PROFILES, make_spec
from truing.spec.schema import SPEC_FILE, TASK_FILE, installed_schema, spec_schema, task_schema
from truing.tasks import TASKS
from truing.tasks.reading import built_in, parsed
from truing.types import InputError

SPEC = jsonschema_rs.validator_for(spec_schema())
TASK = jsonschema_rs.validator_for(task_schema())


@pytest.mark.parametrize(("file", "schema"), [(SPEC_FILE, spec_schema), (TASK_FILE, task_schema)])
def test_the_published_schemas_are_current(file: str, schema: Any) -> None:
    for place in (DOCS / file, installed_schema(file)):
        written = json.loads(place.read_text("utf-8"))
        assert written == schema(), "run: python -m truing.spec.schema"
    jsonschema_rs.meta.validate(schema())


def specs() -> list[dict[str, Any]]:
    """Whole specs: of every profile, task, objective and baseline."""
    written = [make_spec({}, profile=profile) for profile in PROFILES]
    written += [make_spec({"task": task}) for task in TASKS]
    for name, kind in ObjectivePart.kinds().items():
        for baseline in BASELINES if "baseline" in kind.spec_keys() else [None]:
            objective = {"name": name} | ({"baseline": baseline} if baseline else {})
            written.append(make_spec({"rl": {"objective": objective}}))
    return [json.loads(json.dumps(spec.model_dump(mode="json"))) for spec in written]


def test_every_spec_that_a_run_writes_is_valid() -> None:
    for spec in specs():
        SPEC.validate(spec)
    SPEC.validate({})
    SPEC.validate({"task": "format", "approaches": ["sft"], "rl": {"objective": {"clip": 0.1, "name": "grpo"}}})  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(
    "wrong",
    [
        {"rl": {"stesp": 3}},
        {"methods": ["hope"]},
        {"rl": {"steps": 0}},
        {"rl": {"objective": {"name": "grpo", "baseline": "none"}}},
        {"rl": {"objective": {"name": "glory"}}},
        {"task": {"evaluations": ["nonsense"]}},
        {"task": {"data": {"columns": {"promt": "x"}}}},
        {"seeds": []},
        {"dtype": "float16"},
        {"data": {"held_out": 1}},
    ],
)
def test_what_the_program_refuses_is_refused(wrong: dict[str, Any]) -> None:
    assert not SPEC.is_valid(wrong)
    from truing.tasks.metrics import check_measures

    with pytest.raises(InputError):
        check_measures(make_spec(wrong).task)


def test_a_task_file() -> None:
    task = {"name": "mine", "instruction": "Do.", "data": {"cases": "cases.jsonl"}}
    TASK.validate(task)
    for key in task:
        assert not TASK.is_valid({k: v for k, v in task.items() if k != key})
    assert not TASK.is_valid({**task, "judge": {}})
    for name in TASKS:  # built-in ones have no file of cases, but every other key
        whole = built_in(name).TASK.model_dump(mode="json")
        whole["data"]["cases"] = "cases.jsonl"
        TASK.validate(json.loads(json.dumps(whole)))
        assert parsed(whole, name)


def test_every_example_in_the_docs_is_valid() -> None:
    checked = 0
    for page in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]:
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            document = yaml.safe_load(text)
            if not isinstance(document, dict):
                continue
            is_task = {"name", "instruction", "data"} <= document.keys()
            known = (task_schema() if is_task else spec_schema())["properties"]
            if document.keys() <= known.keys():
                (TASK if is_task else SPEC).validate(document)
                checked += 1
    assert checked >= 5
