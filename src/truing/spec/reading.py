"""A spec from a file or a mapping, laid over a profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from truing.files import read_text
from truing.spec.part import merged
from truing.spec.registries import registry
from truing.spec.renamed import up_to_date
from truing.spec.run import Spec
from truing.spec.yaml_text import yaml_value
from truing.types import InputError, did_you_mean

PROFILES: dict[str, dict[str, Any]] = {
    "default": {"data": {"limit": 256, "control_limit": 160}},
    "smoke": {
        "data": {"limit": 14, "control_limit": 3},
        "prompt": {"questions": 2, "shots": [0, 1], "built_in": 2},
        "preference": {"steps": 2, "prompts_per_step": 2, "max_pairs": 2},
        "rl": {
            "steps": 2,
            "monitored": 2,
            "prompts_per_step": 2,
            "samples_per_prompt": 3,
            "max_new_tokens": 8,
        },
        "evaluation": {
            "max_new_tokens": 8,
            "attacks": 2,
            "rules": 4,
            "kl_questions": 2,
            "resamples": 500,
        },
    },
    "full": {
        "prompt": {"questions": 120, "shots": [0, 2, 4, 8]},
        "sft": {"epochs": 3},
        "rl": {
            "steps": 200,
            "learning_rate": 2e-4,
            "prompts_per_step": 8,
            "samples_per_prompt": 8,
            "max_new_tokens": 40,
            "evaluate_every": 10,
        },
        "evaluation": {
            "max_new_tokens": 50,
            "resamples": 10000,
            "rules": 100000,
            "dtype": "float32",
            "kl_questions": 1000,
        },
        "seeds": [0, 1, 2],
    },
}
"""Each profile is a spec fragment laid under the user's own."""


def make_spec(
    data: Mapping[str, Any], *, profile: str | None = "default", where: str = "spec"
) -> Spec:
    """A spec from nested mappings laid over its task's wishes, and they over a profile, if any.

    Raises InputError on the first mistake.
    """
    data, of_task = registry("task_readers")["spec"](up_to_date(data)[0])
    if profile is None:
        return Spec.model_validate(merged(of_task, data), context=where)
    if profile not in PROFILES:
        hint = did_you_mean(profile, PROFILES)
        raise InputError(
            f"profile: unknown profile {profile!r}; {hint}known: {', '.join(PROFILES)}"
        )
    return Spec.model_validate(merged(merged(PROFILES[profile], of_task), data), context=where)


def read_mapping(path: Path, what: str = "spec") -> dict[str, Any]:
    """The nested mapping in a YAML file, unchecked; `what` it is in messages.

    Raises InputError where there is none.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the path of a YAML {what}")
    if not path.exists():
        raise InputError(f"{path}: no such file; give the path of a YAML {what}")
    data = yaml_value(read_text(path), str(path))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InputError(
            f"{path}: a {what} is a mapping of keys to values, not {type(data).__name__}"
        )
    return data
