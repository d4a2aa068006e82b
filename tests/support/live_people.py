"""People who judge a training's tasks, in place of browsers: whenever it waits for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from browsing import new_page
from people_work import Someone, someone, submission
from truing.people import Store, open_store
from truing.people.answers import Answer, shown_completions
from truing.people.assigning import next_assignment
from truing.people.judging import owned, record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SHOWN = """() => [...document.querySelectorAll('.answer-card')].map(card => {
  const copy = card.cloneNode(true);
  copy.querySelectorAll('h3').forEach(heading => heading.remove());
  return copy.textContent; })"""
"""The answers on a task's page, as they are shown."""


def vowels(text: str) -> int:
    """What these people like: the more, the better."""
    return sum(text.count(each) for each in "aeiou")


def verdict(kind: str, texts: list[str], taste: Callable[[str], float]) -> Answer:
    """What somebody of a taste says of answers, as they are shown."""
    if kind == "rating":
        return Answer(value=max(1, min(7, 1 + round(taste(texts[0])))))
    if kind == "ranking":
        order = sorted({taste(text) for text in texts}, reverse=True)
        return Answer(ranks={place: 1 + order.index(taste(t)) for place, t in enumerate(texts)})
    first, second = map(taste, texts)
    return Answer(preferred="tie" if first == second else "first" if first > second else "second")


@dataclass
class Crowd:
    """Three people; the third has the opposite taste. With `slow`, each begins one task a time, and hands
    it in the next time."""

    path: str
    people: int = 3
    slow: bool = False
    said: list[int] = field(default_factory=list)
    """Ids of the judgements, in order."""
    _known: list[Someone] = field(default_factory=list)
    _busy: set[int] = field(default_factory=set)

    def judge(self) -> None:
        """Everybody in turn judges what there is for them."""
        store = open_store(self.path)
        try:
            for number, person in enumerate(self._everybody(store)):
                sign = -1 if number == 2 else 1
                if self.slow:
                    self._slowly(store, person, sign)
                while not self.slow and self._judge(store, person, sign):
                    pass
        finally:
            store.close()

    def _slowly(self, store: Store, person: Someone, sign: int) -> None:
        if person.id in self._busy:
            self._judge(store, person, sign)
        self._busy.discard(person.id)
        if next_assignment(store, person.id) is not None:
            self._busy.add(person.id)

    def _everybody(self, store: Store) -> list[Someone]:
        while len(self._known) < self.people:
            self._known.append(someone(store, f"Person {len(self._known)}"))
        return self._known

    def _judge(self, store: Store, person: Someone, sign: int) -> bool:
        given = next_assignment(store, person.id)
        if given is None:
            return False
        with store.reading() as session:
            assignment = owned(session, given, person.id)
            kind, texts = assignment.task.kind, [c.text for c in shown_completions(assignment)]
        answer = verdict(kind, texts, lambda text: sign * vowels(text))
        self.said.append(record(store, given, person.id, submission(), answer, kind=kind))
        return True


class Robots(Crowd):
    """The same people at browsers of their own."""

    def __init__(self, path: str, browser: Browser, url: str) -> None:
        super().__init__(path)
        self.browser, self.url = browser, url
        self.complaints: list[str] = []
        self._pages: dict[int, Page] = {}

    def _page(self, person: Someone) -> Page:
        if person.id not in self._pages:
            page, complaints = new_page(self.browser, "desk")
            page.goto(f"{self.url}/?token={person.token}")
            page.wait_for_url(f"{self.url}/")
            self._pages[person.id], self.complaints = page, complaints
        return self._pages[person.id]

    def _judge(self, store: Store, person: Someone, sign: int) -> bool:
        page = self._page(person)
        page.goto(f"{self.url}/work")
        if page.url == f"{self.url}/":
            return False
        answer = verdict("comparison", page.evaluate(SHOWN), lambda text: sign * vowels(text))
        page.keyboard.press({"first": "a", "tie": "0", "second": "b"}[answer.preferred])
        with page.expect_navigation():
            page.keyboard.press("Control+Enter")
        self.said.append(len(self.said) + 1)
        return True
