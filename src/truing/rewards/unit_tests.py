"""Code in answers, run against tests of the case: in a process of its own that can do next to nothing.

Running what a model wrote is dangerous, so it takes a key of its own in the spec (`run_code: true`). The
code never runs in this process: see code_worker.py for what the other one may do. Where the system can't
cut it off from the network and from files, nothing is run unless the spec says `isolated: false`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from truing.rewards.answer_program import Program, in_column, last_block
from truing.rewards.reward import Answered
from truing.types import InputError, Score, Unscored

_SCRIPT = Path(__file__).with_name("code_worker.py")
_MOST_REPLY = 1 << 16
_STARTING = 5.0
"""Seconds of waiting beyond twice the processor time: code that sleeps is stopped, too."""


class UnitTests(Program):
    """1 where the answer's code passes every test of the case, else 0.

    The code is the answer's last block between lines of three backticks, or all of it. A test is Python
    text: statements that raise where something is wrong (`assert`), functions called `test_...`, or
    unittest's cases.
    """

    column: str = Field(
        min_length=1, description="the column of the data with each case's tests: a text, or a list"
    )
    run_code: bool = Field(
        False, description="must be true: what the model wrote is run on this machine, in limits"
    )
    seconds: int = Field(
        5, ge=1, le=600, description="processor time for code and tests of an answer"
    )
    memory_mb: int = Field(512, ge=64, description="memory for them")
    share: bool = Field(False, description="the share of its tests that pass, in place of all or 0")
    over_limit: Literal["fails", "unscored"] = Field(
        "fails", description="whether code that is stopped at a limit has 0, or no score"
    )
    isolated: bool = Field(
        True,
        description="run nothing where the system can't cut code off from network and files; false: with "
        "limits of time, memory and file size alone",
    )

    @model_validator(mode="after")
    def _is_wanted(self) -> UnitTests:
        if not self.run_code:
            raise ValueError("runs what the model wrote on this machine; say run_code: true for it")
        return self

    @property
    def asks_for(self) -> str:
        """See Program."""
        return self.column

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        """See Reward; as many answers at once as there are cores."""
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(self.score, answers))

    def score(self, answered: Answered) -> Score:
        """See Program; unscored where the case has no tests, or one that isn't Python."""
        given = in_column(answered, self.column)
        if isinstance(given, Unscored):
            return given
        tests = given if isinstance(given, list) else [given]
        if not all(isinstance(each, str) for each in tests):  # 3 is Python, too, that never fails
            return Unscored(f"the case's {self.column!r} is neither a text nor a list of texts")
        tests = [each for each in tests if each.strip()]
        if not tests:
            return Unscored("the case has no tests")
        reply = self._reply(last_block(answered.answer), tests)
        if "open" in reply:
            raise InputError(
                f"reward: unit_tests: this system can't cut code off from network and files "
                f"({reply['open']}); set isolated: false to run it with limits of time and memory alone"
            )
        if "wrong" in reply:
            return Unscored(f"a test of the case is no Python ({reply['wrong']})")
        if reply.get("stopped") and self.over_limit == "unscored":
            return Unscored("the code was stopped at a limit, or ended its process")
        passed = reply.get("passed", 0)
        if type(passed) is not int or not 0 <= passed <= len(tests):  # the code changed it
            return 0.0
        return passed / len(tests) if self.share else float(passed == len(tests))

    def _reply(self, code: str, tests: list[str]) -> dict[str, Any]:
        """What the process says of the code; `stopped` where it was ended before it could."""
        if sys.platform == "win32":
            return {"open": "Windows has no limits of processes"}
        request = {
            "code": code,
            "tests": tests,
            "seconds": self.seconds,
            "memory": self.memory_mb << 20,
            "isolated": self.isolated,
            "token": secrets.token_hex(
                16
            ),  # no choice: it tells the reply from what the code writes
        }
        line = _exchanged(json.dumps(request) + "\n", 2 * self.seconds + _STARTING)
        try:
            reply = json.loads(line)
        except ValueError:
            return {"stopped": True}
        honest = isinstance(reply, dict) and reply.get("token") == request["token"]
        return reply if honest else {"passed": 0}


def _exchanged(request: str, patience: float) -> bytes:
    """The reply of a process of its own to one request; all that it started is ended with it."""
    with tempfile.TemporaryDirectory(prefix="truing-code-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            # Neither the working directory nor installed packages can be imported.
            [sys.executable, "-P", "-s", "-S", "-B", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={"PYTHONHASHSEED": "0", "HOME": folder, "TMPDIR": folder},
            start_new_session=True,
        )
        timer = threading.Timer(patience, _end, [process])
        timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None
            with suppress(BrokenPipeError):
                process.stdin.write(request.encode("ascii"))
                process.stdin.close()
            return process.stdout.read(_MOST_REPLY)
        finally:
            timer.cancel()
            _end(process)
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    assert stream is not None
                    stream.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its whole group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
