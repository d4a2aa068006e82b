"""What a shell can complete: names that are known without a model being loaded.

`truing --install-completion` sets it up. Each function gives the names that begin with what was typed;
where it gives none, the shell completes files.
"""

from __future__ import annotations

from collections.abc import Iterable


def _begins(names: Iterable[str], typed: str) -> list[str]:
    return [name for name in names if name.startswith(typed)]


def _methods() -> list[str]:
    """As the spec's schema lists them: the modules that know them take seconds to load."""
    import json
    from importlib.resources import files

    text = files("truing.spec").joinpath("spec.schema.json").read_text(encoding="utf-8")
    return list(json.loads(text)["properties"]["methods"]["items"]["enum"])


def tasks(incomplete: str) -> list[str]:
    """Built-in tasks."""
    from truing.tasks import TASKS

    return _begins(TASKS, incomplete)


def models(incomplete: str) -> list[str]:
    """Models of the catalogue."""
    from truing.models.weights.catalogue import CATALOGUE

    return _begins(CATALOGUE, incomplete)


def methods(incomplete: str) -> list[str]:
    """Methods of a comparison."""
    return _begins(_methods(), incomplete)


def trainings(incomplete: str) -> list[str]:
    """What can be trained alone."""
    return _begins(("sft", "preference", "rl", "reward", "prompt", "judge"), incomplete)


def profiles(incomplete: str) -> list[str]:
    """Profiles of a run."""
    from truing.spec.reading import PROFILES

    return _begins(PROFILES, incomplete)


def devices(incomplete: str) -> list[str]:
    """Devices. Which are here only PyTorch knows, which takes seconds to load."""
    return _begins(("auto", "cpu", "cuda", "mps"), incomplete)


def evaluations(incomplete: str) -> list[str]:
    """Evaluations."""
    from truing.evaluate import EVALUATIONS

    return _begins(EVALUATIONS, incomplete)


def prompts(incomplete: str) -> list[str]:
    """Prompts that candidates are asked under."""
    from truing.prompts.variants import KNOWN

    return _begins(KNOWN, incomplete)


def exports(incomplete: str) -> list[str]:
    """Forms of rows for other programs."""
    from truing.evaluate.sweep.exports import EXPORTS

    return _begins(EXPORTS, incomplete)


def maps(incomplete: str) -> list[str]:
    """Built-in maps of the grid world."""
    from truing.grid.map import BUILT_IN

    return _begins(BUILT_IN, incomplete)
