"""What the doctor says of a machine."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from truing.models import precision
from truing.recipes import doctor
from truing.recipes.doctor import Check


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))


def by_name() -> dict[str, Check]:
    checks = doctor.doctor()
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def test_every_check_has_something_to_say(tmp_path: Path) -> None:
    (tmp_path / "cache" / "models").mkdir(parents=True)
    (tmp_path / "cache" / "models" / "weights").write_bytes(bytes(3_000_000))
    checks = by_name()
    assert all(check.seen for check in checks.values())
    assert list(checks)[:5] == ["versions", "processor", "precision", "threads", "card"]
    assert f"{tmp_path / 'cache'}: 3 MB" in checks["cache"].seen
    assert "none here yet" in checks["models"].seen and checks["models"].ok


def test_the_precision_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "substitution", lambda dtype: f"{dtype}: slow here.")
    check = by_name()["precision"]
    assert check.seen == "float32: bfloat16: slow here." and check.ok


Memory = namedtuple("Memory", "available total")


@pytest.mark.parametrize(("available", "ok"), [(8 * 10**9, True), (10**9, False)])
def test_memory(available: int, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(available, 16 * 10**9)
    monkeypatch.setattr("truing.recipes.doctor.psutil.virtual_memory", lambda: memory)
    check = by_name()["memory"]
    assert check.ok is ok and "of 16.0 GB" in check.seen
    assert ok or "close other programs" in check.advice


@pytest.mark.parametrize(
    ("threads", "load", "advice"), [(4, 0.1, "OMP_NUM_THREADS=2"), (2, 1.9, "busy"), (2, 0.3, "")]
)
def test_threads(threads: int, load: float, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_cores", lambda: 2)
    monkeypatch.setattr(doctor, "_load", lambda: load)
    check = doctor._threads(threads)
    assert advice in check.advice and check.ok is not bool(advice)


def test_a_cache_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "file" / "cache"))
    check = doctor._cache()
    assert not check.ok and "set TRUING_CACHE" in check.advice


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage: Any = SimpleNamespace(free=10**8)
    monkeypatch.setattr("truing.recipes.doctor.shutil.disk_usage", lambda folder: usage)
    assert "little room" in doctor._cache().advice


def test_a_terminal_with_few_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, ok in (("UTF-8", True), ("utf8", True), ("latin-1", False), (None, False)):
        monkeypatch.setattr("sys.stdout", SimpleNamespace(encoding=encoding))
        assert doctor._terminal().ok is ok
