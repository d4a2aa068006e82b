"""JSON schemas of a spec and of a task file: what an editor needs to complete keys and mark mistakes.

python -m truing.spec.schema     writes them anew, beside this file and into docs/

They say what stands in a file alone. What depends on several keys, on files or on a model is checked when
the file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from truing.files import write_json_atomically
from truing.spec.defences import DEFENCES
from truing.spec.kinds import KindPart, default_of
from truing.spec.objective import (
    DEFAULT_OBJECTIVE,
    DEFAULT_PREFERENCE,
    ObjectivePart,
    PairObjectivePart,
)
from truing.spec.registries import registry
from truing.spec.renamed import RENAMED
from truing.spec.run import Spec
from truing.spec.task import TaskSpec

Schema = dict[str, Any]

SPEC_FILE, TASK_FILE = "spec.schema.json", "task.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_schema() -> Schema:
    """Of a spec, as `truing align SPEC` reads it."""
    schema = _of(Spec, "A spec of Truing: what truing align and truing train read")
    named = {"type": "string", "description": "a built-in task, or a task file"}
    task = schema["properties"]["task"]
    schema["properties"]["task"] = {
        "anyOf": [named, {"$ref": "#/$defs/TaskSpec"}],
        "description": task.get("description", ""),
    }
    schema["$defs"]["ObjectivePart"] = _objectives(ObjectivePart, DEFAULT_OBJECTIVE)
    schema["$defs"]["PairObjectivePart"] = _objectives(PairObjectivePart, DEFAULT_PREFERENCE)
    _with_objective_keys(schema["$defs"]["PreferenceSpec"])
    schema["$defs"]["RewardModelSpec"]["properties"]["adapter"]["anyOf"].append({"const": "lora"})
    for old, new in RENAMED.items():
        if new in schema["properties"]:
            as_new = {**schema["properties"][new], "deprecated": True}
            schema["properties"][old] = {**as_new, "description": f"is called {new} now"}
    return schema


def task_schema() -> Schema:
    """Of a task file, as --task reads it."""
    schema = _of(TaskSpec, "A task of Truing: what --task reads")
    schema["required"] = ["name", "instruction", "data"]
    asked = [{"required": ["cases"]}, {"required": ["preferences"]}]
    schema["$defs"]["TaskDataSpec"]["anyOf"] = asked
    return schema


def _of(part: type[BaseModel], title: str) -> Schema:
    schema = _tidied(part.model_json_schema())
    defence = schema["$defs"]["DefenceSpec"]
    schema["$defs"]["DefenceSpec"] = {"anyOf": [{"enum": list(DEFENCES)}, defence]}
    return {"$schema": _DIALECT, **schema, "title": title}


def _tidied(node: Any) -> Any:
    """Without titles, which say the keys again, and with the names of registries written out."""
    if isinstance(node, list):
        return [_tidied(each) for each in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidied(value) for key, value in node.items() if not _is_title(key, value)}
    if "registry" in tidy:
        tidy["enum"] = list(registry(tidy.pop("registry")))
    return tidy


def _is_title(key: str, value: Any) -> bool:
    return key == "title" and isinstance(value, str)


def _objectives(part: type[ObjectivePart], usual: str) -> Schema:
    """Each objective with its own keys; the one without a name is the usual one."""
    kinds: Mapping[str, type[ObjectivePart]] = part.kinds()
    return {"anyOf": [_objective(name, kind, usual) for name, kind in kinds.items()]}


def _with_objective_keys(section: Schema) -> None:
    """Adds the keys of the objectives, which may stand in the section itself."""
    kinds = PairObjectivePart.kinds()
    section["properties"]["name"] = {"enum": list(kinds)}
    for kind in kinds.values():
        for key, field in kind.spec_keys().items():
            without_default = {k: v for k, v in _field(field).items() if k != "default"}
            section["properties"].setdefault(key, without_default)


def _objective(name: str, kind: type[ObjectivePart], usual: str) -> Schema:
    fields = {key: _field(field) for key, field in kind.spec_keys().items()}
    return {
        "type": "object",
        "properties": {"name": {"const": name}, **fields},
        "required": [] if name == usual else ["name"],
        "additionalProperties": False,
    }


def _field(field: FieldInfo) -> Schema:
    inner: Any = field.annotation
    if isinstance(inner, type) and issubclass(inner, KindPart):
        text: Schema = {"description": field.description or "", "enum": list(inner.kinds())}
        return {**text, "default": default_of(field)}
    schema: Schema = _tidied(TypeAdapter(Annotated[inner, field]).json_schema())
    return schema


def write_schemas(*folders: Path) -> None:
    """Writes both into each folder."""
    for folder in folders:
        write_json_atomically(folder / SPEC_FILE, spec_schema())
        write_json_atomically(folder / TASK_FILE, task_schema())


def installed_schema(file: str = SPEC_FILE) -> Path:
    """Where the schema of this version is."""
    return Path(__file__).with_name(file)


if __name__ == "__main__":
    write_schemas(Path(__file__).parent, Path("docs"))
