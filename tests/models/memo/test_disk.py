"""Stores on disk that several threads and processes use at once, of which some are killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from truing.models.memo import disk
from truing.models.memo.answers import Answer, AnswerStore
from truing.models.memo.file_systems import is_local
from truing.models.memo.scores import ScoreStore

PACK = 300
"""Scores that are added together."""


def test_other_threads_read_and_add(tmp_path: Path) -> None:
    answers, scores = AnswerStore(tmp_path / "answers.db"), ScoreStore(tmp_path / "scores.db")

    def work(number: int) -> tuple[Answer, float]:
        key = bytes([number]) * 32
        answers.add({key: Answer(f"answer {number}", True)})
        scores.add({key: number / 7})
        return answers.known([key])[key], scores.known([key])[key]

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(work, range(64)))
    assert done == [(Answer(f"answer {n}", True), n / 7) for n in range(64)]
    answers.close()
    scores.close()


def _keys(pack: int) -> list[bytes]:
    return [random.Random(pack * PACK + number).randbytes(32) for number in range(PACK)]


def _adding(path: Path) -> tuple[int, int]:
    """A process that adds packs for ever, and where it writes a byte behind each; it is killed."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        return pid, reading
    try:
        store = ScoreStore(path)
        for pack in range(256):
            store.add(dict.fromkeys(_keys(pack), float(pack)))
            os.write(writing, bytes([pack]))
    finally:
        os._exit(0)


@pytest.mark.parametrize("local", [True, False])
def test_what_was_added_is_there_though_its_process_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: bool
) -> None:
    monkeypatch.setattr(disk, "is_local", lambda folder: local)
    monkeypatch.setattr(disk, "_LOG_PAGES", 16)  # so that it dies while the log is written out, too
    path, told = tmp_path / "scores.sqlite", b""
    for wait in (0.02, 0.05):
        pid, reading = _adding(path)
        told = os.read(reading, 1)
        time.sleep(wait)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while more := os.read(reading, 4096):
            told += more
        os.close(reading)
        store = ScoreStore(path)
        for pack in range(len(told) + 2):
            known = store.known(_keys(pack))
            assert len(known) == PACK or (not known and pack >= len(told))
            assert set(known.values()) <= {float(pack)}
        store.add(dict.fromkeys(_keys(999), 0.5))
        assert store.known(_keys(999)[:1]) == {_keys(999)[0]: 0.5}
        store.close()
    mode = sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone()[0]
    assert mode == ("wal" if local else "delete")


def test_a_broken_file_is_put_aside_with_its_log(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"
    path.write_bytes(b"no database" * 1000)
    path.with_name("scores.sqlite-wal").write_bytes(b"no log")
    store = ScoreStore(path)
    store.add({b"k" * 32: 1.0})
    assert store.known([b"k" * 32]) == {b"k" * 32: 1.0}
    store.close()
    left = {each.name for each in tmp_path.iterdir()}
    assert left - {"scores.sqlite.broken-wal"} == {"scores.sqlite", "scores.sqlite.broken"}


def test_a_disk_that_others_may_use_is_told_from_one_s_own(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    (tmp_path / "a b" / "c").mkdir(parents=True)
    (tmp_path / "d").mkdir()
    escaped = str(tmp_path / "a b").replace(" ", "\\040")
    mounts.write_text(
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        f"23 22 0:44 / {escaped} rw - nfs4 server:/a rw\n"
        f"24 22 0:45 / {tmp_path / 'd'} rw - nfs4 server:/d rw\n"
        f"25 24 0:46 / {tmp_path / 'd'} rw - tmpfs tmpfs rw\n"
    )
    assert is_local(tmp_path, mounts) and is_local(tmp_path / "d", mounts)
    assert not is_local(tmp_path / "a b" / "c", mounts)
    assert is_local(tmp_path, tmp_path / "none")  # where the system doesn't say
