"""The respondent on file: answers that somebody else made, to be graded like any other.

A JSONL file has a prompt and its answer in each line:

    {"prompt": "Why is the sky blue?", "answer": "Air scatters blue light more."}

`question` or `instruction` may stand for the prompt, `completion`, `response` or `output` for the answer,
or `messages` for both: a conversation that ends with the answer. A CSV, TSV, JSON or Parquet file has the
same as columns. A case is answered by the line with its very prompt, white space aside.
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
from truing.evaluate.respondent import Ability, Advance, Computed, silent
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
    """A file's answers by `answer_key` of their prompts, in order, each with its line."""

    path: str
    answers: Mapping[str, tuple[str, int]]
    first: str

    @property
    def hash(self) -> str:
        """64 hexadecimal digits of prompts and answers."""
        parts = [text for prompt, (answer, _) in self.answers.items() for text in (prompt, answer)]
        return stable_hash("answers", *parts)

    def check(self, cases: Sequence[Case]) -> None:
        """Raises InputError where no case is answered."""
        if cases and not any(answer_key(case.prompt) in self.answers for case in cases):
            raise InputError(
                f"{self.path}: answers none of the questions; the first question is "
                f"{cases[0].prompt[:80]!r}, the file's first prompt {self.first.strip()[:80]!r}; "
                "a line answers the question whose very text its prompt is"
            )


def read_answers(name: str) -> Recording:
    """The recording called `answers:FILE`. Raises InputError naming the line that is wrong."""
    file = name.removeprefix(SCHEME)
    answers: dict[str, tuple[str, int]] = {}
    first = ""
    for number, place, record in _records(file):
        prompt, answer = _pair(place, record)
        first = first or prompt
        before, there = answers.setdefault(answer_key(prompt), (answer, number))
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


def _pair(place: str, record: Mapping[str, Any]) -> tuple[str, str]:
    if "messages" in record:
        return _of_messages(place, record["messages"])
    return _text(place, record, PROMPTS), _text(place, record, ANSWERS)


def _text(place: str, record: Mapping[str, Any], names: Sequence[str]) -> str:
    name = next((name for name in names if name in record), None)
    if name is None:
        there = ", ".join(map(str, record)) or "nothing"
        raise mistake(place, None, names[0], f"missing; there is {there}", _RIGHT)
    text = record[name]
    if not isinstance(text, str) or (name in PROMPTS and not text.strip()):
        raise mistake(place, None, name, "not a text with something in it", _RIGHT)
    return text


def _of_messages(place: str, messages: Any) -> tuple[str, str]:
    """Prompt and answer of a conversation; its prompt is every message but the system's, a message a
    paragraph, as a case of several turns has it."""
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
    return "\n\n".join(asked), messages[-1]["content"]


@dataclass
class RecordedRespondent:
    """Recorded answers. They were given under whatever prompt they were given: only `own` asks them."""

    name: str
    seed: int
    recording: Recording
    variant: PromptVariant
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
        max_new_tokens: int,
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
        return [self._answer(case) for case in cases]

    def _answer(self, case: Case) -> Completion | Unscored:
        known = self.recording.answers.get(answer_key(case.prompt))
        if known is None:
            return Unscored(f"{self.recording.path} has no answer to it")
        return Completion(known[0], (), (), finished=True)

    def choose(
        self, cases: Sequence[Case], advance: Advance = silent
    ) -> list[Choices | Lettered | Unscored]:
        """See Respondent: there are no likelihoods."""
        return [Unscored(LACKS["likelihoods"])] * len(cases)

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
