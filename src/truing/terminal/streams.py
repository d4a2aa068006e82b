"""Standard output and standard error: prepared once, written to by lines, closed quietly."""

from __future__ import annotations

import codecs
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from truing.terminal.text import READABLE, harmless, readable


def prepare_streams() -> None:
    """From here on no character ends the program: what a terminal has no code for is written with signs
    that it has."""
    codecs.register_error(READABLE, readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=READABLE)


def say(text: str, *, error: bool = False) -> None:
    """One text on standard output, or standard error, at once; nothing in it acts on the terminal."""
    print(harmless(text), file=sys.stderr if error else sys.stdout, flush=True)


def say_defect() -> None:
    """The traceback of the exception that is being handled, on standard error."""
    say(traceback.format_exc().rstrip("\n"), error=True)


@contextmanager
def ends_quietly() -> Iterator[None]:
    """Whoever stops reading (`| head`) ends the program without a word: its last lines go nowhere."""
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)


def _flush(stream: TextIO | None) -> None:
    """Writes what is waiting. Otherwise the interpreter would at its end, and complain."""
    if stream is None:
        return
    try:
        stream.flush()
    except BrokenPipeError:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    except ValueError:
        pass  # closed by whoever called us
