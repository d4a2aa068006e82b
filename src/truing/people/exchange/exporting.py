"""Writing what people said, in the forms that training and labelling programs read.

One row for each judgement that stands (neither superseded nor withdrawn), never an average. Every row
says who judged (as a number, not a name), where the prompt came from and whether its writer agreed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from truing.data.messages import Messages
from truing.files import write_file_atomically, write_jsonl_atomically
from truing.people.answers import shown_completions
from truing.people.assigning import is_current
from truing.people.content import check_consents
from truing.people.exchange.tasks import names_shown
from truing.people.opinions import survey_records
from truing.people.questions.asking import asked_questions, grade_rows
from truing.people.questions.tables import KIND
from truing.people.results import result_rows
from truing.people.store import Store
from truing.people.tables import Assignment, Completion, Judgement, Prompt, Task
from truing.people.vocabulary import FLAGS, METADATA
from truing.types import InputError, did_you_mean

Row = dict[str, Any]
RESULTS, SURVEY = "results", "survey"
"""The forms that sum up: which candidate won, by how much, and how sure that is; and how groups of people
chose among the options of a survey's questions."""
_SUMS: dict[str, Callable[[Session, Collection[str]], tuple[list[Row], dict[str, int]]]] = {
    RESULTS: lambda session, consents: (result_rows(session, consents), {}),
    SURVEY: survey_records,
}
"""Rows, and what is left out of them, by the reason."""
LIKED = 6
"""The least rating of an answer that is worth imitating."""


class _Writer:
    """Shapes texts alike in the whole file: plain where every prompt is one message, else messages."""

    def __init__(self, session: Session, plain: bool) -> None:
        self.plain = plain
        self.names = names_shown(session)
        self.questions = asked_questions(session)
        self._session = session

    def prompt(self, prompt: Prompt) -> str | Messages:
        return prompt.messages[0]["content"] if self.plain else prompt.messages

    def answer(self, text: str) -> str | Messages:
        return text if self.plain else [{"role": "assistant", "content": text}]

    def completion(self, completion_id: int) -> Completion:
        return self._session.get_one(Completion, completion_id)

    def provenance(self, judgement: Judgement) -> Row:
        prompt = judgement.assignment.task.prompt
        return {
            "annotator": self.names[judgement.annotator_id],
            "judged_at": judgement.created_at.isoformat(timespec="seconds"),
            "seconds": judgement.seconds,
            "source": prompt.source,
            "consent": prompt.consent,
            "prompt_hash": prompt.text_hash,
            **({"user": prompt.user_key} if prompt.user_key else {}),
        }


def _prompt_of(judgement: Judgement) -> Prompt:
    return judgement.assignment.task.prompt


def _messages(writer: _Writer, judgement: Judgement) -> Iterator[Row]:
    if judgement.demonstration:
        answer = {"role": "assistant", "content": judgement.demonstration.text}
        yield {"messages": [*_prompt_of(judgement).messages, answer]}


def _best(judgement: Judgement) -> list[int]:
    """Ids of the completions that this judgement speaks well of: top ratings, first places."""
    if judgement.rating:
        flags = {flag.name: flag.value for flag in judgement.flags}
        faulty = flags.get("true") == "no" or flags.get("harmful") == "yes"
        good = judgement.rating.value >= LIKED and not faulty
        return [judgement.rating.completion_id] if good else []
    if judgement.comparison:
        return [better for better, _ in _better_and_worse(judgement)]
    return [each.completion_id for each in judgement.rankings if each.rank == 1]


def _liked(writer: _Writer, judgement: Judgement) -> Iterator[Row]:
    yield from ({**row, "from": "demonstration"} for row in _messages(writer, judgement))
    for each in _best(judgement):
        answer = {"role": "assistant", "content": writer.completion(each).text}
        yield {"messages": [*_prompt_of(judgement).messages, answer], "from": judgement.kind}


def _prompt_completion(writer: _Writer, judgement: Judgement) -> Iterator[Row]:
    if judgement.demonstration:
        yield {
            "prompt": writer.prompt(_prompt_of(judgement)),
            "completion": writer.answer(judgement.demonstration.text),
        }


