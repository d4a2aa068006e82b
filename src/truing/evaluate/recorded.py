"""The respondent on file: answers that somebody else made, to be graded like any other.

A JSONL file has a prompt and its answer in each line:

    {"prompt": "Why is the sky blue?", "answer": "Air scatters blue light more."}

`question` or `instruction` may stand for the prompt, `completion`, `response` or `output` for the answer,
or `messages` for both: a conversation that ends with the answer. A CSV, TSV, JSON or Parquet file has the
same as columns. A case is answered by the line with its very prompt, white space aside. `system`, or the
conversation's system message, says what stood before: where cases or lines differ in nothing else, it must
be, or end with, what the case's own says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truing.data.drafts import bad_json, mistake
from truing.data.tables import read_table
from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.respondent import Ability, Advance, Computed, Continued, Longest, silent
from truing.files import NotJSONError, decoded, json_value, numbered_lines
from truing.prompts.variants import OWN, Context, PromptVariant
from truing.types import Case, Completion, InputError, Unscored, answer_key, stable_hash

SCHEME = "answers:"
PROMPTS = ("prompt", "question", "instruction")
ANSWERS = ("answer", "completion", "response", "output")
_TABLES = (".csv", ".tsv", ".json", ".parquet")
_RIGHT = (
    'give an object like {"prompt": "Why is the sky blue?", "answer": "Air scatters blue light."}'
)

LACKS: dict[Ability, str] = {
    "likelihoods": "recorded answers have no likelihoods (--free judges what they say)",
    "tokens": "recorded answers have no tokens",
    "distributions": "recorded answers have no distributions of next tokens",
}


def is_recorded(name: str) -> bool:
    """Whether a candidate's name is a file of answers."""
    return name.startswith(SCHEME)


@dataclass(frozen=True)
class Recording:
    """A file's answers by `answer_key` of their prompts and system messages, in order, each with its line.
    The system message is None where the file says nothing of it."""

    path: str
    answers: Mapping[str, Mapping[str | None, tuple[str, int]]]
    first: str

    @property
    def hash(self) -> str:
        """64 hexadecimal digits of prompts and answers."""
        parts = [
            text
            for prompt, by_system in self.answers.items()
            for system, (answer, _) in by_system.items()
            for text in (prompt, *([system] if system else []), answer)
        ]
        return stable_hash("answers", *parts)

    def answer(self, case: Case, *, ambiguous: bool) -> str | Unscored:
        """The answer to a case; `ambiguous` says that another case has its prompt under another system
        message, so that the prompt alone doesn't name it."""
        there = self.answers.get(asked_key(case)) or self.answers.get(answer_key(case.prompt))
        if there is None:
            return Unscored(f"{self.path} has no answer to it")
        own = answer_key(case.system)
        fitting = [text for system, (text, _) in there.items() if _stood_before(own, system)]
        if fitting:
            return fitting[0]
        if None in there and not ambiguous:
            return there[None][0]
        if not own and len(there) == 1 and not ambiguous:
            return next(iter(there.values()))[0]
        return Unscored(
            f"{self.path} answers its prompt, but doesn't say under which system message (field "
            "'system'), which tells cases with this prompt apart"
            if None in there
            else f"{self.path} answers its prompt under another system message"
        )

    def check(self, cases: Sequence[Case]) -> None:
        """Raises InputError where no case is answered."""
        known = self.answers.keys()
        if cases and not any({asked_key(c), answer_key(c.prompt)} & known for c in cases):
            raise InputError(
                f"{self.path}: answers none of the questions; the first question is "
                f"{cases[0].prompt[:80]!r}, the file's first prompt {self.first.strip()[:80]!r}; "
                "a line answers the question whose very text its prompt is"
            )


def asked_key(case: Case) -> str:
    """The key of all that a case asks, its system message aside."""
    return answer_key("\n\n".join(text for _, text in case.turns))


def _stood_before(own: str, system: str | None) -> bool:
    """Whether a case's system message is a recorded one, or the end of it, behind an instruction."""
    return system is not None and (system == own or (bool(own) and system.endswith(f" {own}")))


def ambiguous_prompts(cases: Sequence[Case]) -> frozenset[str]:
    """The prompts, by key, that are asked under more than one system message."""
    systems: dict[str, set[str]] = {}
    for case in cases:
        systems.setdefault(asked_key(case), set()).add(answer_key(case.system))
    return frozenset(prompt for prompt, each in systems.items() if len(each) > 1)


def read_answers(name: str) -> Recording:
    """The recording called `answers:FILE`. Raises InputError naming the line that is wrong."""
    file = name.removeprefix(SCHEME)
    answers: dict[str, dict[str | None, tuple[str, int]]] = {}
    first = ""
    for number, place, record in _records(file):
        prompt, system, answer = _recorded(place, record)
        first = first or prompt
        by_system = answers.setdefault(answer_key(prompt), {})
        before, there = by_system.setdefault(system, (answer, number))
        if before != answer:
            raise InputError(
                f"{place}: prompt: answered otherwise in line {there}; keep one answer to each"
            )
    if not answers:
        raise mistake(file, None, "", "holds no answer", _RIGHT)
    return Recording(file, answers, first)


