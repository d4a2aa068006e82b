"""What tests share: public data beside the project, a browser, how properties are searched."""

from __future__ import annotations

import gc
import os
import shutil
import sys
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
# Dozens of processes that tests start read compiled modules: compiling them anew takes each a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

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


SLOW = [
    *("recipes/test_align_on_a_card", "people/test_newcomer", "recipes/test_train_with_people"),
    *("recipes/test_tampered", "models/weights/test_catalogue", "models/pool/test_pool"),
    *("cli/test_launching", "runs/test_ranks", "learn/test_sharding", "learn/test_checkpoint"),
    *("recipes/test_align", "recipes/test_defences", "recipes/test_train", "models/test_card"),
    *("recipes/test_add_evaluation", "tasks/adapters/test_adapters", "test_adding"),
]
"""The files that take longest. Of a file's tests all go to one core, so that one that begins last is waited
for by all the others: these begin first, and many short ones are left for the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, the rest as it stands."""
    rank = {ROOT / "tests" / f"{name}.py": number for number, name in enumerate(SLOW)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(autouse=True)
def _all_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test's server may have had this process log what is alike once a minute."""
    if connections := sys.modules.get("truing.people.web.connections"):
        monkeypatch.setattr(connections._ONCE_A_MINUTE, "_last", {})


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Thousands of test functions and the libraries stay to the end: a full garbage collection, which
    each measured stage of a run asks for, need not look through them again and again."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store. Copying it takes a hundredth of what its migrations take."""
    from truing.people import open_store

    file = tmp_path_factory.mktemp("new-store") / "people.db"
    open_store(str(file)).close()
    return file


@pytest.fixture(scope="session")
def new_postgres_store(postgres_server: str) -> str:
    """The name of a database with an empty store, to be a template of others."""
    from postgres import new_database
    from truing.people import open_store

    url = new_database(postgres_server)
    open_store(url).close()
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store of people's work, on each database."""
    from truing.people import open_store

    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_store")
        return
    from postgres import new_database

    server = request.getfixturevalue("postgres_server")
    opened = open_store(new_database(server, request.getfixturevalue("new_postgres_store")))
    yield opened
    opened.close()


@pytest.fixture()
def sqlite_store(new_store: Path, tmp_path: Path) -> Iterator[Store]:
    """An empty store in a file."""
    from truing.people import open_store

    opened = open_store(str(shutil.copy(new_store, tmp_path / "people.db")))
    yield opened
    opened.close()
