"""Reading data files into the store, all lines or none, unless good lines are asked for."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from truing.data.messages import text_hash
from truing.people.answers import Answer, without_gaps
from truing.people.content import (
    NewCompletion,
    NewPrompt,
    NewTask,
    StoredCompletion,
    StoredPrompt,
    add_completions,
    add_prompts,
    add_tasks,
    check_consents,
)
from truing.people.exchange.fields import Record
from truing.people.exchange.items import Item, LeftOut
from truing.people.exchange.reading import found_in
from truing.people.exchange.records import items_of
from truing.people.judged_elsewhere import Statement, record_elsewhere, submission_of
from truing.people.store import Store
from truing.people.vocabulary import COMPLETIONS_NEEDED
from truing.progress import Progress, SilentProgress
from truing.types import InputError

BATCH = 5_000
"""Items that are stored together."""


@dataclass
class Imported:
    """What came in, and what became of the rest.

    `added`: new rows by table; `records`: how many were read; `left_out`: those that aren't imported,
    by reason; `remarks`: what else of records isn't there, by kind;
    `there`: judgements that the store had already, `gone` of them superseded since;
    `superseded`: earlier judgements that new ones take the place of.
    """

    added: Counter[str] = field(default_factory=Counter)
    bad_lines: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    records: int = 0
    there: int = 0
    gone: int = 0
    superseded: int = 0

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "records": self.records,
            "added": dict(sorted(self.added.items())),
            "judgements_there_already": self.there,
            "of_these_superseded": self.gone,
            "judgements_superseded": self.superseded,
            "left_out": dict(self.left_out),
            "remarks": dict(self.remarks),
            "bad_lines": self.bad_lines,
        }

    def notes(self) -> list[str]:
        """Sentences about what isn't among the rows that were added; none where nothing is amiss."""
        notes = [f"{count} left out: {reason}" for reason, count in self.left_out.items()]
        notes += [f"{count} {remark}" for remark, count in self.remarks.items()]
        if self.there:
            notes.append(f"{self.there} judgements were there already")
        if self.gone:
            notes.append(
                f"{self.gone} of these don't stand: the source said something else later; import "
                "them under another --source to have them stand"
            )
        if self.superseded:
            notes.append(f"{self.superseded} earlier judgements of the same source are superseded")
        return notes


class _Said(NamedTuple):
    """What an item says, and about which of its completions."""

    judge: str
    kind: str
    answer: Answer
    places: tuple[int, ...]
    submission: str


class _Coming(NamedTuple):
    """An item on its way into the store."""

    item: Item
    source: str
    prompt: NewPrompt
    said: tuple[_Said, ...]


Asked = tuple[StoredPrompt, Sequence[StoredCompletion]]


def read_records(
    path: Path,
    bad_lines: list[str],
    left_out: Counter[str] | None = None,
    ignore: Collection[str] = (),
) -> Iterator[tuple[str, Record, list[Item]]]:
    """Places (`file:line`), records and items of a data file.

    What is wrong goes to `bad_lines`, with the place; records that aren't to be learned from are
    counted in `left_out`, by reason. Keys to `ignore` are as if they weren't there. Raises InputError
    where the file can't be read.
    """
    for record in found_in(path):
        try:
            if record.mistake:
                raise InputError(record.mistake)
            items = items_of(record.record, ignore)
        except InputError as error:
            bad_lines.append(f"{record.where}: {error}")
        except LeftOut as reason:
            if left_out is not None:
                left_out[str(reason)] += 1
        else:
            yield record.where, record.record, items


def _refusal(bad_lines: Sequence[str]) -> InputError:
    more = f" (and {len(bad_lines) - 1} more such lines)" if len(bad_lines) > 1 else ""
    return InputError(
        f"{bad_lines[0]}{more}; nothing was imported: mend it, or keep the other lines with "
        "--keep-good-lines"
    )


def _nothing(paths: Sequence[Path], bad_lines: Sequence[str]) -> InputError:
    bad = f" (the first that can't be read: {bad_lines[0]})" if bad_lines else ""
    names = ", ".join(map(str, paths))
    return InputError(f"{names}: no line with a prompt; nothing to import{bad}")


