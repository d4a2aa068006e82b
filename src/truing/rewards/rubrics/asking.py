"""Asking a judge behind an endpoint: nothing twice, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from truing.models.memo.replies import ReplyStore, StoredReply, reply_key
from truing.models.remote.client import Connection, EndpointError
from truing.models.remote.concurrent import asked_at_once
from truing.models.remote.endpoint import Endpoint, EndpointName
from truing.progress import Progress, SilentProgress
from truing.spec.rubric import AskedEndpoint, Prices
from truing.types import InputError, Unscored

THINKING = 2048
"""More tokens for a model that reasons before it replies."""
Reply = StoredReply | Unscored
_announced: set[tuple[str, str]] = set()
"""Where answers go, as far as this process has said it: a command has several askers of one address."""


@dataclass(frozen=True)
class Usage:
    """What the replies cost that were used; `fresh` of them were asked for now, the others were kept.

    `seconds` is the sum over replies, of which several come at once. Tokens are None where the server
    doesn't count them, and so is the price, also where there are no prices. `price_now` is that of the
    fresh ones. The trial of a server isn't among the replies.
    """

    replies: int = 0
    fresh: int = 0
    tokens_sent: int | None = 0
    tokens_back: int | None = 0
    seconds: float = 0.0
    price: float | None = None
    currency: str = ""
    price_now: float | None = None

    @staticmethod
    def of(
        replies: Sequence[StoredReply], fresh: Sequence[StoredReply], prices: Prices | None
    ) -> Usage:
        """That of all these replies, of which some are fresh."""
        sent = _total([reply.tokens_sent for reply in replies])
        back = _total([reply.tokens_back for reply in replies])
        seconds = sum(reply.seconds for reply in replies)
        currency = prices.currency if prices else ""
        price, now = (_price(some, prices) for some in (replies, fresh))
        return Usage(len(replies), len(fresh), sent, back, seconds, price, currency, now)


def _price(replies: Sequence[StoredReply], prices: Prices | None) -> float | None:
    sent = _total([reply.tokens_sent for reply in replies])
    back = _total([reply.tokens_back for reply in replies])
    if prices is None or sent is None or back is None:
        return None
    return (sent * prices.prompt + back * prices.completion) / 1e6


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


class Asker:
    """A model behind an endpoint that is asked things, each once; its replies are kept on disk."""

    def __init__(self, asked: AskedEndpoint, where: str, store: ReplyStore | None = None) -> None:
        """Asks nothing yet. Raises InputError, naming `where`, where the endpoint's name isn't one."""
        assert asked.endpoint is not None
        self.asked, self.where = asked, where
        self.progress: Progress = SilentProgress()
        try:
            self.name = EndpointName.parse(asked.endpoint)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        self._given_store = store
        self._used: dict[bytes, StoredReply] = {}
        self._fresh: list[StoredReply] = []

    @property
    def usage(self) -> Usage:
        """What all replies cost that were used so far, each once."""
        return Usage.of(list(self._used.values()), self._fresh, self.asked.prices)

    @cached_property
    def _store(self) -> ReplyStore:
        return self._given_store or ReplyStore()

    @cached_property
    def _endpoint(self) -> Endpoint:
        """The server, tried. Raises InputError where it doesn't chat, or can't be reached."""
        usual = Connection(self.asked.key_variable)
        connection = replace(
            usual,
            at_once=self.asked.at_once or usual.at_once,
            timeout=self.asked.timeout or usual.timeout,
            key_option="--judge-key-variable" if self.where.startswith("--") else "key_variable",
        )
        endpoint = Endpoint(self.name, connection, self.progress.note)
        self._announce(endpoint.name)
        try:
            with self.progress.task(f"Asking {self.name.url}"):
                endpoint.try_chat()
        except InputError as error:
            endpoint.close()
            raise InputError(f"{self.where}: {error}") from None
        return endpoint

    def _announce(self, name: EndpointName) -> None:
        said = f"answers are sent to {name.url} ({name.model})"
        if (self.where, said) not in _announced:
            _announced.add((self.where, said))
            self.progress.note(f"{self.where}: {said}")

    def __call__(
        self, texts: Sequence[str], most_tokens: int, each: Callable[[StoredReply], None]
    ) -> list[Reply]:
        """The reply to each text; unscored where the server refuses it. `each` sees every reply once,
        as it comes, and may end it all.

        Raises InputError where the server is gone: what it replied before is kept.
        """
        endpoint = self._endpoint
        most = most_tokens + THINKING * endpoint.thinks
        keys = [reply_key(endpoint.identity(endpoint.fingerprint), most, text) for text in texts]
        known: dict[bytes, Reply] = dict(self._store.known(list(dict.fromkeys(keys))))
        missing = {key: n for n, key in reversed(list(enumerate(keys))) if key not in known}
        for key, reply in known.items():
            self._use(key, reply, each)
        jobs = {n: partial(self._reply, endpoint, texts[n], most) for n in sorted(missing.values())}
        known |= self._fetched(endpoint, keys, jobs, most, texts, each)
        return [known[key] for key in keys]

    def _fetched(
        self,
        endpoint: Endpoint,
        keys: Sequence[bytes],
        jobs: Mapping[int, Callable[[], tuple[StoredReply, str]]],
        most: int,
        texts: Sequence[str],
        each: Callable[[StoredReply], None],
    ) -> dict[bytes, Reply]:
        replies: dict[bytes, Reply] = {}
        with self.progress.task(f"Asking {self.name.model}", total=len(jobs)) as advance:
            try:
                for number, outcome in asked_at_once(endpoint, jobs, needed=True):
                    advance(len(replies) + 1)
                    if isinstance(outcome, Unscored):
                        replies[keys[number]] = outcome
                        continue
                    reply, fingerprint = outcome
                    # Of a server with several fingerprints another one may answer the next trial.
                    own = reply_key(endpoint.identity(fingerprint), most, texts[number])
                    self._store.add({keys[number]: reply, own: reply})
                    replies[keys[number]] = reply
                    self._fresh.append(reply)
                    self._use(keys[number], reply, each)
            except EndpointError as error:
                answered = sum(isinstance(reply, StoredReply) for reply in replies.values())
                busy = error.status == 429
                right = "ask fewer at once (at_once)" if busy else "see that the server answers"
                raise InputError(
                    f"{self.where}: {self.asked.endpoint}: {error}, with {answered} of {len(jobs)} "
                    f"replies there, which are kept; {right}, and go on with the same command"
                ) from None
        return replies

    def _use(self, key: bytes, reply: Reply, each: Callable[[StoredReply], None]) -> None:
        if isinstance(reply, StoredReply) and key not in self._used:
            self._used[key] = reply
            each(reply)

    @staticmethod
    def _reply(endpoint: Endpoint, text: str, most_tokens: int) -> tuple[StoredReply, str]:
        """A reply and its fingerprint. Raises Refused or Unreachable."""
        begun = time.monotonic()
        reply = endpoint.chat([{"role": "user", "content": text}], max_tokens=most_tokens)
        seconds = round(time.monotonic() - begun, 3)
        stored = StoredReply(
            reply.said, reply.cut, reply.tokens_sent, reply.tokens_back, seconds, reply.filtered
        )
        return stored, reply.fingerprint
