"""A labelling page in this process, and a browser's page that is signed in on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from browsing import new_page
from people_work import Someone
from truing.people import Store
from truing.people.tables import Judgement

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@dataclass(frozen=True)
class Site:
    """A labelling page on a port of its own, in this process."""

    store: Store
    lead: Someone
    url: str


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
