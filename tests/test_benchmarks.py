"""Benchmarks name what is there: nothing else looks at them between two measurements."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from paths import ROOT

SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_every_name_of_truing_that_is_imported_is_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("truing"):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                submodule = f"{node.module}.{name.name}"
                assert hasattr(module, name.name) or importlib.import_module(submodule), name.name
