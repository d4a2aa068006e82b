"""Code in answers, run against tests: what it may do, and what ends it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from truing.rewards.program import program
from truing.rewards.reward import Answered, scored
from truing.types import Case, InputError, Score, Unscored

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")


def _scores(answers: list[str], tests: Any, **options: Any) -> list[Score]:
    options = {"column": "tests", "run_code": True, "seconds": 1} | options
    reward = program("unit_tests", options, "here", ["tests"])
    case = Case("Q?", columns={"tests": tests})
    return scored(reward, [Answered(case, answer) for answer in answers])


def _one(answer: str, tests: Any = "pass", **options: Any) -> Score:
    return _scores([answer], tests, **options)[0]


def _cut_off() -> bool:
    try:
        return _one("x = 1") == 1.0
    except InputError:
        return False


@pytest.fixture(scope="module", autouse=True)
def isolation() -> None:
    if not _cut_off():
        pytest.skip("this system can't cut code off from network and files")


def test_code_passes_its_tests_or_not() -> None:
    adds = "def f(x):\n    return x + 1\n"
    fenced = f"Like this:\n```python\n{adds}```\nIt adds one."
    answers = [adds, fenced, "def f(x): return x", "f", "An answer."]
    assert _scores(answers, "assert f(1) == 2") == [1.0, 1.0, 0.0, 0.0, 0.0]
    several = ["assert f(1) == 2", "assert f(2) == 4", "assert f(3) == 4", "import nothing"]
    assert _scores(answers, several) == [0.0] * 5
    assert _scores(answers, several, share=True) == [0.5, 0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("kind", ["def test_it(): {}", "import unittest\n{}"])
def test_tests_that_are_defined_are_run(kind: str) -> None:
    case = "class T(unittest.TestCase):\n    def test_it(self): {}"
    for value, score in ((1, 1.0), (2, 0.0)):
        asserted = f"assert x == {value}"
        own = case.format(asserted) if "unittest" in kind else asserted
        assert _one("x = 1", kind.format(own)) == score


FORBIDDEN = {
    "leaving early": "import os; os._exit(0)",
    "an exit": "import sys; sys.exit(0)",
    "the network": "import socket; socket.create_connection(('127.0.0.1', 22), 1)",
    "a port of this machine": "import socket; s = socket.create_connection(('localhost', PORT), 1)",
    "a file elsewhere": "open('ELSEWHERE/file', 'w').write('x')",
    "removing a file": "import os; os.remove('ELSEWHERE/there')",
    "a large file": "open('x', 'wb').write(b'x' * (1 << 21))",
    "much memory": "x = b'x' * (1 << 30)",
    "more memory for it": "import resource as r; r.setrlimit(r.RLIMIT_AS, (1 << 40,) * 2)",
    "writable again": "import ctypes; assert ctypes.CDLL(None).mount(b'', b'/', b'', 32, 0) == 0",
    "other processes": "import os; os.kill(PARENT, 0)",
    "installed packages": "import numpy",
    "the environment": "import os; assert os.environ['SECRET']",
    "a reply of its own": "import os; os.write(3, b'[1]'); os._exit(0)",
    "a flood of replies": "import os\nwhile True: os.write(3, b'x' * 10000)",
    "another process": "import os\nif os.fork() == 0: os._exit(0)",
    "another program": "import subprocess; subprocess.run(['true'])",
    "a thread": "import threading; threading.Thread(target=print).start()",
    "a call to the kernel": "import ctypes; assert ctypes.CDLL(None).syscall(NR_CLONE, 17, *[0] * 4) >= 0",
    "nesting": "(" * 100_000,
    "a null": "x = '\0'",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_code_can_not_do(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setenv("SECRET", "s")
    (tmp_path / "there").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = FORBIDDEN[what].replace("ELSEWHERE", str(tmp_path))
        code = code.replace("PORT", str(server.getsockname()[1]))
        code = code.replace("NR_CLONE", "56" if os.uname().machine == "x86_64" else "220")
        assert _one(code.replace("PARENT", str(os.getpid()))) == 0.0
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_code_can_do() -> None:
    assert _one("open('x', 'w').write('y')", "assert open('x').read() == 'y'") == 1.0
    assert _one("import json, math, re, collections, dataclasses, itertools, typing") == 1.0
    in_order = "import random\nx = random.random(), list({'a', 'b', 'c', 'd', 'e'})"
    same = "import random; random.seed(0)\nassert x[0] == random.random()"
    assert _one(in_order, same) == 1.0


def test_code_that_never_returns_is_ended() -> None:
    endless = "while True:\n    pass"
    assert _scores([endless, "x = 1"], "assert x == 1") == [0.0, 1.0]
    stopped = Unscored("the code was stopped at a limit, or ended its process")
    assert _one(endless, over_limit="unscored") == stopped
    assert _one("x = 1", "while x: pass") == 0.0


def test_a_test_that_is_no_python_is_no_fault_of_the_answer() -> None:
    score = _one("x = 1", "def (")
    assert isinstance(score, Unscored) and "a test of the case is no Python" in score.reason


@pytest.mark.parametrize("tests", [3, None, {"assert": 0}, ["assert x == 1", 3], [None]])
def test_what_is_no_test_is_not_passed(tests: Any) -> None:
    assert isinstance(_one("x = 1", tests), Unscored)
    assert isinstance(_one("x = 1", ["", " "]), Unscored)


def test_where_code_can_not_be_cut_off_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from truing.rewards import unit_tests

    def refused(request: str, patience: float) -> bytes:
        import json

        token = json.loads(request)["token"]
        return json.dumps({"open": "unshare: Operation not permitted", "token": token}).encode()

    monkeypatch.setattr(unit_tests, "_exchanged", refused)
    with pytest.raises(InputError, match=r"can't cut code off .*unshare: Op.*set isolated: false"):
        _one("x = 1")


def test_without_isolation_limits_of_time_and_memory_hold() -> None:
    assert _one("x = 1", isolated=False) == 1.0
    assert _one("while True: pass", isolated=False) == 0.0
    assert _one("x = b'x' * (1 << 30)", isolated=False) == 0.0
    assert _one(FORBIDDEN["another process"], isolated=False) == 0.0
