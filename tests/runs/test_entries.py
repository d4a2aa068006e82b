"""What killed processes leave in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from truing.runs.entries import remove_left_behind


def test_temporary_files_go_when_their_writer_is_dead(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    parent = tmp_path / "rows" / "trivia"
    parent.mkdir(parents=True)
    left = parent / f".sft.jsonl.{dead.pid}-0123abcd.tmp"
    reused = parent / f".sft.jsonl.{os.getpid()}-0123abcd.tmp"
    written = parent / f".rl.jsonl.{os.getpid()}-0123abcd.tmp"
    others = parent / ".notes.tmp"
    for path in (left, reused, written, others):
        path.write_text("{")
    os.utime(reused, (1e9, 1e9))  # older than this process: another had its number
    remove_left_behind(tmp_path)
    assert sorted(parent.iterdir()) == [others, written]
    remove_left_behind(tmp_path / "nowhere")
