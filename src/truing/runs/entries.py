"""What lies in a folder that anybody may have changed, and what killed processes left in it."""

from __future__ import annotations

import re
import stat
from contextlib import suppress
from pathlib import Path

import psutil

from truing.types import InputError

_TEMPORARY = re.compile(r"\..+\.(?P<process>\d{1,9})-[0-9a-f]{8}\.tmp")
"""Names of files that are being written; see `write_file_atomically`."""


def is_file(path: Path) -> bool:
    """Whether a file is there; a link to one is. Raises InputError where something else is, or nobody
    may look."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not path.is_symlink():
            return False
        raise InputError(f"{path}: a link to a file that isn't there; put the file back") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: must be a file; something else is there")
    return True


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted; nothing where there is no such folder.

    Unlike glob's, a folder that can't be read isn't an empty one. Raises InputError then.
    """
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        if not folder.is_symlink():
            return []
        raise InputError(f"{folder}: a link to nothing; put the folder back") from None
    except OSError as error:
        raise InputError(f"{folder}: can't be read as a folder ({error.strerror})") from None


def remove_left_behind(folder: Path) -> None:
    """Removes temporary files below a folder whose writer was killed, as far as the system lets us."""
    with suppress(OSError):
        for path in folder.rglob(".*.tmp"):
            match = _TEMPORARY.fullmatch(path.name)
            with suppress(OSError):
                if match and not _writing(int(match["process"]), path.stat().st_mtime):
                    path.unlink()


def _writing(process: int, when: float) -> bool:
    """Whether a process was there at that time and still is; a later one may have its number."""
    try:
        return psutil.Process(process).create_time() <= when + 1
    except psutil.Error:
        return False
