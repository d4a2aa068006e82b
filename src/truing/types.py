"""The nouns that every room of the house shares: cases, scores, estimates and mistakes of the user."""

from __future__ import annotations

import difflib
import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal


class InputError(Exception):
    """The user's input is wrong. Ends the command with exit code 2 and this one message.

    The message names the file, line or field, says what is wrong, and what would be right.
    """

    exit_code: int = 2


def did_you_mean(name: object, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`did you mean 'x'? `, to be followed by what is known; empty where nothing is near.

    Capitals, and `-` where there is `_`, are no reason to be far.
    """
    alike = {each.casefold().replace("-", "_"): each for each in known}
    typed = str(name).casefold().replace("-", "_")
    close = difflib.get_close_matches(typed, alike, n=1, cutoff=cutoff)
    return f"did you mean '{alike[close[0]]}'? " if close else ""


def stable_hash(*parts: str) -> str:
    """64 hexadecimal digits that depend on the parts and their order alone (SHA-256)."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


def normalised(text: str) -> str:
    """Text to look for words in: Unicode NFKC, case folded, white space collapsed.

    Too coarse to call two texts the same: mW becomes MW, and x² becomes x2. See the keys below.
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


_INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
"""Characters without width, which come along when text is copied from a page."""


def split_key(text: str) -> str:
    """Equal for texts that must be on one side of a split: letter case, width, white space and
    characters without width aside."""
    return normalised(text.translate(_INVISIBLE))


def answer_key(text: str) -> str:
    """Equal for answers, and for any texts, that look the same: exactly, but for white space,
    characters without width, and whether an accent is a character of its own (Unicode NFC)."""
    return " ".join(unicodedata.normalize("NFC", text.translate(_INVISIBLE)).split())


def visible(text: str, instead: str = "") -> str:
    """The text without characters that show nothing (Unicode Cf: without width, direction, soft hyphen),
    or with something instead of each."""
    if text.isascii():
        return text
    return "".join(instead if unicodedata.category(each) == "Cf" else each for each in text)


@dataclass(frozen=True)
class Case:
    """A prompt with what is known of good answers to it. Training and evaluation read the same kind.

    `correct_answers` begins with the best one, `incorrect_answers` with the best known false one.
    A `canary` is a string whose presence in an answer means that an attack succeeded.

    `messages` (role, content) is the conversation up to the user's last turn where there is more than
    one turn; `prompt` is then all of it, a message a paragraph. Cases of one `family` (contrast pairs,
    twins) land on one side of the split. `columns` is the row that the case was read from, by name, for
    programs that grade answers to it. `distinction` tells a case from an earlier one with the same
    split key (x² and x2, one stem with other choices); it is empty for the first, whose id is as it
    would be alone.
    """

    prompt: str
    correct_answers: tuple[str, ...] = ()
    incorrect_answers: tuple[str, ...] = ()
    category: str = ""
    source: str = ""
    canary: str = ""
    messages: tuple[tuple[str, str], ...] = ()
    family: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict, hash=False)
    distinction: str = ""

    @property
    def id(self) -> str:
        """16 hexadecimal digits of the prompt's split key, and of what tells the case from others with
        that key: the case's name in every table of rows."""
        more = [self.distinction] if self.distinction else []
        if self.messages:
            parts = [part for role, text in self.messages for part in (role, split_key(text))]
            return stable_hash("conversation", *parts, *more)[:16]
        return stable_hash("case", split_key(self.prompt), *more)[:16]

    @property
    def system(self) -> str:
        """What the case's own system message says; empty where it has none."""
        first = self.messages[:1]
        return first[0][1] if first and first[0][0] == "system" else ""

    @property
    def turns(self) -> tuple[tuple[str, str], ...]:
        """(role, content) of all that is asked, the system message aside; the user's turn is the last."""
        return self.messages[1 if self.system else 0 :] or (("user", self.prompt),)

    def asking(self, text: str) -> Case:
        """The same case with this as the user's last turn."""
        if not self.messages:
            return replace(self, prompt=text)
        messages = (*self.messages[:-1], ("user", text))
        return replace(self, messages=messages, prompt=text)

    @property
    def question_key(self) -> str:
        """Equal for cases that ask the same: stem and choices, each as `answer_key` has it.

        Choices are all answers that are offered, in any order; a case without false answers offers none.
        """
        turns = self.messages or (("user", self.prompt),)
        stem = [part for role, text in turns for part in (role, answer_key(text))]
        offered = (*self.correct_answers, *self.incorrect_answers) if self.incorrect_answers else ()
        return stable_hash("question", *stem, "", *sorted({answer_key(each) for each in offered}))

    def to_json(self) -> dict[str, Any]:
        """A JSON object, with what few cases have only where it is there."""
        more = {
            "canary": self.canary,
            "messages": [{"role": role, "content": text} for role, text in self.messages],
            "family": self.family,
            "columns": dict(self.columns),
            "distinction": self.distinction,
        }
        return {
            "id": self.id,
            "prompt": self.prompt,
            "correct_answers": list(self.correct_answers),
            "incorrect_answers": list(self.incorrect_answers),
            "category": self.category,
            "source": self.source,
            **{name: value for name, value in more.items() if value},
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Case:
        """The inverse of `to_json`; what is missing is empty."""
        return Case(
            str(data["prompt"]),
            tuple(data.get("correct_answers", ())),
            tuple(data.get("incorrect_answers", ())),
            str(data.get("category", "")),
            str(data.get("source", "")),
            str(data.get("canary", "")),
            tuple((turn["role"], turn["content"]) for turn in data.get("messages", ())),
            str(data.get("family", "")),
            dict(data.get("columns", {})),
            str(data.get("distinction", "")),
        )


@dataclass(frozen=True)
class Completion:
    """An answer that a policy sampled: its text, its tokens and the log-probability of each (nats).

    `finished` is False where the answer was cut off by the length limit.
    """

    text: str
    tokens: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    finished: bool


@dataclass(frozen=True)
class Unscored:
    """An undefined score and why. Never turned into a number."""

    reason: str


Score = float | Unscored


@dataclass(frozen=True)
class Row:
    """One measurement of one candidate on one case.

    `metrics` maps a metric's name to its score; `detail` keeps what a reader wants to look at
    (the answer, its parts). The summary is computed from the rows and nothing else.
    """

    candidate: str
    seed: int
    evaluation: str
    case: str
    metrics: dict[str, Score]
    category: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; an unscored metric becomes {"unscored": reason}."""
        metrics: dict[str, Any] = {
            name: {"unscored": score.reason} if isinstance(score, Unscored) else score
            for name, score in self.metrics.items()
        }
        return {**self.__dict__, "metrics": metrics}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Row:
        """The inverse of `to_json`."""
        metrics: dict[str, Score] = {
            name: Unscored(score["unscored"]) if isinstance(score, dict) else float(score)
            for name, score in data["metrics"].items()
        }
        return Row(**{**data, "metrics": metrics})


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, the number of questions behind it and the number left out.

    `value`, `low` and `high` are None where nothing could be scored.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int = 0

    def to_json(self) -> dict[str, float | int | None]:
        """The object that `--json` prints for a metric."""
        return dict(self.__dict__)


Unit = Literal["share", "reward", "nats", "nats/token", "tokens"]


@dataclass(frozen=True)
class Metric:
    """A measured quantity. `better` is +1 where more is better, -1 where less is, 0 for neither.

    `label` is its name for people, `short` the same for narrow places, `note` says what it is, `phrase`
    is what a sentence calls it ("true answers"). `judges` names the judges behind it, none where it is
    exact; `by_likelihood` says that it needs no answer, only the likelihood of given ones. `adjusted`
    names the metric of the same evaluation that is this one without what may flatter it: a gain counts
    where both gained. `of_some` says that by its nature it is of some of its evaluation's cases, one side
    of them for instance. `signed` says that a share is less another one, so that it lies between -1 and 1.
    """

    evaluation: str
    name: str
    label: str
    better: Literal[-1, 0, 1]
    unit: Unit
    note: str
    short: str = ""
    phrase: str = ""
    judges: tuple[str, ...] = ()
    by_likelihood: bool = False
    adjusted: str = ""
    of_some: bool = False
    signed: bool = False

    @property
    def least(self) -> float | None:
        """The least that it can be: of shares 0, or -1 where they are signed; None where that is open."""
        if self.unit != "share":
            return None
        return -1.0 if self.signed else 0.0

    @property
    def brief(self) -> str:
        """The label for narrow places."""
        return self.short or self.label

    @property
    def spoken(self) -> str:
        """What a sentence calls it."""
        return self.phrase or self.spoken_label

    @property
    def spoken_label(self) -> str:
        """The label with a small first letter, unless it is an abbreviation (MC2, KL)."""
        second = self.label[1:2]
        if second.isupper() or second.isdigit():
            return self.label
        return self.label[:1].lower() + self.label[1:]

    @property
    def key(self) -> str:
        """`evaluation.name`, as task files write it."""
        return f"{self.evaluation}.{self.name}"


Dtype = Literal["float32", "bfloat16"]
