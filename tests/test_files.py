"""Files are wholly new or as they were; links stay, and what is no file is written into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from truing.files import (
    append,
    is_stream,
    write_file_atomically,
    write_json_atomically,
    write_jsonl_atomically,
)
from truing.terminal import harmless
from truing.types import InputError
from waiting import LONG


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    target, link = tmp_path / "data" / "rows.jsonl", tmp_path / "link.jsonl"
    target.write_text("old")
    link.symlink_to(target)
    further = tmp_path / "further.jsonl"
    further.symlink_to("link.jsonl")
    for path in (link, further):
        write_jsonl_atomically(path, [{"to": path.name}])
        assert link.is_symlink() and further.is_symlink()
        assert target.read_text() == f'{{"to": "{path.name}"}}\n'
    assert [each.name for each in target.parent.iterdir()] == ["rows.jsonl"]


def test_a_link_to_nothing_makes_what_it_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "later" / "rows.jsonl")
    write_jsonl_atomically(link, [{"a": 1}])
    assert link.is_symlink() and (tmp_path / "later" / "rows.jsonl").read_text() == '{"a": 1}\n'
    ring = tmp_path / "ring"
    ring.symlink_to(ring)
    with pytest.raises(InputError, match="leads to itself"):
        write_jsonl_atomically(ring, [])


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    null = Path(os.devnull)
    before = os.stat(null)
    assert is_stream(null)
    write_jsonl_atomically(null, [{"a": 1}])
    assert os.stat(null).st_ino == before.st_ino and not null.is_file()
    link = tmp_path / "nowhere.jsonl"
    link.symlink_to(null)
    write_jsonl_atomically(link, [{"a": 1}])
    assert link.is_symlink() and os.stat(null).st_ino == before.st_ino


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_jsonl_atomically(pipe, [{"a": 1}])
    reader.join(LONG)
    assert read == ['{"a": 1}\n'] and pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_what_cannot_be_made_leaves_a_stream_alone(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        write_file_atomically(Path(os.devnull), fail)
    with pytest.raises(OSError):
        write_jsonl_atomically(Path("/dev/fd/987"), [{"a": 1}])


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("piped", [True, False])
def test_standard_output_goes_on_where_it_is(tmp_path: Path, name: str, piped: bool) -> None:
    code = (
        "import sys; from pathlib import Path; from truing.files import write_jsonl_atomically\n"
        f"write_jsonl_atomically(Path({name!r}), [{{'a': 1}}]); print('done')"
    )
    out = tmp_path / "out.txt"
    out.write_text("before\n")
    with open(out, "ab") as file:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE if piped else file,
            check=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    written = done.stdout.decode() if piped else out.read_text().removeprefix("before\n")
    assert written == '{"a": 1}\ndone\n' and out.read_text().startswith("before\n")


def test_no_json_that_is_written_acts_on_a_terminal_and_all_of_it_comes_back(
    tmp_path: Path,
) -> None:
    every = "".join(map(chr, range(0x3000)))
    record = {"answer": every}
    write_json_atomically(tmp_path / "a.json", record)
    write_jsonl_atomically(tmp_path / "a.jsonl", [record])
    append(tmp_path / "b.jsonl", record)
    for path in tmp_path.iterdir():
        text = path.read_bytes().decode("utf-8")
        assert text == harmless(text)
        assert json.loads(text) == record
        assert "é" in text
