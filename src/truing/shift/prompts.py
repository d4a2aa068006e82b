"""What is asked, from wherever it stands: JSONL in any form, plain text, a folder, a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from truing.data.messages import Messages, checked_text
from truing.files import decoded, numbered_lines, read_bytes
from truing.people.exchange.exporting import export_rows
from truing.people.exchange.fields import Record
from truing.people.exchange.importing import read_records
from truing.people.exchange.items import Item
from truing.people.store import open_store
from truing.people.tables import Prompt
from truing.people.vocabulary import FLAG_VALUES, METADATA, USE_CASES
from truing.types import InputError, stable_hash

_TEXT_ENDINGS = (".txt", ".txt.gz")
_FOLDER_ENDINGS = (".jsonl", ".jsonl.gz", *_TEXT_ENDINGS)
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class Asked:
    """One prompt. `links` are keys: two prompts with a key in common aren't independent.

    `use_case` is '' and `metadata` is empty where nobody said; `record` is the line that it alone
    stands in.
    """

    messages: Messages
    place: str
    links: tuple[str, ...]
    user: str = ""
    template: str = ""
    use_case: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    demonstration: str = ""
    record: Record | None = None

    @property
    def text(self) -> str:
        """The user's last message: what is asked, without the conversation before it."""
        return self.messages[-1]["content"]


def read_side(name: str, bad_lines: list[str]) -> list[Asked]:
    """All prompts of a file, folder or store; what is wrong with a line goes to `bad_lines`.

    Raises InputError where nothing can be read, or there is no prompt.
    """
    path = Path(name)
    if "://" in name or _is_sqlite(path):
        prompts = list(_from_store(name))
    elif path.is_dir():
        files = sorted(each for each in path.iterdir() if each.name.endswith(_FOLDER_ENDINGS))
        prompts = [asked for each in files for asked in _from_file(each, bad_lines)]
    else:
        prompts = list(_from_file(path, bad_lines))
    if not prompts and not bad_lines:
        raise InputError(
            f"{name}: no prompt in it; give JSONL, text with a prompt a line, or a store"
        )
    return prompts


def _is_sqlite(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _from_file(path: Path, bad_lines: list[str]) -> Iterator[Asked]:
    if path.name.endswith(_TEXT_ENDINGS):
        yield from _from_text(path, bad_lines)
        return
    for where, record, items in read_records(path, bad_lines):
        for item in items:
            place = where.replace(str(path), path.name, 1)
            yield _asked(place, record, item, len(items) == 1)


def _from_text(path: Path, bad_lines: list[str]) -> Iterator[Asked]:
    for number, line in numbered_lines(decoded(str(path), read_bytes(path))):
        try:
            messages = [{"role": "user", "content": checked_text(line.strip(), "prompt")}]
        except InputError as error:
            bad_lines.append(f"{path}:{number}: {error}")
        else:
            yield Asked(messages, f"{path.name}:{number}", (), record={"prompt": line.strip()})


def _first_words(messages: Messages) -> str:
    """A key of the conversation: what its user said first."""
    first = next(message["content"] for message in messages if message["role"] == "user")
    return stable_hash("conversation", first)[:16]


def _said(record: Record, name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _flags(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: value[name] for name in METADATA if value.get(name) in FLAG_VALUES}


def _asked(place: str, record: Record, item: Item, alone: bool) -> Asked:
    group, template, use_case = (_said(record, key) for key in ("group", "template", "use_case"))
    links = [place, _first_words(item.messages), *([f"group {group}"] if group else [])]
    return Asked(
        item.messages,
        place,
        tuple(links),
        user=item.user,
        template=f"{_said(record, 'task')} {template}" if template else "",
        use_case=use_case if use_case in USE_CASES else "",
        metadata=_flags(record.get("metadata")),
        demonstration=item.demonstration,
        record=record if alone else None,
    )


def _from_store(name: str) -> Iterator[Asked]:
    """A store's prompts, with what most annotators said of them (the first where it is even)."""
    store = open_store(name, must_exist=True)
    try:
        use_cases: dict[str, Counter[str]] = {}
        metadata: dict[str, dict[str, str]] = {}
        for row in export_rows(store, "annotations"):
            use_cases.setdefault(row["prompt_hash"], Counter())[row["use_case"]] += 1
            metadata.setdefault(row["prompt_hash"], _flags(row["metadata"]))
        with store.reading() as session:
            prompts = session.scalars(select(Prompt).order_by(Prompt.id)).all()
        for prompt in prompts:
            votes = use_cases.get(prompt.text_hash, Counter())
            yield Asked(
                prompt.messages,
                f"prompt {prompt.id}",
                (_first_words(prompt.messages),),
                user=prompt.user_key or "",
                use_case=votes.most_common(1)[0][0] if votes else "",
                metadata=metadata.get(prompt.text_hash, {}),
            )
    finally:
        store.close()