def _better_and_worse(judgement: Judgement) -> Iterator[tuple[int, int]]:
    """Ids of (better, worse) completions; ties give none."""
    if judgement.comparison and judgement.comparison.preferred != "tie":
        pair = (judgement.comparison.first_id, judgement.comparison.second_id)
        yield pair if judgement.comparison.preferred == "first" else (pair[1], pair[0])
    for better, worse in permutations(judgement.rankings, 2):
        if better.rank < worse.rank:
            yield better.completion_id, worse.completion_id


def _preference(writer: _Writer, judgement: Judgement) -> Iterator[Row]:
    for better, worse in _better_and_worse(judgement):
        chosen, rejected = writer.completion(better), writer.completion(worse)
        yield {
            "prompt": writer.prompt(_prompt_of(judgement)),
            "chosen": writer.answer(chosen.text),
            "rejected": writer.answer(rejected.text),
            "chosen_candidate": chosen.candidate,
            "rejected_candidate": rejected.candidate,
            "from": judgement.kind,
        }


def _ratings(writer: _Writer, judgement: Judgement) -> Iterator[Row]:
    if judgement.rating:
        rated = writer.completion(judgement.rating.completion_id)
        flags = {flag.name: flag.value for flag in judgement.flags}
        yield {
            "prompt": writer.prompt(_prompt_of(judgement)),
            "completion": writer.answer(rated.text),
            "candidate": rated.candidate,
            "rating": judgement.rating.value,
            **{name: flags.get(name) for name in FLAGS},
        }


def _annotations(writer: _Writer, judgement: Judgement) -> Iterator[Row]:
    if judgement.annotation:
        flags = {flag.name: flag.value for flag in judgement.flags}
        yield {
            "prompt": writer.prompt(_prompt_of(judgement)),
            "use_case": judgement.annotation.use_case,
            "suggested_use_case": judgement.annotation.suggested,
            "metadata": {name: flags.get(name, "no") for name in METADATA},
        }


def _outcomes(writer: _Writer, judgement: Judgement) -> Iterator[Row]:
    if judgement.kind == "outcome":
        (shown,) = shown_completions(judgement.assignment)
        (outcome,) = (flag.value for flag in judgement.flags)
        candidate = re.sub(r"/\d+$", "", shown.candidate or "")  # without its seed
        prompt = writer.prompt(_prompt_of(judgement))
        yield {"prompt": prompt, "answer": shown.text, "outcome": outcome, "candidate": candidate}


def _grades(writer: _Writer, judgement: Judgement) -> Iterator[Row]:
    if judgement.kind == KIND:
        (shown,) = shown_completions(judgement.assignment)
        about = {
            "prompt": writer.prompt(_prompt_of(judgement)),
            "completion": writer.answer(shown.text),
            "candidate": shown.candidate,
        }
        flags = {flag.name: flag.value for flag in judgement.flags}
        yield from (about | row for row in grade_rows(writer.questions, flags))


EXPORT_FORMS: dict[str, tuple[str, Callable[[_Writer, Judgement], Iterator[Row]]]] = {
    "messages": ("demonstrations as conversations", _messages),
    "liked": ("demonstrations, and answers rated 6 or 7, preferred or ranked first", _liked),
    "prompt-completion": ("demonstrations as prompt and completion", _prompt_completion),
    "preference": ("comparisons and rankings as prompt, chosen, rejected", _preference),
    "ratings": ("ratings with their flags", _ratings),
    "annotations": ("use cases and metadata of prompts", _annotations),
    "outcomes": ("what answers did, as a judge of outcomes learns from it", _outcomes),
    "grades": ("answers to the questions of sets, a row each", _grades),
}
"""Forms by name: what they hold, and the rows of one judgement."""

_KINDS: dict[str, tuple[str, ...]] = {
    "messages": ("demonstration",),
    "liked": ("demonstration", "rating", "comparison", "ranking"),
    "prompt-completion": ("demonstration",),
    "preference": ("comparison", "ranking"),
    "ratings": ("rating",),
    "annotations": ("annotation",),
    "outcomes": ("outcome",),
    "grades": (KIND,),
}
"""The kinds of judgement that a form has rows for."""
_NO_ROW = {
    "liked": "rated below 6, called false or harmful, or ties",
    "preference": "ties",
}
"""What it is about a judgement of these kinds that gives no row."""
GONE = "superseded or taken back"


