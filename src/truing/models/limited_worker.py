"""A process of our own that answers requests and is ended by the system where one takes too much.

For what comes with somebody's data and may take for ever: chat templates, regular expressions. The process
gets a request in a line of JSON, sets itself a limit of processor time, and answers in a line. Where it
ends instead, its limit was reached, and another is started for the next request.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE = 120.0
"""Seconds to wait for an answer where the system doesn't count a process's time (Windows)."""
_SIGXCPU = int(getattr(signal, "SIGXCPU", 0))


class LimitedWorker:
    """The process, started when it is first needed and anew where it was ended or this one forked."""

    def __init__(self, script: Path, seconds: int, memory: int) -> None:
        """`script` gets `seconds` (of processor time, a request) and `memory` (bytes) as arguments."""
        self.script, self.seconds, self.memory = script, seconds, memory
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        atexit.register(self.close)

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
            limits = (str(self.seconds), str(self.memory))
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(self.script), *limits],
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
        if _SIGXCPU:  # the system itself watches the time, and a request has nothing to wait for
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
