"""The plan of a study of oversight: who is asked what, under which advice, in what order.

    plan.json      what was asked for: seed, arms, people, time limit, exclusion rule; a hash of each file
    trials.jsonl   one trial a line: all that a person may see, the passage of a `passage` trial aside
    key.jsonl      the answer and the passage of each item: apart, so that nothing that shows a trial has
                   to open it (the passage is shown in `passage` trials alone)
    answers.jsonl  what people answered, see answers.py

An arm is how a person is helped. Whose side an adviser takes, where the right option stands and who speaks
first are drawn in the plan, as often each way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from truing.data.drafts import mistake
from truing.files import numbered_jsonl, read_bytes, read_json
from truing.types import InputError, stable_hash

FORMAT = "truing-oversight/1"
RECORD, TRIALS, KEY, ANSWERS = "plan.json", "trials.jsonl", "key.jsonl", "answers.jsonl"

Arm = Literal[
    "unaided",
    "passage",
    "adviser",
    "claim",
    "consultancy",
    "open_consultancy",
    "debate",
    "dialogue",
]
ARMS: tuple[Arm, ...] = get_args(Arm)
ABOUT: dict[Arm, str] = {
    "unaided": "no help",
    "passage": "the passage itself: the expert",
    "adviser": "the adviser alone, without a person",
    "claim": "the adviser names an option, and no reason; the side is assigned",
    "consultancy": "the adviser argues for an option; the side is assigned",
    "open_consultancy": "the adviser argues for the option that it takes itself",
    "debate": "two sides argue, one after the other",
    "dialogue": "the adviser argues for an assigned option and answers questions",
}
ASSIGNED: tuple[Arm, ...] = ("claim", "consultancy", "dialogue")
"""Arms whose adviser is given its side: half of the time the wrong one."""
ADVISED: tuple[Arm, ...] = (*ASSIGNED, "open_consultancy")
"""Arms in which one adviser speaks for one option."""
LETTERS = ("A", "B")
SILENT = "(The adviser said nothing.)"
"""What stands for a speech that there isn't."""
_FIXED = (
    "a plan is fixed before the study begins: put the file back, or plan anew in another folder"
)
_HINT = "give the folder that `truing oversight plan --out` wrote"


@dataclass(frozen=True, slots=True)
class Quote:
    """A quotation in a speech, and whether it stands in the passage word for word."""

    text: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Speech:
    """What an adviser says for an option (`side`: its place in the trial's options; None where it names
    none or both, which is counted and never guessed at)."""

    side: int | None
    text: str
    quotes: tuple[Quote, ...] = ()
    tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "quotes": [asdict(quote) for quote in self.quotes]}


@dataclass(frozen=True, slots=True)
class Trial:
    """One question put to one person. `place` is the trial's number for the person, from 0.

    `options` stand in the order in which they are shown, as A and B. `side` is the option that a lone
    adviser speaks for, None where there is none. `speeches` are in the order in which they are shown.
    `questions` is how many questions may be asked of the adviser (dialogue).
    """

    id: str
    person: str
    place: int
    arm: Arm
    item: str
    question: str
    options: tuple[str, str]
    side: int | None = None
    speeches: tuple[Speech, ...] = ()
    questions: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            **{name: getattr(self, name) for name in Trial.__slots__},
            "options": list(self.options),
            "speeches": [speech.to_json() for speech in self.speeches],
        }


