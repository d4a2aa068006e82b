"""Tables from the Hugging Face hub, through the `datasets` library where it is installed.

Data only: from version 4 on the library runs no code that comes with a data set.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from truing.data.drafts import mistake
from truing.data.tables.table import Table
from truing.types import InputError

PREFIX = "hub:"
_FORM = "hub:org/name#split, or hub:org/name:config#split"
_NAME = re.compile(r"hub:([\w.-]+/[\w.-]+)(?::([^#]+))?(?:#(.*))?")
_OLDEST = 4
_INSTALL = "pip install 'truing[datasets]'"


def hub_table(source: str, where: str) -> Table:
    """The split that `source` names, fetched where it isn't in the library's cache yet.

    Raises InputError without the library, without a network, and for a name that the hub doesn't know.
    """
    place = f"{where}: {source}"
    parts = _NAME.fullmatch(source)
    if not parts:
        raise mistake(place, None, "", "not a name on the hub", f"write {_FORM}")
    name, config, split = parts.groups()
    if not split:
        raise mistake(place, None, "", "no split", f"write {_FORM}, such as {source}#train")
    library = _library(place)
    if Path(name).exists():  # which the library would read in place of the hub's
        wrong = f"a folder {name} stands here, which would be taken for it"
        raise mistake(place, None, "", wrong, "start in another folder")
    from truing.data.tables.arrow import arrow_table

    return arrow_table(source, _fetched(library, place, name, config, split))


def _library(place: str) -> Any:
    try:
        library = import_module("datasets")
    except ImportError:
        raise InputError(f"{place}: needs the datasets library: {_INSTALL}") from None
    version = str(getattr(library, "__version__", "0"))
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < _OLDEST:
        raise InputError(
            f"{place}: needs the datasets library {_OLDEST} or newer, not {version}: {_INSTALL}"
        )
    return library


def _fetched(library: Any, place: str, name: str, config: str | None, split: str) -> Any:
    library.disable_progress_bars()
    try:
        with _quiet("huggingface_hub", "datasets"):
            data = library.load_dataset(name, name=config, split=split)
            return data.with_format("arrow")[:]
    except Exception as error:  # whatever the library and the network raise becomes one message
        reason = " ".join(str(error).split())[:300]
        right = f"look at the name ({_FORM}) and the network, or name a file"
        raise mistake(place, None, "", f"can't be had from the hub ({reason})", right) from None


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Without warnings of each retry: the last word is ours."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