def _records(file: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Each record with its number and its place."""
    path = Path(file).expanduser()
    if path.suffix.lower() in _TABLES:
        for number, row in enumerate(read_table(file, "answers").rows, 1):
            yield number, row.place, row.values
        return
    try:
        text = decoded(file, path.read_bytes())
    except OSError as error:
        reason = (
            "no such file" if isinstance(error, FileNotFoundError) else f"can't be read ({error})"
        )
        raise mistake(file, None, "", reason, "give a JSONL file of prompts and answers") from None
    for number, line in numbered_lines(text):
        place = f"{file}:{number}"
        try:
            record = json_value(line, None)
        except NotJSONError as error:
            raise bad_json(file, number, error, _RIGHT) from None
        if not isinstance(record, dict):
            raise mistake(
                place, None, "", f"{type(record).__name__} where an object belongs", _RIGHT
            )
        yield number, place, record


def _recorded(place: str, record: Mapping[str, Any]) -> tuple[str, str | None, str]:
    """Prompt, system message by its key, and answer of a record."""
    if "messages" in record:
        return _of_messages(place, record["messages"])
    system = record.get("system")
    if system is not None and not isinstance(system, str):
        right = "give the system message, or leave it out"
        raise mistake(place, None, "system", "not a text", right)
    key = None if system is None else answer_key(system)
    return _text(place, record, PROMPTS), key, _text(place, record, ANSWERS)


def _text(place: str, record: Mapping[str, Any], names: Sequence[str]) -> str:
    name = next((name for name in names if name in record), None)
    if name is None:
        there = ", ".join(map(str, record)) or "nothing"
        raise mistake(place, None, names[0], f"missing; there is {there}", _RIGHT)
    text = record[name]
    if not isinstance(text, str) or (name in PROMPTS and not text.strip()):
        raise mistake(place, None, name, "not a text with something in it", _RIGHT)
    return text


def _of_messages(place: str, messages: Any) -> tuple[str, str | None, str]:
    """The same of a conversation; its prompt is every message but the system's, a message a paragraph, as
    a case of several turns has it."""
    right = "give messages with role and content, the last one the assistant's"
    if not isinstance(messages, list) or not all(
        isinstance(m, dict) and isinstance(m.get("content"), str) for m in messages
    ):
        raise mistake(place, None, "messages", "not a list of messages", right)
    if len(messages) < 2 or messages[-1].get("role") != "assistant":
        raise mistake(place, None, "messages", "doesn't end with an answer", right)
    asked = [m["content"] for m in messages[:-1] if m.get("role") != "system"]
    if not any(text.strip() for text in asked):
        raise mistake(place, None, "messages", "asks nothing", right)
    system = [m["content"] for m in messages if m.get("role") == "system"]
    key = answer_key("\n\n".join(system)) if system else None
    return "\n\n".join(asked), key, messages[-1]["content"]


@dataclass
class RecordedRespondent:
    """Recorded answers. They were given under whatever prompt they were given: only `own` asks them."""

    name: str
    seed: int
    recording: Recording
    variant: PromptVariant
    cases: Sequence[Case] = ()
    """All that will be asked: which of them share a prompt decides what a line can answer."""
    computed: Computed = field(default_factory=Computed)
    hint: str = ""

    @property
    def prompt_name(self) -> str:
        """The variant's name."""
        return self.variant.name

    @property
    def lacks(self) -> Mapping[Ability, str]:
        """All but answers, and those under another prompt too."""
        if self.variant.name == OWN:
            return LACKS
        return {
            **LACKS,
            "answers": "recorded answers can't be asked for again under another prompt",
        }

    def answer(
        self,
        cases: Sequence[Case],
        max_new_tokens: Longest,
        *,
        temperature: float = 0.0,
        tokens: bool = False,
        advance: Advance = silent,
    ) -> list[Completion | Unscored]:
        """See Respondent: the answer to each case, whole, whatever its length."""
        if reason := self.lacks.get("answers"):
            return [Unscored(reason)] * len(cases)
        if tokens or temperature > 0:
            return [Unscored(LACKS["tokens"])] * len(cases)
        advance(len(cases))
        shared = ambiguous_prompts([*self.cases, *cases])
        return [self._answer(case, ambiguous=asked_key(case) in shared) for case in cases]

    def _answer(self, case: Case, *, ambiguous: bool) -> Completion | Unscored:
        known = self.recording.answer(case, ambiguous=ambiguous)
        return known if isinstance(known, Unscored) else Completion(known, (), (), finished=True)

    def choose(
        self, cases: Sequence[Case], advance: Advance = silent
    ) -> list[Choices | Lettered | Unscored]:
        """See Respondent: there are no likelihoods."""
        return [Unscored(LACKS["likelihoods"])] * len(cases)

    def continued(
        self, asked: Sequence[Continued], advance: Advance = silent
    ) -> list[tuple[float, ...] | Unscored]:
        """See Respondent: there are no likelihoods."""
        return [Unscored(LACKS["likelihoods"])] * len(asked)

    def contexts(self, cases: Sequence[Case]) -> tuple[Context, ...]:
        """Nothing is known of them."""
        return ()

    def about(self) -> dict[str, Any]:
        """That it is a file, and the hash of what is in it."""
        return {
            "parameters": None,
            "architecture": "recorded answers",
            "weights": self.recording.hash,
            "prompt": "",
            "scored": "recorded",
        }