@dataclass(frozen=True, slots=True)
class Sealed:
    """What nobody may see before the end: an item's right option (its text) and the passage."""

    item: str
    answer: str
    passage: str
    source: str
    adviser: str | None = None
    """What the adviser alone answers; None where it wasn't asked."""
    adviser_unscored: str = ""
    """Why there is no answer of the adviser's, where it was asked and there is none."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Whose answers are left out, fixed before the first is given.

    A person is, with all answers, where more than this share of trials timed out, or where half of
    the answers took less than so many seconds.
    """

    timed_out: float = 0.25
    least_seconds: float = 2.0

    @property
    def words(self) -> str:
        """The rule as a sentence."""
        return (
            f"A person is left out where more than {self.timed_out:.0%} of the trials timed out, or "
            f"the median answer took less than {self.least_seconds:g} seconds."
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A study's plan as it stands in its folder."""

    folder: Path
    record: Mapping[str, Any]
    trials: tuple[Trial, ...]

    @property
    def hash(self) -> str:
        """64 hexadecimal digits of all that the study fixed before it began."""
        return str(self.record["hash"])

    @property
    def people(self) -> tuple[str, ...]:
        """Places for people, P1, P2, ...: who takes which is the labelling page's to say."""
        return tuple(dict.fromkeys(trial.person for trial in self.trials))

    @property
    def time_limit(self) -> int:
        """Seconds for a trial."""
        return int(self.record["time_limit"])

    @property
    def exclusion(self) -> Exclusion:
        """The rule by which people are left out."""
        return Exclusion(**self.record["exclusion"])

    def of(self, person: str) -> tuple[Trial, ...]:
        """A person's trials, in order."""
        return tuple(sorted((t for t in self.trials if t.person == person), key=lambda t: t.place))

    def passage(self, trial: Trial) -> str:
        """The passage of a `passage` trial, the one kind that shows it. Raises ValueError for others."""
        if trial.arm != "passage":
            raise ValueError("the passage is shown in `passage` trials alone")
        return self.key()[trial.item].passage

    def key(self) -> dict[str, Sealed]:
        """What is sealed, by item: for the report, when all is answered."""
        sealed = {}
        for number, record in numbered_jsonl(self.folder / KEY):
            try:
                sealed[record["item"]] = Sealed(**record)
            except (KeyError, TypeError) as error:
                raise _changed(self.folder / KEY, number, error) from None
        return sealed


def _changed(path: Path, number: int, error: Exception) -> InputError:
    return mistake(f"{path}:{number}", None, "", f"not as it was planned ({error})", _HINT)


def file_hash(path: Path) -> str:
    """64 hexadecimal digits of a file's bytes."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def record_hash(record: Mapping[str, Any]) -> str:
    """64 hexadecimal digits of all that a plan's record says, its own hash aside."""
    names = sorted(record.keys() - {"hash"})
    return stable_hash("study", *(f"{name}={record[name]!r}" for name in names))


def read_plan(folder: Path) -> Plan:
    """The plan in a folder. Raises InputError where there is none, or where it was changed since."""
    if not (folder / RECORD).is_file():
        raise InputError(f"{folder}: no plan of a study in it ({RECORD} is missing); {_HINT}")
    record = read_json(folder / RECORD)
    if record.get("format") != FORMAT or not isinstance(record.get("files"), dict):
        raise InputError(f"{folder / RECORD}: format: not {FORMAT}; {_HINT}")
    if record_hash(record) != record.get("hash"):
        raise InputError(f"{folder / RECORD}: not as it was planned; {_FIXED}")
    for name in (TRIALS, KEY):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: missing; {_FIXED}")
        if file_hash(folder / name) != record["files"].get(name):
            raise InputError(f"{folder / name}: not the file that was planned; {_FIXED}")
    trials = tuple(_trial(folder / TRIALS, *line) for line in numbered_jsonl(folder / TRIALS))
    return Plan(folder, record, trials)


def _trial(path: Path, number: int, record: Mapping[str, Any]) -> Trial:
    try:
        speeches = tuple(speech_of(each) for each in record["speeches"])
        first, second = record["options"]
        return Trial(**{**record, "options": (first, second), "speeches": speeches})
    except (KeyError, TypeError, ValueError) as error:
        raise _changed(path, number, error) from None


def speech_of(record: Mapping[str, Any]) -> Speech:
    """A speech as it stands in a file. Raises TypeError or KeyError where it isn't one."""
    return Speech(**{**record, "quotes": tuple(Quote(**quote) for quote in record["quotes"])})
