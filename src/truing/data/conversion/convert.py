"""`truing data convert`: a benchmark's rows as instructions with answers, ready for training.

Rows are drawn, dealt to templates and split by hashes of their text and the seed: where a row stands
in its file doesn't matter, and adding rows moves no other row to another split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truing.data.conversion.rows import SourceRow, read_rows
from truing.data.conversion.task_file import LABEL, Task, Template
from truing.data.messages import checked_text
from truing.files import write_jsonl_atomically
from truing.types import InputError, did_you_mean, split_key, stable_hash

Record = dict[str, Any]
FORMS = ("messages", "prompt-completion")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Settings:
    """How rows are drawn and written. Nothing here is random but for the seed."""

    form: str = "messages"
    split: str = ""
    limit: int | None = None
    balance: bool = False
    all_templates: bool = False
    source: str = ""
    licence: str = ""
    seed: int = 0
    keep_good_lines: bool = False


@dataclass(frozen=True)
class Example:
    """A row whose slots are known. `group` ties together rows about the same text."""

    row: SourceRow
    values: dict[str, str]
    label: str
    group: str

    @property
    def key(self) -> str:
        """The same for the same row, wherever it stands."""
        pairs = (part for pair in sorted(self.values.items()) for part in pair)
        return stable_hash("row", self.label, *pairs)


@dataclass
class Converted:
    """The demonstrations and how they came about."""

    task: str
    records: list[Record] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0
    licence: str = ""
    bad_lines: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unseen_labels: tuple[str, ...] = ()
    unused_templates: tuple[str, ...] = ()

    def counts(self) -> dict[str, dict[str, int]]:
        """Demonstrations by template and label."""
        table: dict[str, Counter[str]] = {}
        for record in self.records:
            table.setdefault(record["template"], Counter())[record.get(LABEL, "")] += 1
        return {name: dict(sorted(table[name].items())) for name in sorted(table)}

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "task": self.task,
            "demonstrations": len(self.records),
            "rows": self.rows,
            "repeated_rows": self.repeated,
            "licence": self.licence,
            "by_template_and_label": self.counts(),
            "labels_not_in_the_file": list(self.unseen_labels),
            "templates_not_used": list(self.unused_templates),
            "bad_lines": self.bad_lines,
            "remarks": self.remarks,
        }


def convert(paths: Sequence[Path], task: Task, settings: Settings) -> Converted:
    """Demonstrations from the rows of the files.

    Raises InputError for settings that the task doesn't allow, and for lines that can't be converted,
    the first one named, unless good lines are to be kept.
    """
    _check(task, settings)
    done = Converted(task.task, licence=settings.licence or task.licence or UNKNOWN)
    examples: list[Example] = []
    for path in paths:
        examples += _examples(read_rows(path, done.bad_lines, done.remarks), task, done.bad_lines)
    done.rows = len(examples)
    distinct = {example.key: example for example in reversed(examples)}
    done.repeated = len(examples) - len(distinct)
    unique = [example for example in examples if distinct[example.key] is example]
    templates = _usable(task, unique, done)
    wanted = [each for each in unique if not settings.split or _split(task, each) == settings.split]
    for example, template in _deal(_drawn(wanted, settings), templates, settings):
        try:
            completion = _checked_completion(template, example)
            prompt = checked_text(template.asked.fill(example.values).strip(), "prompt")
        except InputError as error:
            done.bad_lines.append(f"{example.row.place}: template {template.name!r}: {error}")
            continue
        done.records.append(_record(task, template, example, prompt, completion, settings))
    if done.bad_lines and not settings.keep_good_lines:
        raise _refusal(done.bad_lines)
    if not done.records:
        example_line = f", the first: {done.bad_lines[0]}" if done.bad_lines else ""
        where = f" in the split {settings.split!r}" if settings.split else ""
        raise InputError(f"{', '.join(map(str, paths))}: no row to convert{where}{example_line}")
    return done


def convert_files(paths: Sequence[Path], task: str, out: Path, settings: Settings) -> Converted:
    """Convert with the task of this name or file, and write the JSONL file, whole or not at all.

    Raises InputError as above, and where the file can't be written.
    """
    done = convert(paths, Task.read(task), settings)
    try:
        write_jsonl_atomically(out, list(done.records))
    except OSError as error:
        raise InputError(f"--out: {out}: can't be written ({error})") from None
    return done


def _check(task: Task, settings: Settings) -> None:
    if settings.form not in FORMS:
        hint = did_you_mean(settings.form, FORMS)
        raise InputError(f"--form: no {settings.form!r}; {hint}give one of {', '.join(FORMS)}")
    if settings.split and settings.split not in task.splits:
        known = ", ".join(task.splits) or "none: name them under 'splits' in a template file"
        raise InputError(f"--split: no {settings.split!r}; the task's splits are {known}")
    if settings.balance and not task.label:
        raise InputError("--balance: the task has no labels; leave it out")


def _refusal(bad: Sequence[str]) -> InputError:
    more = f" (and {len(bad) - 1} more such rows)" if len(bad) > 1 else ""
    return InputError(
        f"{bad[0]}{more}; nothing was written: mend it, or keep the other rows with "
        "--keep-good-lines"
    )


def _examples(rows: Sequence[SourceRow], task: Task, bad: list[str]) -> Iterator[Example]:
    for row in rows:
        try:
            yield _example(row, task)
        except InputError as error:
            bad.append(str(error))


def _example(row: SourceRow, task: Task) -> Example:
    values = {slot: row.text(columns, f"{{{slot}}}") for slot, columns in task.columns.items()}
    label = row.text(task.label, "the label") if task.label else ""
    if task.labels and label not in task.labels:
        raise InputError(
            f"{row.place}: unknown label {label!r}; the task's labels are {', '.join(task.labels)}"
        )
    if task.label:
        values[LABEL] = label
    group = values[task.group] if task.group else "\n".join(values.values())
    return Example(row, values, label, stable_hash("group", split_key(group))[:16])


def _usable(task: Task, examples: Sequence[Example], done: Converted) -> list[Template]:
    """Templates with an answer for every label that occurs. Raises InputError where none has."""
    labels = sorted({example.label for example in examples})
    usable = [template for template in task.templates if template.covers(labels)]
    if not usable and examples:
        raise InputError(
            f"no template of task {task.task!r} has an answer for each of the labels found "
            f"({', '.join(labels)}); a template covers all labels or isn't used"
        )
    # A label that only some templates know may well be absent: questions without an answer, say.
    expected = [label for label in task.labels if all(label in t.answers for t in usable)]
    done.unseen_labels = tuple(label for label in expected if label not in labels)
    done.unused_templates = tuple(t.name for t in task.templates if t not in usable)
    return usable


def _split(task: Task, example: Example) -> str:
    """The split of a row: all rows of a group are on one side, whatever the seed."""
    place = int(stable_hash("conversion split", example.group)[:13], 16) / 16**13
    upto = 0.0
    for name, share in task.splits.items():
        upto += share
        if place < upto:
            return name
    return next(reversed(task.splits), "")


def _drawn(examples: Sequence[Example], settings: Settings) -> list[Example]:
    """Rows in the order of the file: all of them, or as many of each label as limit and balance say."""
    by_label: dict[str, list[Example]] = {}
    for example in sorted(
        examples, key=lambda each: stable_hash("draw", str(settings.seed), each.key)
    ):
        by_label.setdefault(example.label, []).append(example)
    sizes = {label: len(rows) for label, rows in by_label.items()}
    if settings.balance and sizes:
        sizes = dict.fromkeys(sizes, min(sizes.values()))
    if settings.limit is not None:
        sizes = _even(sizes, settings.limit)
    chosen = {each.key for label, rows in by_label.items() for each in rows[: sizes[label]]}
    return [example for example in examples if example.key in chosen]


def _even(sizes: dict[str, int], limit: int) -> dict[str, int]:
    """At most `limit` rows in all, shared out as evenly as the labels' sizes allow."""
    shares = dict.fromkeys(sizes, 0)
    left = min(limit, sum(sizes.values()))
    while left:
        open_labels = sorted(label for label in sizes if shares[label] < sizes[label])
        each = max(1, left // len(open_labels))
        for label in open_labels:
            more = min(each, sizes[label] - shares[label], left)
            shares[label] += more
            left -= more
    return shares


def _deal(
    examples: Sequence[Example], templates: Sequence[Template], settings: Settings
) -> list[tuple[Example, Template]]:
    """Each row with a template; rows of one group get the same one, labels are spread evenly."""
    if settings.all_templates:
        return [(example, template) for example in examples for template in templates]
    groups: dict[str, Counter[str]] = {}
    for example in examples:
        groups.setdefault(example.group, Counter())[example.label] += 1
    used: Counter[tuple[str, str]] = Counter()
    dealt: dict[str, Template] = {}
    seed = str(settings.seed)
    for group in sorted(groups, key=lambda group: stable_hash("deal", seed, group)):
        labels = groups[group]
        dealt[group] = min(
            templates,
            key=lambda t: (
                sum(used[label, t.name] for label in labels),
                stable_hash("turn", seed, group, t.name),
            ),
        )
        for label, number in labels.items():
            used[label, dealt[group].name] += number
    return [(example, dealt[example.group]) for example in examples]


def _checked_completion(template: Template, example: Example) -> str:
    """The answer, having read the label and what filled its slots back out of it."""
    answer = template.answer_to(example.label)
    for slot in {*answer.slots, *template.asked.slots}:
        if not example.values[slot]:
            raise InputError(f"{{{slot}}} is empty")
    completion = checked_text(answer.fill(example.values).strip(), "completion")
    label = example.label if template.answers else ""
    wanted = (label, {slot: example.values[slot] for slot in answer.slots})
    readings = template.read_back(completion)
    if readings != [wanted]:
        readings_in_words = [
            repr(read) if template.answers else repr(values) for read, values in readings
        ]
        in_words = " or ".join(dict.fromkeys(readings_in_words)) or "nothing"
        raise InputError(f"ambiguous: the completion {completion!r} reads back as {in_words}")
    return completion


def _record(
    task: Task,
    template: Template,
    example: Example,
    prompt: str,
    completion: str,
    settings: Settings,
) -> Record:
    text: Record = {"prompt": prompt, "completion": completion}
    if settings.form == "messages":
        question = {"role": "user", "content": prompt}
        text = {"messages": [question, {"role": "assistant", "content": completion}]}
    split = _split(task, example)
    use_case = template.use_case or task.use_case
    return {
        **text,
        "task": task.task,
        "template": template.name,
        **({"use_case": use_case} if use_case else {}),
        **({LABEL: example.label} if task.label else {}),
        **({"split": split} if split else {}),
        "group": example.group,
        "row": example.row.short_place,
        "source": settings.source or task.source or example.row.file.name,
        "licence": settings.licence or task.licence or UNKNOWN,
    }
