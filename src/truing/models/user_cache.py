"""The user's cache folder: where it is, one process at a time, whole files only, hashes kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from truing.files import is_disk_full, write_json_atomically
from truing.progress import Progress
from truing.types import InputError, stable_hash

MOST_REMEMBERED = 1000
BLOCK_BYTES = 1 << 20


class ModelUnavailable(Exception):
    """The machine or the network can't give the model now: no network, no room on the disk.

    Not the user's mistake: ends the command with exit code 1 and this one message, no traceback.
    """


def cache_folder() -> Path:
    """The folder for everything that can be made again: $TRUING_CACHE, else the user's cache.

    Raises InputError where it can't be made.
    """
    named = os.environ.get("TRUING_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(named).expanduser() if named else Path(base).expanduser() / "truing"
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def _unwritable(folder: Path, error: OSError) -> Exception:
    if is_disk_full(error):
        return ModelUnavailable(f"cache: the disk is full: {folder}; make room and try again")
    return InputError(
        f"cache: {folder} can't be written ({error.strerror}); "
        "set TRUING_CACHE to a folder that you may write to"
    )


@contextmanager
def one_process(name: str, progress: Progress) -> Iterator[None]:
    """Hold the lock called `name`; where another process has it, say so and wait.

    The operating system frees the lock when its holder dies, however it dies.
    """
    folder = cache_folder() / "locks"
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            progress.note(f"Another process is preparing {name}; waiting for it to finish.")
            lock.acquire()
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def room_for(what: str, folder: Path, needed: int) -> Iterator[None]:
    """Refuse to begin without `needed` free bytes in `folder`; name the need if they run out.

    Raises ModelUnavailable.
    """
    free = shutil.disk_usage(folder).free
    message = (
        f"{what}: disk full: about {needed / 1e6:,.0f} MB are needed in {folder}, {{}} free; "
        "make room or set TRUING_CACHE to a folder on a larger disk, then try again"
    )
    if free < needed:
        raise ModelUnavailable(message.format(f"{free / 1e6:,.0f} MB are"))
    try:
        yield
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise ModelUnavailable(message.format("too few were")) from error


def bytes_in(folder: Path) -> int:
    """Bytes of the files below a folder, links not followed; what vanishes meanwhile doesn't count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def file_sha256(path: Path) -> str:
    """64 hexadecimal digits of the file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def flush_folder(folder: Path) -> None:
    """Flush every file of the folder, and the folder, to the disk."""
    for path in [*(p for p in folder.rglob("*") if p.is_file()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def weights_hash(folder: Path, progress: Progress) -> str:
    """One hash of all safetensors files of a folder, by name and content.

    A file is read again only when its path, size or time of change differs from last time.
    """
    memory = cache_folder() / "hashes.json"
    known = remembered(memory)
    fresh: dict[str, str] = {}
    parts: list[str] = []
    for path in sorted(folder.glob("*.safetensors")):
        status = path.stat()
        key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        if key not in known:
            with progress.task(f"Hashing {path.name}"):
                fresh[key] = file_sha256(path)
        parts += [path.name, known.get(key) or fresh[key]]
    if fresh:
        remember(memory, fresh)
    return stable_hash("weights", *parts)


def remembered(memory: Path) -> dict[str, str]:
    """What a small file of the cache says; nothing where it isn't there or broken."""
    try:
        data = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str)}


def remember(memory: Path, fresh: Mapping[str, str]) -> None:
    """Adds to such a file; of more than it holds, the oldest leave."""
    kept = list({**remembered(memory), **fresh}.items())[-MOST_REMEMBERED:]
    # A cache that can't be written costs time, nothing else.
    with suppress(OSError, InputError):
        write_json_atomically(memory, dict(kept))
