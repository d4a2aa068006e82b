"""Reading data files into the store, all lines or none, unless good lines are asked for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.people.annotators import source_annotator
from truing.people.answers import Answer, say
from truing.people.assigning import display_order
from truing.people.content import add_completion, add_prompt, add_task
from truing.people.exchange.items import Item
from truing.people.exchange.reading import found_in
from truing.people.exchange.records import Record, items_of
from truing.people.judging import new_row
from truing.people.store import Store
from truing.people.tables import Assignment, Completion, Judgement, Prompt, Task
from truing.people.vocabulary import COMPLETIONS_NEEDED
from truing.progress import Progress, SilentProgress
from truing.types import InputError, stable_hash


@dataclass
class Imported:
    """What came in: new rows by table name, and what is wrong with lines that were left out."""

    added: Counter[str] = field(default_factory=Counter)
    bad_lines: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {"added": dict(sorted(self.added.items())), "bad_lines": self.bad_lines}


def read_records(path: Path, bad_lines: list[str]) -> Iterator[tuple[str, Record, list[Item]]]:
    """Places (`file:line`), records and items of a data file.

    What is wrong goes to `bad_lines`, with the place. Raises InputError where the file can't be read.
    """
    for record in found_in(path):
        try:
            if record.mistake:
                raise InputError(record.mistake)
            items = items_of(record.record)
        except InputError as error:
            bad_lines.append(f"{record.where}: {error}")
        else:
            yield record.where, record.record, items


def read_items(path: Path, bad_lines: list[str]) -> Iterator[Item]:
    """The items of a data file, as `read_records` reads them."""
    for _, _, items in read_records(path, bad_lines):
        yield from items


def _refusal(bad_lines: Sequence[str]) -> InputError:
    more = f" (and {len(bad_lines) - 1} more such lines)" if len(bad_lines) > 1 else ""
    return InputError(
        f"{bad_lines[0]}{more}; nothing was imported: mend it, or keep the other lines with "
        "--keep-good-lines"
    )


def import_files(
    store: Store,
    paths: Sequence[Path],
    *,
    source: str = "",
    consent: str = "unknown",
    ask: Sequence[str] = (),
    wanted: int = 1,
    seed: int = 0,
    keep_good_lines: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Read data files into the store and make tasks of the kinds in `ask` for `wanted` people each.

    Judgements in the files stand under the name of the source (the file's name without one). A
    second import of the same file adds nothing. Raises InputError naming file and line; then nothing
    at all was imported.
    """
    imported = Imported()
    items: list[tuple[str, Item]] = []
    for path in paths:
        name = source or path.name
        items += [(name, item) for item in read_items(path, imported.bad_lines)]
    if imported.bad_lines and not keep_good_lines:
        raise _refusal(imported.bad_lines)
    if not items:
        raise InputError(f"{', '.join(map(str, paths))}: no line with a prompt; nothing to import")
    reporter = progress or SilentProgress()
    with store.writing() as session, reporter.task("Importing", len(items)) as advance:
        before = _counts(session)
        for done, (name, item) in enumerate(items, start=1):
            _add(session, item, name, consent)
            advance(done)
        for name, item in items if ask else []:
            prompt, completions = _stored(session, item, name, consent)
            ask_about(session, prompt, completions, ask, wanted, seed)
        imported.added = _counts(session) - before
    return imported


def _counts(session: Session) -> Counter[str]:
    tables = (Prompt, Completion, Task, Judgement)
    return Counter(
        {t.__tablename__: session.scalar(select(func.count()).select_from(t)) or 0 for t in tables}
    )


def _stored(
    session: Session, item: Item, source: str, consent: str
) -> tuple[Prompt, list[Completion]]:
    prompt = add_prompt(
        session, item.messages, source=source, consent=consent, user_key=item.user or None
    )
    completions = [
        add_completion(session, prompt, candidate or source, text)
        for candidate, text in item.completions
    ]
    return prompt, completions