@dataclass(frozen=True)
class Exported:
    """The rows of a form, how many judgements they are of, and how many give none, by reason."""

    rows: list[Row]
    judgements: int
    left_out: dict[str, int]

    def __str__(self) -> str:
        several = f" of {self.judgements} judgements" if self.judgements != len(self.rows) else ""
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        return f"{len(self.rows)} rows{several}" + (f"; left out: {left_out}" if left_out else "")

    def to_json(self) -> dict[str, Any]:
        """Counts, for the object that `--json` prints."""
        return {
            "rows": len(self.rows),
            "judgements": self.judgements,
            "left_out": self.left_out,
        }


def _gone(session: Session) -> int:
    """How many judgements don't stand any more."""
    said = select(func.count()).where(Judgement.kind.not_in(("skip", "withdrawal")))
    return session.scalar(said.where(~is_current())) or 0


def _standing(session: Session) -> Sequence[Judgement]:
    """Judgements that stand, imported ones included, in the order in which they were made."""
    return session.scalars(
        select(Judgement)
        .where(is_current(), Judgement.kind != "skip")
        .options(
            joinedload(Judgement.assignment).joinedload(Assignment.task).joinedload(Task.prompt),
            *map(
                joinedload,
                (
                    Judgement.demonstration,
                    Judgement.rating,
                    Judgement.comparison,
                    Judgement.annotation,
                ),
            ),
            selectinload(Judgement.rankings),
            selectinload(Judgement.flags),
        )
        .order_by(Judgement.id)
    ).all()


def exported(store: Store, form: str, consents: Collection[str] = ()) -> Exported:
    """The rows of a form, of prompts with one of the given consents (of all without any).

    Raises InputError for an unknown form or consent.
    """
    if form not in EXPORT_FORMS and form not in _SUMS:
        forms = (*EXPORT_FORMS, *_SUMS)
        hint = did_you_mean(form, forms)
        raise InputError(f"--form: no {form!r}; {hint}give one of {', '.join(forms)}")
    check_consents(consents)
    if form in _SUMS:
        with store.reading() as session:
            summed, without = _SUMS[form](session, consents)
        return Exported(summed, len(summed), without)
    rows_of = EXPORT_FORMS[form][1]
    left_out: Counter[str] = Counter()
    with store.reading() as session:
        left_out[GONE] = _gone(session)
        standing = _standing(session)
        agreed = [each for each in standing if not consents or _prompt_of(each).consent in consents]
        left_out[f"without the consent {' or '.join(consents)}"] = len(standing) - len(agreed)
        judgements = [each for each in agreed if each.kind in _KINDS[form]]
        left_out["of other kinds"] = len(agreed) - len(judgements)
        session.scalars(select(Completion)).all()  # in one query, not one for each
        plain = all(len(_prompt_of(each).messages) == 1 for each in agreed)
        writer = _Writer(session, plain)
        rows: list[Row] = []
        for judgement in judgements:
            of_it = [row | writer.provenance(judgement) for row in rows_of(writer, judgement)]
            left_out[_NO_ROW.get(form, "")] += not of_it
            rows += of_it
    counted = {reason: count for reason, count in left_out.items() if count}
    return Exported(rows, len(judgements) - left_out[_NO_ROW.get(form, "")], counted)


def export_rows(store: Store, form: str, consents: Collection[str] = ()) -> list[Row]:
    """The rows of `exported` alone."""
    return exported(store, form, consents).rows


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa  # here, so that the page starts without it
    import pyarrow.parquet as pq

    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = pa.Table.from_pydict({key: [row.get(key) for row in rows] for key in columns})
    write_file_atomically(path, lambda file: pq.write_table(table, file))


def write_export(path: Path, rows: Sequence[Row]) -> None:
    """Write a JSONL file (Parquet where its name ends so), whole or not at all.

    Raises InputError where the file can't be written.
    """
    try:
        if path.suffix.lower() == ".parquet":
            _write_parquet(path, rows)
        else:
            write_jsonl_atomically(path, list(rows))
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error})") from None


def export_file(store: Store, path: Path, form: str, consents: Collection[str] = ()) -> int:
    """Write the rows of a form into a file; how many there are. See `exported` and `write_export`."""
    rows = export_rows(store, form, consents)
    write_export(path, rows)
    return len(rows)
