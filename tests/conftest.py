"""What tests share: public data beside the project, a browser, how properties are searched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from paths import ROOT

# Before PyTorch is loaded: tiny models gain nothing from a second thread, and threads that spin while
# they wait make everything slow when something else runs beside the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from truing.people import Store

settings.register_profile(
    "truing",
    deadline=None,
    max_examples=60,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("truing")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the project. Skips the test where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no public data sets in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The system's Chromium or Chrome. Skips the test where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium on this machine")


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A headless browser that lives as long as the test run."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A sandbox can't be had as root, which is who runs tests in containers.
        launched = playwright.chromium.launch(
            executable_path=chromium_path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the test run. Skips without binaries."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    from postgres import running_server

    with running_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of people's work, on each database."""
    from truing.people import open_store

    url = str(tmp_path / "people.db")
    if request.param == "postgresql":
        from postgres import new_database

        url = new_database(request.getfixturevalue("postgres_server"))
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture()
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """An empty store in a file."""
    from truing.people import open_store

    opened = open_store(str(tmp_path / "people.db"))
    yield opened
    opened.close()
