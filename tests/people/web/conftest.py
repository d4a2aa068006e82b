"""What the tests of the labelling page in a browser share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from label_site import Site
from people_work import someone
from truing.people import Store


@pytest.fixture()
def site(sqlite_store: Store) -> Iterator[Site]:
    """A labelling page with a lead who is signed in nowhere yet."""
    running = Site(sqlite_store, someone(sqlite_store, "Lea", role="lead"))
    yield running
    running.stop()
