"""`truing oversight plan`: from items to a folder that says who is asked what, with the advice written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from truing.data.oversight.items import Item, Items
from truing.data.oversight.plans import (
    ARMS,
    FORMAT,
    KEY,
    RECORD,
    TRIALS,
    Arm,
    Exclusion,
    Plan,
    Sealed,
    Speech,
    Trial,
    file_hash,
    read_plan,
    record_hash,
)
from truing.evaluate.respondent import Respondent
from truing.files import jsonl, write_file_atomically, write_json_atomically, write_jsonl_atomically
from truing.oversight.design import Cell, cells
from truing.oversight.script import Advised, script
from truing.progress import Progress
from truing.statistics.power import (
    EXPERT,
    POWER,
    UNAIDED,
    answers_for_margin,
    answers_per_arm,
    margin_of,
)
from truing.types import InputError, did_you_mean, stable_hash
from truing.version import __version__

MARGIN = 0.05
NEEDS_ADVISER: tuple[Arm, ...] = (
    "adviser",
    "consultancy",
    "open_consultancy",
    "debate",
    "dialogue",
)


@dataclass(frozen=True)
class StudySpec:
    """What a study is to be. `rounds`: how often each person goes through every arm.

    `questions` is how many may be asked of the adviser in a dialogue; `time_limit` is in seconds.
    """

    people: int = 8
    rounds: int = 4
    arms: tuple[Arm, ...] = ("unaided", "passage", "consultancy", "debate")
    seed: int = 0
    time_limit: int = 180
    questions: int = 2
    exclusion: Exclusion = field(default_factory=Exclusion)

    def __post_init__(self) -> None:
        """Raises InputError where something is unknown or out of range."""
        for arm in self.arms:
            if arm not in ARMS:
                hint = did_you_mean(arm, ARMS)
                raise InputError(f"--arm {arm}: unknown; {hint}known: {', '.join(ARMS)}")
        if len(set(self.arms)) < len(self.arms):
            raise InputError(f"--arm {' '.join(self.arms)}: an arm stands twice; name each once")
        if not self.of_people:
            raise InputError("--arm adviser: has no people in it; name another arm too")
        if self.time_limit < 1 or self.questions < 0:
            raise InputError("--time-limit, --questions: at least 1 second, and 0 questions")
        if not 0 <= self.exclusion.timed_out <= 1 or self.exclusion.least_seconds < 0:
            raise InputError("--exclude-timed-out, --exclude-faster: a share, and seconds from 0")

    @property
    def of_people(self) -> tuple[Arm, ...]:
        """The arms with people in them: all but the adviser's own."""
        return tuple(arm for arm in self.arms if arm != "adviser")


def check_study(spec: StudySpec, items: Items, folder: Path, adviser: str | None) -> None:
    """Raises InputError where the study can't be planned, before any model is asked."""
    if "passage" in spec.arms and not all(item.passage for item in items.items):
        raise InputError(
            f"{items.source}: items without a passage, so there is no expert; give items with passages, "
            "or leave the arm 'passage' out (--arm)"
        )
    asking = [arm for arm in spec.arms if arm in NEEDS_ADVISER]
    if asking and adviser is None:
        raise InputError(
            f"--adviser: the arm '{asking[0]}' needs one; name a model or leave it out"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"--out {folder}: there already; a plan is never written over, give another"
        )
    cells(items.items, spec.of_people, spec.people, spec.rounds, spec.seed)


def write_plan(
    spec: StudySpec,
    items: Items,
    folder: Path,
    adviser: Respondent | None,
    progress: Progress,
) -> Plan:
    """Plans the study, has the adviser write what it says, and writes the folder. plan.json comes last:
    without it there is no plan."""
    drawn = cells(items.items, spec.of_people, spec.people, spec.rounds, spec.seed)
    pairs = option_pairs([cell.item for cell in drawn], spec.seed)
    advised = script(spec.arms, drawn, pairs, adviser, progress)
    # Numbers in place of ids, which are made of the answer and could be tried out.
    numbers = {item.id: f"I{n + 1:04d}" for n, item in enumerate(_distinct(drawn))}
    trials = [_trial(spec, cell, numbers[cell.item.id], pairs, advised) for cell in drawn]
    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl_atomically(folder / TRIALS, [trial.to_json() for trial in trials])
    sealed = [_sealed(item, numbers, pairs[item.id], advised) for item in _distinct(drawn)]
    _write_sealed(folder / KEY, [each.to_json() for each in sealed])
    files = {name: file_hash(folder / name) for name in (TRIALS, KEY)}
    record = {**_record(spec, items, trials, adviser, advised), "files": files}
    record["hash"] = record_hash(record)
    write_json_atomically(folder / RECORD, record)
    return read_plan(folder)


