"""Files that are either as they were or wholly new, whenever the program is killed."""

from __future__ import annotations

import codecs
import errno
import gzip
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from truing.types import InputError


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last through a power cut. Not every system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def _descriptor(path: Path) -> int | None:
    """The open file of ours that a path such as /dev/stdout stands for, if it does."""
    name = os.path.abspath(path)
    match = re.fullmatch(r"(?:/dev|/proc/self)/fd/(\d+)", name)
    return int(match[1]) if match else _STANDARD.get(name)


def is_stream(path: Path) -> bool:
    """Whether what is written to a path flows on: an open file of ours, a device, a pipe."""
    if _descriptor(path) is not None:
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _write_into(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file, and copy what is in it into a stream."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        write(made)
        descriptor = _descriptor(path)
        sys.stdout.flush()  # what was printed before comes before
        # As it was opened: opened anew, a file that is appended to would begin again.
        target = str(path) if descriptor is None else os.dup(descriptor)
        with open(target, "wb") as stream, open(made, "rb") as source:
            shutil.copyfileobj(source, stream)


def write_file_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file under a temporary name, then put it in the place of `path`.

    A link stays, and the file that it leads to is replaced; what is no file (a device, a pipe, standard
    output) is written into. The parent folder is made if need be. Raises what `write` raises (OSError on
    a full disk, say), leaving no trace then, and InputError where a folder or a link to itself is in the
    place.
    """
    if is_stream(path):
        _write_into(path, write)
        return
    if path.is_symlink():
        link, path = path, Path(os.path.realpath(path))
        if path.is_symlink():
            raise InputError(f"{link}: a link that leads to itself; remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same folder, because a rename is only atomic within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, IsADirectoryError) and path.is_dir():
            raise InputError(
                f"{path}: a folder is there, where a file is to be; remove it"
            ) from None
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # a full disk doesn't name the file
        raise
    sync_folder(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends; see `write_file_atomically`."""
    write_file_atomically(path, lambda file: file.write_bytes(text.encode("utf-8")))


def write_json_atomically(path: Path, data: Any) -> None:
    """Write one JSON document atomically, indented. Raises ValueError on NaN or infinity."""
    write_text_atomically(path, _dumps(data, indent=2) + "\n")


def write_jsonl_atomically(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically. Raises ValueError on NaN or infinity."""
    write_text_atomically(path, jsonl(records))


def jsonl(records: Iterable[Mapping[str, Any]]) -> str:
    """One JSON object a line. Raises ValueError on NaN or infinity."""
    return "".join(_line(record) for record in records)


# What JSON leaves as it is and a terminal obeys, or breaks a line at (see terminal/text.py).
_ACTIVE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _dumps(data: Any, indent: int | None = None) -> str:
    text = json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, from a user's file: escaped, it is kept
        return json.dumps(data, indent=indent, allow_nan=False)
    return _ACTIVE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _line(record: Mapping[str, Any]) -> str:
    return _dumps(record) + "\n"


def append(path: Path, *records: Mapping[str, Any]) -> None:
    """Add JSON objects to a JSONL file, one a line, and make them last.

    A last line without its line break (we were killed while writing it) is cut off first. Raises
    ValueError on NaN or infinity, before anything is written.
    """
    text = "".join(_line(record) for record in records).encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def is_disk_full(error: BaseException) -> bool:
    """True where the error says that the disk is full, in whichever library's words.

    safetensors wraps the operating system's error in one of its own, with the number in the text.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(words in str(error) for words in ("No space left on device", "os error 28"))


# --- The one door for text files ----------------------------------------------------------------

DEEPEST = 200
"""Levels that JSON may nest: some 100 are the most that a real file has, and programs recurse."""
MOST_DIGITS = 308
"""Digits of an integer: a float holds no more."""


class NotJSONError(ValueError):
    """A text isn't JSON: why, and where in the text (both from 1; 0 where that isn't known)."""

    def __init__(self, reason: str, line: int = 0, column: int = 0) -> None:
        """See the class."""
        super().__init__(reason)
        self.line, self.column = line, column


_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_IS_UTF_16 = "UTF-16, by its first two bytes; save the file as UTF-8"


def refuse_constant(name: str) -> float:
    """Refuses NaN and Infinity, which Python takes for JSON."""
    raise ValueError(f"{name} isn't JSON")


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


def one_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values. Raises ValueError for a key that stands twice.

    Python keeps the last of them, and what the others say would be lost.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"the key {again!r} stands twice in an object")
    return found


def json_value(
    text: str,
    parse_constant: Callable[[str], Any] | None = refuse_constant,
    *,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The value of a JSON text, neither nested too deeply nor with integers too large to count with.

    A key that stands twice in an object is let pass, as published models have such files, unless
    `object_pairs_hook` is `one_of_each`. Raises NotJSONError.
    """
    try:
        value = json.loads(
            text,
            parse_constant=parse_constant,
            parse_int=_integer,
            object_pairs_hook=object_pairs_hook,
        )
    except json.JSONDecodeError as error:
        raise NotJSONError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise NotJSONError("nested too deeply") from None
    except ValueError as error:
        raise NotJSONError(str(error)) from None
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(value):
        raise NotJSONError("nested too deeply")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        lists = [each for each in level if isinstance(each, dict | list)]
        level = [
            each for some in lists for each in (some.values() if isinstance(some, dict) else some)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def decoded(file: str, data: bytes) -> str:
    """The text in the bytes of a file: UTF-8, with or without a byte order mark; line ends as they are.

    Raises InputError naming the line that is something else.
    """
    if data.startswith(_UTF_16):
        raise InputError(f"{file}:1: {_IS_UTF_16}")
    if 3 * data[:200].count(0) > len(data[:200]):
        raise InputError(f"{file}:1: every other byte is 0, as in UTF-16; save the file as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        wrong = f"not UTF-8 (byte 0x{data[error.start]:02x})"
        raise InputError(f"{file}:{line}: {wrong}; save the file as UTF-8") from None


def unix_line_ends(text: str) -> str:
    """The text with a line feed at the end of every line, also where there was a carriage return alone."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of each line that has anything in it."""
    # Not splitlines: a text may hold a Unicode line separator, which ends no line of a file.
    for number, line in enumerate(unix_line_ends(text).split("\n"), 1):
        if line.strip():
            yield number, line


def read_text(path: Path) -> str:
    """The UTF-8 text of a file, without byte order mark, with Unix line ends.

    Raises InputError where it can't be read as such.
    """
    try:
        return unix_line_ends(decoded(str(path), path.read_bytes()))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read as UTF-8 text ({error})") from None


def read_bytes(path: Path) -> bytes:
    """What is in a file, unpacked where it ends in .gz. Raises InputError where it can't be read."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be read ({error})") from None


def read_json_line(line: bytes) -> Any:
    """The JSON value in one line of a file. Raises InputError with what is wrong, without the place."""
    if line.startswith(_UTF_16):
        raise InputError(_IS_UTF_16)
    try:
        return json_value(line.decode("utf-8"), object_pairs_hook=one_of_each)
    except UnicodeDecodeError as error:
        raise InputError(f"not valid UTF-8 (byte {error.start + 1} of the line)") from None
    except NotJSONError as error:
        raise InputError(f"not valid JSON ({error})") from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises InputError naming file and line where there is none."""
    try:
        data = json_value(read_text(path))
    except NotJSONError as error:
        place = f"{path}:{error.line}" if error.line else str(path)
        raise InputError(f"{place}: not valid JSON ({error})") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: must hold a JSON object, not {type(data).__name__}")
    return data


def numbered_jsonl(path: Path, *, torn_end: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1) and JSON objects of a JSONL file; blank lines are passed over.

    `torn_end` forgives a broken last line that has no line break: the writer was killed there.
    Raises InputError naming file and line.
    """
    text = read_text(path)
    last = text.count("\n") + 1
    for number, line in numbered_lines(text):
        try:
            record = json_value(line)
        except NotJSONError as error:
            if torn_end and number == last:
                return
            raise InputError(f"{path}:{number}: not valid JSON ({error})") from None
        if not isinstance(record, dict):
            raise InputError(
                f"{path}:{number}: each line is a JSON object, not {type(record).__name__}"
            )
        yield number, record


def read_jsonl(path: Path, *, torn_end: bool = False) -> list[dict[str, Any]]:
    """The JSON objects of a JSONL file. Raises InputError as `numbered_jsonl` does."""
    return [record for _, record in numbered_jsonl(path, torn_end=torn_end)]