def _add(session: Session, item: Item, source: str, consent: str) -> None:
    """One item with what was judged about it elsewhere."""
    prompt, completions = _stored(session, item, source, consent)
    judge = f"{source}/{item.judge}" if item.judge else source
    if item.demonstration:
        judge_elsewhere(session, judge, "demonstration", prompt, [], text=item.demonstration)
    if item.rating is not None:
        judge_elsewhere(
            session, judge, "rating", prompt, completions, value=item.rating, flags=item.flags
        )
    if item.preferred:
        judge_elsewhere(session, judge, "comparison", prompt, completions, preferred=item.preferred)
    if item.use_case:
        judge_elsewhere(
            session, judge, "annotation", prompt, [], use_case=item.use_case, flags=item.flags
        )
    if item.ranks:
        ranked = [completions[place] for place in item.ranks]
        judge_elsewhere(session, judge, "ranking", prompt, ranked, ranks=_steps(item.ranks))


def _steps(ranks: dict[int, int]) -> list[int]:
    """Ranks without gaps, in the order of the places: 1, 4, 4 becomes 1, 2, 2."""
    steps = {rank: step for step, rank in enumerate(sorted(set(ranks.values())), start=1)}
    return [steps[rank] for rank in ranks.values()]


def judge_elsewhere(
    session: Session,
    judge: str,
    kind: str,
    prompt: Prompt,
    completions: list[Completion],
    *,
    text: str = "",
    value: int | None = None,
    flags: dict[str, str] | None = None,
    preferred: str = "",
    use_case: str = "",
    ranks: Sequence[int] = (),
    submission: str = "",
) -> None:
    """Record what a source says, as a person's judgement is recorded; once for the same words.

    `preferred` says which of two completions is better: first, second or tie. With a `submission` of
    its own, words may come again: they supersede what the source had said of this before.
    """
    best = {"": None, "first": 0, "second": 1}.get(preferred, preferred)
    answers = [
        text,
        str(value),
        str(best),
        str(list(ranks)),
        json.dumps(flags or {}, sort_keys=True),
    ]
    answers += [use_case] if use_case else []
    hashes = [completion.text_hash for completion in completions]
    submission = submission or stable_hash(
        "imported", judge, kind, prompt.text_hash, *hashes, *answers
    )
    if session.scalar(select(Judgement.id).where(Judgement.submission == submission)):
        return
    annotator = source_annotator(session, judge)
    task = add_task(session, kind, prompt, completions, wanted=0)
    assignment = session.scalar(
        select(Assignment).where(
            Assignment.task_id == task.id, Assignment.annotator_id == annotator.id
        )
    )
    if assignment is None:
        order = display_order(task, annotator.id)
        assignment = Assignment(task_id=task.id, annotator_id=annotator.id, slot=None, order=order)
        session.add(assignment)
        session.flush()
    # The file's places to places in the task (which may be older than the file), then on the page.
    position = {each.completion_id: each.position for each in task.shown}
    place = [assignment.order.index(position[completion.id]) for completion in completions]
    answer = Answer(
        text=text,
        value=value,
        flags=flags or {},
        preferred=("first", "second")[place[best]] if isinstance(best, int) else preferred,
        use_case=use_case,
        ranks=dict(zip(place, ranks, strict=False)),
    )
    judgement = new_row(session, assignment, kind, submission)
    with session.no_autoflush:
        say(judgement, answer)
    session.add(judgement)
    session.flush()


def ask_about(
    session: Session,
    prompt: Prompt,
    completions: Sequence[Completion],
    kinds: Sequence[str],
    wanted: int,
    seed: int,
) -> int:
    """Tasks of the kinds asked for: each completion rated, each pair compared, up to 7 ranked.

    Gives the number of tasks, those that were there before included.
    """
    distinct = list({completion.id: completion for completion in completions}.values())
    made = 0
    for kind in kinds:
        groups: list[list[Completion]] = []
        if kind == "rating":
            groups = [[completion] for completion in distinct]
        elif kind == "comparison":
            groups = [list(pair) for pair in combinations(distinct, 2)]
        elif kind == "ranking":
            most = COMPLETIONS_NEEDED["ranking"][1]
            groups = [distinct[:most]] if len(distinct) > 1 else []
        else:
            groups = [[]]
        for group in groups:
            add_task(session, kind, prompt, group, wanted=wanted, seed=seed)
        made += len(groups)
    return made
