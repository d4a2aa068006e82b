"""What every test of the server needs."""

from __future__ import annotations

import pytest

from truing.people.web import connections


@pytest.fixture(autouse=True)
def _all_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test's server may have had this process log what is alike once a minute."""
    monkeypatch.setattr(connections._ONCE_A_MINUTE, "_last", {})