@contextmanager
def _without_collecting() -> Iterator[None]:
    """What is read is kept until it is stored: looking for garbage in it takes a fifth of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def _undone(store: Store) -> Iterator[Session]:
    """A session that changes the store and takes all of it back at the end."""
    with store.writing() as session:
        yield session
        session.rollback()


@_without_collecting()
def import_files(
    store: Store,
    paths: Sequence[Path],
    *,
    source: str = "",
    consent: str | None = None,
    ask: Sequence[str] = (),
    wanted: int = 1,
    seed: int = 0,
    keep_good_lines: bool = False,
    ignore: Collection[str] = (),
    progress: Progress | None = None,
    try_only: bool = False,
) -> Imported:
    """Read data files into the store and make tasks of the kinds in `ask` for `wanted` people each.

    Judgements in the files stand under the name of the source (the file's name without one), all that
    a file says beside each other. A second import of the same file adds nothing. Without a consent,
    that of the record holds, if it has one. With `try_only` the store stays as it is: what is given back
    says what would have come in. Raises InputError naming file and line; then nothing at all was imported.
    """
    check_consents([consent] if consent else [])
    imported = Imported()
    files = [_coming(path, source or path.name, consent, ignore, imported) for path in paths]
    if imported.bad_lines and not keep_good_lines:
        raise _refusal(imported.bad_lines)
    total = sum(map(len, files))
    if not imported.records:
        raise _nothing(paths, imported.bad_lines)
    reporter = progress or SilentProgress()
    with (
        _undone(store) if try_only else store.writing() as session,
        reporter.task("Importing", total) as advance,
    ):
        done = 0
        for coming in files:
            together = {said.submission for each in coming for said in each.said}
            for start in range(0, len(coming), BATCH):
                batch = coming[start : start + BATCH]
                stored = _store(session, batch, together, imported)
                ask_about(session, stored, ask, wanted, seed, imported.added)
                done += len(batch)
                advance(done)
    return imported


def _coming(
    path: Path, source: str, consent: str | None, ignore: Collection[str], imported: Imported
) -> list[_Coming]:
    """What a file brings."""
    before: Counter[str] = Counter()
    coming = []
    left_out = imported.left_out.total()
    for _, _, items in read_records(path, imported.bad_lines, imported.left_out, ignore):
        imported.records += 1
        for item in items:
            imported.remarks.update(item.remarks)
            agreed = consent or item.consent or "unknown"
            prompt = NewPrompt(item.messages, source, agreed, item.user or None)
            said = tuple(_said(item, source, prompt.text_hash, before))
            coming.append(_Coming(item, source, prompt, said))
    imported.records += imported.left_out.total() - left_out
    return coming


def _said(item: Item, source: str, prompt: str, before: Counter[str]) -> Iterator[_Said]:
    """What an item says of a prompt (its hash). `before` counts what its file has said so far."""
    judge = f"{source}/{item.judge}" if item.judge else source
    texts = [text_hash(text) for _, text in item.completions]
    for kind, answer, places in _answers(item):
        about = [texts[place] for place in places]
        first = submission_of(judge, kind, prompt, about, answer)
        again = before[first]
        before[first] += 1
        name = submission_of(judge, kind, prompt, about, answer, again) if again else first
        yield _Said(judge, kind, answer, places, name)


def _answers(item: Item) -> Iterator[tuple[str, Answer, tuple[int, ...]]]:
    """Kinds of judgement in an item, with the places of the completions that each is about."""
    everything = tuple(range(len(item.completions)))
    if item.demonstration:
        yield "demonstration", Answer(text=item.demonstration), ()
    if item.rating is not None:
        yield "rating", Answer(value=item.rating, flags=item.flags), everything
    if item.preferred:
        yield "comparison", Answer(preferred=item.preferred), everything
    if item.use_case:
        yield "annotation", Answer(use_case=item.use_case, flags=item.flags), ()
    if item.ranks:
        ranks = without_gaps(dict(enumerate(item.ranks.values())))
        yield "ranking", Answer(ranks=ranks), tuple(item.ranks)


def _store(
    session: Session, coming: Sequence[_Coming], together: Collection[str], imported: Imported
) -> list[Asked]:
    """Store items with what was judged about them elsewhere."""
    answers = [
        [(candidate or each.source, text) for candidate, text in each.item.completions]
        for each in coming
    ]
    prompts = [each.prompt for each in coming]
    stored = add_answered(session, prompts, answers, imported.added)
    statements = [
        Statement(judge, kind, prompt, tuple(about[p] for p in places), answer, submission)
        for (prompt, about), each in zip(stored, coming, strict=True)
        for judge, kind, answer, places, submission in each.said
    ]
    recorded = record_elsewhere(session, statements, together, imported.added)
    imported.there += recorded.there
    imported.gone += recorded.gone
    imported.superseded += recorded.superseded
    return stored


def add_answered(
    session: Session,
    new: Sequence[NewPrompt],
    answers: Sequence[Sequence[tuple[str, str]]],
    added: Counter[str],
) -> list[Asked]:
    """The prompts with the answers (candidate, text) to each; what isn't stored yet is added."""
    prompts = add_prompts(session, new, added)
    wanted = [
        NewCompletion(prompt.id, candidate, text)
        for prompt, texts in zip(prompts, answers, strict=True)
        for candidate, text in texts
    ]
    completions = iter(add_completions(session, wanted, added))
    return [
        (prompt, tuple(next(completions) for _ in texts))
        for prompt, texts in zip(prompts, answers, strict=True)
    ]


def ask_about(
    session: Session,
    asked: Sequence[Asked],
    kinds: Sequence[str],
    wanted: int,
    seed: int,
    added: Counter[str],
) -> int:
    """Tasks of the kinds asked for: each completion rated, each pair compared, up to 7 ranked.

    Gives the number of tasks, those that were there before included.
    """
    tasks = [
        NewTask(kind, prompt, group, wanted, seed)
        for prompt, completions in asked
        for kind in kinds
        for group in _groups(kind, tuple(dict.fromkeys(completions)))
    ]
    add_tasks(session, tasks, added)
    return len(tasks)


def _groups(
    kind: str, completions: tuple[StoredCompletion, ...]
) -> list[tuple[StoredCompletion, ...]]:
    """The completions of a prompt that tasks of a kind show together."""
    if COMPLETIONS_NEEDED.get(kind) == (1, 1):
        return [(completion,) for completion in completions]
    if kind == "comparison":
        return list(combinations(completions, 2))
    if kind == "ranking":
        return [completions[: COMPLETIONS_NEEDED[kind][1]]] if len(completions) > 1 else []
    return [()]
