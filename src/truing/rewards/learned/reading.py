"""Judgements from a file in any form that `truing data import` reads, or from a store.

A file's row may say who judged (`annotator`) and what that person says of itself (`groups`, an object of
dimension and value). What can't be a judgement is counted with its reason; a line that isn't even a
record is a mistake.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from truing.data.left_out import LeftOutRows
from truing.data.messages import turns_of
from truing.data.tables import read_table
from truing.people.exchange.items import Item, LeftOut
from truing.people.exchange.reading import Found, found_in
from truing.people.exchange.records import items_of
from truing.rewards.learned.judgements import Judgement, Judgements, usable
from truing.rewards.learned.store import is_store, judgements_of_store
from truing.types import InputError

NOT_JUDGED = "no judgement of its answers"


def read_judgements(source: str, consents: Collection[str] = ()) -> Judgements:
    """The judgements in a store (a .db file or a database URL), a file, or hub:org/name#split.

    Raises InputError where there is no such thing, where a line is no record, or where no judgement is
    left that prefers an answer.
    """
    if is_store(source):
        return usable(judgements_of_store(source, consents))
    if consents:
        raise InputError(
            "reward_model.consent: is of a store, which knows what each prompt's writer agreed to; "
            f"{source} is a file"
        )
    left_out = LeftOutRows()
    judgements: list[Judgement] = []
    for record in _records(source):
        if record.mistake:
            raise InputError(f"{record.where}: {record.mistake}")
        try:
            own = _of_record(record)
        except (InputError, LeftOut) as error:
            left_out.add(str(error), record.where)
            continue
        judgements += own
        if not own:
            left_out.add(NOT_JUDGED, record.where)
    read = Judgements(tuple(judgements), dict(left_out.counts), source, first=left_out.first)
    return usable(read)


def _records(source: str) -> Iterator[Found]:
    path = Path(source).expanduser()
    if path.is_file():
        yield from found_in(path)
        return
    for row in read_table(source, "reward_model.judgements").rows:
        yield Found(
            row.place, {name: each for name, each in row.values.items() if each is not None}
        )


def _of_record(record: Found) -> list[Judgement]:
    groups = record.record.get("groups") if isinstance(record.record, dict) else None
    if not _are_groups(groups or {}):
        raise InputError("groups: must be an object of dimensions and values, both text")
    items = items_of(record.record, ignore=("groups",))
    own = [_judgement(item, groups or {}, record.where) for item in items]
    return [each for each in own if each is not None]


def _are_groups(groups: Any) -> bool:
    return isinstance(groups, dict) and all(isinstance(value, str) for value in groups.values())


def _judgement(item: Item, groups: Mapping[str, str], where: str) -> Judgement | None:
    """What is said of the item's answers, if anything is."""
    ranks = item.ranks
    if item.preferred:
        ranks = {"first": {0: 1, 1: 2}, "second": {0: 2, 1: 1}, "tie": {0: 1, 1: 1}}[item.preferred]
    texts = [text for _, text in item.completions]
    if len(ranks) > 1:
        answers, said = tuple(texts[place] for place in ranks), tuple(ranks.values())
    elif item.rating is not None and texts:
        answers, said = (texts[0],), ()
    else:
        return None
    return Judgement(
        turns_of(item.messages),
        answers,
        said,
        None if said else item.rating,
        item.judge,
        dict(groups),
        item.user,
        where,
    )
