"""A labelling page in this process, and a browser's page that is signed in on it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import uvicorn
from sqlalchemy import select

from browsing import new_page
from people_work import Someone
from truing.people import Store
from truing.people.tables import Judgement
from truing.people.web import make_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Site:
    """A labelling page on a port of its own, in this process."""

    def __init__(self, store: Store, lead: Someone) -> None:
        self.store, self.lead = store, lead
        self.app = make_app(store)
        config = uvicorn.Config(self.app, port=0, log_level="warning", access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


def open_page(
    browser: Browser, site: Site, size: str, scheme: Any = "light"
) -> tuple[Page, list[str]]:
    page, complaints = new_page(browser, size, scheme)
    page.goto(f"{site.url}/?token={site.lead.token}")
    page.wait_for_url(f"{site.url}/")  # the token is gone from the address
    return page, complaints


def judged(site: Site) -> list[Judgement]:
    with site.store.reading() as session:
        return list(session.scalars(select(Judgement).order_by(Judgement.id)))
