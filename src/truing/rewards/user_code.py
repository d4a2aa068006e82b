"""Functions of the user's own: `path/to/file.py:function`, wherever a program may stand."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from truing.types import InputError, stable_hash


def is_user_function(name: str) -> bool:
    """Whether a program's name is that of a function in a file."""
    return ".py:" in name


def imported_function(name: str, where: str) -> Callable[..., Any]:
    """The function that `path/to/file.py:function` names. Importing the file runs it.

    Raises InputError, beginning with `where` the name stands, if there is no such file or function,
    or importing fails.
    """
    file, _, function_name = name.rpartition(":")
    if not Path(file).is_file():
        raise InputError(f"{where}: {file}: no such file; give path/to/file.py:function")
    function = getattr(_imported(file, where), function_name, None)
    if not callable(function):
        raise InputError(f"{where}: {file}: has no function '{function_name}'")
    return function  # type: ignore[no-any-return]


def _imported(file: str, where: str) -> ModuleType:
    module_name = f"truing_user_code_{stable_hash(str(Path(file).resolve()))[:16]}"
    specification = importlib.util.spec_from_file_location(module_name, file)
    assert specification is not None and specification.loader is not None, "the name ends in .py"
    module = importlib.util.module_from_spec(specification)
    sys.modules[module_name] = module  # dataclasses look their module up
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{where}: {file}: importing it failed ({type(error).__name__}: {error})"
        ) from error
    return module