def _write_sealed(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """A file that only its owner can read, from its first byte on."""

    def write(temporary: Path) -> None:
        temporary.touch(0o600)
        temporary.write_text(jsonl(records), "utf-8", newline="\n")

    write_file_atomically(path, write)


def option_pairs(items: Sequence[Item], seed: int) -> dict[str, tuple[str, str]]:
    """For each item by its id the right option and a wrong one, drawn where there are several."""
    pairs = {}
    for item in items:
        rng = np.random.default_rng(int(stable_hash("distractor", str(seed), item.id)[:15], 16))
        pairs[item.id] = (item.answer, item.distractors[int(rng.integers(len(item.distractors)))])
    return pairs


def _distinct(drawn: Sequence[Cell]) -> list[Item]:
    return list({cell.item.id: cell.item for cell in drawn}.values())


def _trial(
    spec: StudySpec, cell: Cell, number: str, pairs: dict[str, tuple[str, str]], advised: Advised
) -> Trial:
    right, wrong = pairs[cell.item.id]
    options = (right, wrong) if cell.answer_place == 0 else (wrong, right)
    speeches = advised.speeches(cell.arm, cell.item, right_first=cell.right_first)
    # In the script 0 is the right option; a trial counts places as they are shown.
    shown = tuple(
        Speech(
            None if speech.side is None else abs(speech.side - cell.answer_place),
            speech.text,
            speech.quotes,
            speech.tokens,
        )
        for speech in speeches
    )
    alone = len(shown) == 1
    person = f"P{cell.person + 1}"
    return Trial(
        f"{person}-{cell.place:03d}",
        person,
        cell.place,
        cell.arm,
        number,
        cell.item.question,
        options,
        shown[0].side if alone else None,
        shown,
        spec.questions if cell.arm == "dialogue" else 0,
    )


def _sealed(item: Item, numbers: dict[str, str], pair: tuple[str, str], advised: Advised) -> Sealed:
    own = advised.own.get(item.id)
    taken = pair[own] if isinstance(own, int) else None
    lacking = advised.own_unscored(item)
    return Sealed(numbers[item.id], item.answer, item.passage, item.source, taken, lacking)


def _record(
    spec: StudySpec,
    items: Items,
    trials: Sequence[Trial],
    adviser: Respondent | None,
    advised: Advised,
) -> dict[str, Any]:
    quotes = [quote for trial in trials for speech in trial.speeches for quote in speech.quotes]
    return {
        "format": FORMAT,
        "truing": __version__,
        **{
            name: getattr(spec, name)
            for name in ("people", "rounds", "seed", "time_limit", "questions")
        },
        "arms": list(spec.arms),
        "exclusion": asdict(spec.exclusion),
        "items": {
            "source": items.source,
            "used": len({trial.item for trial in trials}),
            "unscored": dict(items.unscored),
        },
        "adviser": adviser.name if adviser else None,
        "adviser_named_no_option": sum(not isinstance(own, int) for own in advised.own.values()),
        "quotes": {"shown": len(quotes), "verified": sum(quote.verified for quote in quotes)},
        "sizes": sizes(spec.people * spec.rounds),
    }


def sizes(answers: int) -> dict[str, Any]:
    """What so many answers an arm can show, and how many would show what."""
    return {
        "answers_per_arm": answers,
        "margin": round(margin_of(answers), 4),
        "needed_for_margin": {"margin": MARGIN, "answers": answers_for_margin(MARGIN)},
        "needed_for_difference": [
            {"from": first, "to": second, "power": POWER, "answers": answers_per_arm(first, second)}
            for first, second in DIFFERENCES
        ],
        "assumed": {"unaided": UNAIDED, "expert": EXPERT},
    }


DIFFERENCES = ((0.5, 0.55), (0.75, 0.8), (0.572, 0.754), (0.78, 0.88), (0.74, 0.84))
"""Five points at chance and above; then effects that were published of oversight by people."""
