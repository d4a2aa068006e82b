"""The process in which the code of one answer is run against tests; started as a file, with nothing loaded.

What it does before any of that code runs: it leaves for namespaces of its own (no network, no other
processes, every file read-only but for an empty folder in memory), gives up all privileges, and sets limits
that it can't raise again. The request is a line of JSON, and so is the reply; between them the code has
neither input nor output. Code and tests share one interpreter: code that searches its own process can
pretend to have passed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import resource
import struct
import sys
import unittest
from typing import Any

_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = (
    *(0x00020000, 0x08000000, 0x10000000),
    *(0x20000000, 0x40000000),
)
_MOUNT_SETATTR, _HERE, _RECURSIVE, _READ_ONLY, _PRIVATE = 442, -100, 0x8000, 1, 1 << 18
_NO_SUID_NO_DEVICES = 2 | 4
_NO_NEW_PRIVILEGES, _CAPABILITIES = 38, 0x20080522
_SECCOMP, _FILTER, _TRY_AGAIN = 22, 2, 0x00050000 | 11
_STARTS: dict[str, tuple[int, tuple[int, ...]]] = {
    "x86_64": (0xC000003E, (56, 57, 58, 435)),
    "aarch64": (0xC00000B7, (220, 435)),
}
"""By machine: its number for the kernel, and its calls that start a process or a thread."""
_OTHER_CALLS = 0x40000000
"""From here on x86_64 has its calls once more, for programs with short pointers."""
_FOLDER_BYTES = 16 << 20
_FILE_BYTES = 1 << 20
_FILES = 32
_SOCKETS = ("/run", "/var/run")
"""Folders whose sockets lead to other programs; they are empty for the code."""


def _must(result: int, what: str) -> None:
    if result != 0:
        raise OSError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _leave(folder: str) -> None:
    """Into namespaces of its own, where `folder` alone can be written to. Raises OSError where it can't."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    new = _NEW_USER | _NEW_MOUNTS | _NEW_NETWORK | _NEW_IPC | _NEW_PROCESSES
    _must(libc.unshare(new), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"1000 {user} 1")
    _write("/proc/self/gid_map", f"1000 {group} 1")
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, _PRIVATE, 0)
    size = ctypes.sizeof(attributes)
    numbers = (ctypes.c_long(_MOUNT_SETATTR), ctypes.c_int(_HERE), b"/", ctypes.c_uint(_RECURSIVE))
    _must(libc.syscall(*numbers, attributes, ctypes.c_size_t(size)), "mount_setattr")
    sockets = [each for each in _SOCKETS if os.path.isdir(each) and not os.path.islink(each)]
    for place, bytes_of_it in ((folder, _FOLDER_BYTES), *((each, 4096) for each in sockets)):
        options = f"size={bytes_of_it},mode=0700".encode()
        in_memory = (b"tmpfs", place.encode(), b"tmpfs", ctypes.c_ulong(_NO_SUID_NO_DEVICES))
        _must(libc.mount(*in_memory, options), f"mount {place}")
    os.chdir(folder)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _without_privileges() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _must(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
    header, nothing = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    _must(libc.capset(header, nothing), "capset")


def _load(offset: int) -> bytes:
    return struct.pack("=HBBI", 0x20, 0, 0, offset)


def _unless(code: int, number: int, skipped: int) -> bytes:
    """Goes on behind `skipped` instructions where the comparison holds, else with the next."""
    return struct.pack("=HBBI", code, skipped, 0, number)


def _without_processes() -> None:
    """No process or thread can be started any more, whoever runs this: RLIMIT_NPROC doesn't hold for root.

    The kernel is given a program that looks at each call's machine and number. Raises OSError where that
    can't be.
    """
    if os.uname().machine not in _STARTS:
        raise OSError(f"processes can't be forbidden on {os.uname().machine}")
    machine, starts = _STARTS[os.uname().machine]
    equal, at_least, give = 0x15, 0x35, 0x06
    tests = [_unless(at_least, _OTHER_CALLS, len(starts) + 1)]
    tests += [_unless(equal, call, len(starts) - n) for n, call in enumerate(starts)]
    program = b"".join(
        (
            *(_load(4), _unless(equal, machine, 1), struct.pack("=HBBI", give, 0, 0, _TRY_AGAIN)),
            *(_load(0), *tests),
            struct.pack("=HBBI", give, 0, 0, 0x7FFF0000),
            struct.pack("=HBBI", give, 0, 0, _TRY_AGAIN),
        )
    )
    text = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    _must(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
    _must(libc.prctl(_SECCOMP, _FILTER, ctypes.c_char_p(header), 0, 0), "seccomp")


def _limit(request: dict[str, Any]) -> None:
    """Hard limits: processor time, memory, size and number of files, no further process or thread."""
    seconds, memory = request["seconds"], request["memory"]
    for name, amount in (
        ("RLIMIT_CORE", 0),
        ("RLIMIT_FSIZE", _FILE_BYTES),
        ("RLIMIT_NOFILE", _FILES),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_CPU", seconds),
        ("RLIMIT_AS", memory),
    ):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # what this system hasn't
            resource.setrlimit(getattr(resource, name), (amount, amount))


def _passed(code: str, tests: list[str]) -> dict[str, Any]:
    """How many of the tests pass; none where the code itself fails."""
    try:
        compiled = [compile(test, f"test {n}", "exec") for n, test in enumerate(tests)]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"wrong": f"{type(error).__name__}: {error}"}
    random.seed(0)
    names: dict[str, Any] = {"__name__": "answer"}
    if not _goes(lambda: exec(compile(code, "answer", "exec"), names)):
        return {"passed": 0}
    return {"passed": sum(_goes(lambda test=test: _run(test, dict(names))) for test in compiled)}


def _run(test: Any, names: dict[str, Any]) -> None:
    """A test's statements, then what it defines: functions called test_*, and unittest's test cases."""
    before = dict(names)
    exec(test, names)
    for name, thing in names.items():
        if before.get(name) is thing:
            continue
        if isinstance(thing, type) and issubclass(thing, unittest.TestCase):
            result = unittest.TestResult()
            unittest.defaultTestLoader.loadTestsFromTestCase(thing).run(result)
            assert result.wasSuccessful() and result.testsRun
        elif name.startswith("test_") and callable(thing):
            thing()


def _goes(action: Any) -> bool:
    try:
        action()
    except BaseException:  # an exit, too, is a test that isn't passed
        return False
    return True


def _in_limits(request: dict[str, Any], reply: int) -> None:
    """Runs the code, in the process that has only this to do, and ends it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    _limit(request)
    outcome = _passed(request["code"], request["tests"]) | {"token": request["token"]}
    os.write(reply, json.dumps(outcome).encode())
    os._exit(0)


def main() -> None:
    """One request, one reply. Without isolation, where that is asked for, it says so and runs nothing."""
    request = json.loads(sys.stdin.readline())
    reply = os.dup(1)
    try:
        if request["isolated"]:
            _leave(os.getcwd())
    except (OSError, AttributeError) as error:
        os.write(reply, json.dumps({"open": str(error), "token": request["token"]}).encode())
        return
    child = os.fork()  # the first process of the namespace: when it ends, all others in it do
    if child:
        os.close(reply)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    try:
        _without_processes()
    except (OSError, AttributeError) as error:
        if request["isolated"] and os.getuid() == 0:  # another's are limited all the same
            os.write(reply, json.dumps({"open": str(error), "token": request["token"]}).encode())
            os._exit(0)
    if request["isolated"]:
        _without_privileges()
    _in_limits(request, reply)


if __name__ == "__main__":
    main()
