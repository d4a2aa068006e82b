"""What the tests of the labelling page in a browser share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from label_site import Site
from page_server import running
from people_work import someone
from truing.people import Store
from truing.people.web import make_app


@pytest.fixture()
def site(sqlite_store: Store) -> Iterator[Site]:
    """A labelling page with a lead who is signed in nowhere yet."""
    lead = someone(sqlite_store, "Lea", role="lead")
    with running(make_app(sqlite_store)) as url:
        yield Site(sqlite_store, lead, url)
