"""The demonstrations in a store or a file, as fine-tuning takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from truing.data.demonstration_file import UNWANTED, DemonstrationFile
from truing.data.dialogues import Dialogue
from truing.data.messages import Messages, turns_of
from truing.people.exchange.exporting import export_rows
from truing.people.exchange.items import Item, LeftOut
from truing.people.exchange.reading import ENDINGS, Found, found_in
from truing.people.exchange.records import items_of
from truing.people.store import open_store
from truing.types import InputError

FILES = (*ENDINGS, ".gz")
STORES = (".db", ".sqlite", ".sqlite3")
_RIGHT = "give messages that end with the assistant's answer, or prompt and completion (without candidate)"


def read_dialogues(name: str, consents: Collection[str] = ()) -> DemonstrationFile:
    """The demonstrations in a file (JSONL, JSON, CSV, Parquet) or a store (a path or URL), in order.

    `consents`: of a store, only prompts with one of them. Records whose answer is marked unwanted, or
    weighs nothing, are left out and counted. Raises InputError naming file and line of the first record
    without a demonstration, and where there is none at all.
    """
    left_out: Counter[str] = Counter()
    ending = Path(name).suffix.lower()
    if "://" not in name and ending in FILES:
        if consents:
            raise InputError(
                "data.consent: is for a store; for a file, choose with 'truing data export --consent'"
            )
        dialogues = tuple(_of_file(Path(name), left_out))
    elif "://" in name or ending in STORES:
        dialogues = tuple(_of_store(name, consents))
    else:
        raise InputError(
            f"data.demonstrations: {name!r} is neither a file ({', '.join(FILES)}) nor a store (a path "
            f"that ends in {', '.join(STORES)}, or a database URL)"
        )
    if not dialogues:
        reasons = "; ".join(f"{count} left out: {reason}" for reason, count in left_out.items())
        more = f" ({reasons})" if reasons else ""
        raise InputError(f"data.demonstrations: {name} holds no demonstration{more}")
    return DemonstrationFile(dialogues, dict(left_out), name)


def _dialogue(messages: Messages, answer: str, record: Any, source: str) -> Dialogue:
    seconds = record.get("seconds")
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return Dialogue(
        turns_of(messages),
        answer,
        user=str(record.get("user") or ""),
        seconds=float(seconds) if known and seconds > 0 else None,
        source=source,
    )


def _imitated(item: Item) -> str:
    """The answer that is to be imitated, if any."""
    return item.completions[0][1] if item.wanted else item.demonstration


def _of_record(record: Found, left_out: Counter[str]) -> Iterator[Dialogue]:
    if record.mistake:
        raise InputError(f"{record.where}: {record.mistake}")
    try:
        items = items_of(record.record)
    except InputError as error:
        raise InputError(f"{record.where}: {error}") from None
    except LeftOut as reason:
        left_out[str(reason)] += 1
        return
    left_out.update(UNWANTED for item in items if item.wanted is False)
    if items and not any(_imitated(item) or item.wanted is False for item in items):
        raise InputError(f"{record.where}: holds no demonstration; {_RIGHT}")
    for item in items:
        if answer := _imitated(item):
            yield _dialogue(item.messages, answer, record.record, record.where)


def _of_file(path: Path, left_out: Counter[str]) -> Iterator[Dialogue]:
    for record in found_in(path):
        yield from _of_record(record, left_out)


def _of_store(name: str, consents: Collection[str]) -> Iterator[Dialogue]:
    store = open_store(name, must_exist=True)
    try:
        rows = export_rows(store, "messages", consents)
    finally:
        store.close()
    for row in rows:
        *messages, answer = row["messages"]
        yield _dialogue(messages, answer["content"], row, f"{store}")
