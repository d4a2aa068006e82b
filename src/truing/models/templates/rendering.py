"""Messages through a chat template, in another process that is ended where it takes too much."""

from __future__ import annotations

import atexit
import datetime
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.types import InputError

SECONDS = 5
"""Of processor time, for one rendering. A long conversation takes a few hundredths of one."""
MEMORY = 1 << 30
PATIENCE = 120.0
"""Seconds to wait for an answer where the system doesn't count a process's time (Windows)."""
MOST_CHARACTERS = 1 << 24
_SIGXCPU = int(getattr(signal, "SIGXCPU", 0))
_WORKER = Path(__file__).with_name("worker.py")
_RIGHT = "give the model a chat template that only writes messages down"


class TemplateRefusal(Exception):
    """A template that raises an error for these messages: for a system role mostly."""


@dataclass(frozen=True)
class ChatTemplate:
    """A template and the special tokens that it may write."""

    source: str
    special: tuple[tuple[str, str], ...] = ()

    def render(self, messages: Sequence[Mapping[str, str]], *, prompt: bool = True) -> str:
        """The text of some messages; `prompt` adds the beginning of the next answer.

        Raises TemplateRefusal with the template's own words, InputError where it takes too much.
        """
        request = {
            "template": self.source,
            "variables": {
                **dict(self.special),
                "messages": [dict(message) for message in messages],
                "add_generation_prompt": prompt,
            },
            "now": _now().isoformat(),
        }
        length = sum(len(text) for message in messages for text in message.values())
        answer = _worker.ask(request | {"most": max(MOST_CHARACTERS, 8 * length)})
        if "refused" in answer:
            raise TemplateRefusal(answer["refused"])
        if "text" in answer:
            return str(answer["text"])
        raise InputError(f"model: its chat template {_BEYOND[answer['beyond']]}; {_RIGHT}")


_BEYOND = {
    "time": f"takes more than {SECONDS} s of processor time",
    "memory": f"takes more than {MEMORY >> 20} MB of memory",
    "length": f"writes more than {MOST_CHARACTERS >> 20} million characters",
}


class _Worker:
    """The process, started when it is first needed and anew where it was ended or this one forked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request; a process that didn't answer is ended, and the limit named."""
        with self._lock:
            process = self._started()
            try:
                answer = self._exchanged(process, json.dumps(request) + "\n")
            except BaseException:
                self._end()
                raise
            if not answer:
                self._end()
                return {"beyond": "time" if process.returncode in (-_SIGXCPU, 1) else "memory"}
            return dict(json.loads(answer))

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self._owner = os.getpid()
            # -P keeps the working directory's files from being imported in place of libraries.
            command = [sys.executable, "-P", str(_WORKER), str(SECONDS), str(MEMORY)]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="ascii",  # JSON with everything else escaped
            )
        return self._process

    @staticmethod
    def _exchanged(process: subprocess.Popen[str], line: str) -> str:
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(line)
            process.stdin.flush()
        if _SIGXCPU:  # the system itself watches the time, and a template has nothing to wait for
            return process.stdout.readline()
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        try:
            return process.stdout.readline()
        finally:
            timer.cancel()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                assert stream is not None
                stream.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        if process.returncode is None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the process; another is started where one is needed again."""
        with self._lock:
            self._end()


_worker = _Worker()
atexit.register(_worker.close)
_as_of: list[datetime.datetime | None] = [None]


def _now() -> datetime.datetime:
    return _as_of[-1] or datetime.datetime.now()


@contextmanager
def as_of(moment: str | None) -> Iterator[None]:
    """Templates that write the date write this one (ISO 8601), in the local time, meanwhile.

    So all of a run has the date on which it was begun, and goes on with it another day. None: today's.
    """
    then = datetime.datetime.fromisoformat(moment).astimezone() if moment else None
    _as_of.append(then and then.replace(tzinfo=None))
    try:
        yield
    finally:
        _as_of.pop()
