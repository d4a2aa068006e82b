"""The load test and the kill test in short: the real server in a process of its own.

Both go on until so much is done, however long a busy machine takes for it; the seconds only end what hangs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from paths import ROOT

pytest.importorskip("httpx2", reason="httpx2 is not installed")
sys.path.insert(0, str(ROOT / "benchmarks"))

from label_load import kills, load


def test_nothing_is_lost_or_doubled_under_load(tmp_path: Path) -> None:
    result = load(tmp_path, annotators=8, seconds=300.0, think=0.1, each=4)
    assert result["errors"] == {}
    assert (result["lost"], result["doubled"]) == (0, 0)
    # Every task once, however often it was sent; the first three annotators take one back each.
    assert result["acknowledged"] == result["rows"] == 8 * 4 + 3


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    result = kills(tmp_path, times=2, annotators=4)
    assert result["errors"] == {}
    assert (result["lost"], result["doubled"]) == (0, 0)
    assert result["acknowledged"] >= 10 and result["rows"] >= result["acknowledged"]
