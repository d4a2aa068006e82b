"""What may be asked: the fields of OpenAI's chat completions, each either done exactly or refused."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from truing.models.decoding import Request
from truing.people.pilot import check_user
from truing.serve import neutral
from truing.serve.neutral import Neutral, asks_for_nothing
from truing.types import InputError

MOST_CHOICES = 8
MOST_STOPS = 4
DEFAULT_TOKENS = 1024
"""An answer's greatest length where none is asked for (less where the context ends before)."""


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair; write it as UTF-8") from None
    return text


class Form(BaseModel):
    """Unknown fields are refused: what is silently ignored isn't what was asked for.

    Those of `neutral` are taken where they ask for nothing.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    neutral: ClassVar[Neutral] = {}

    @model_validator(mode="before")
    @classmethod
    def _drop_neutral(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            name: value
            for name, value in data.items()
            if name not in cls.neutral or not asks_for_nothing(value, cls.neutral[name])
        }


class TextPart(Form):
    """A piece of a message's text; images and sounds aren't taken."""

    neutral: ClassVar[Neutral] = neutral.OF_TEXT
    type: Literal["text"]
    text: str


class Message(Form):
    """One turn of a conversation."""

    neutral: ClassVar[Neutral] = neutral.OF_MESSAGES
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = Field(None, description="the speaker's; chat templates have no place for it")

    @model_validator(mode="before")
    @classmethod
    def _said_nothing(cls, data: Any) -> Any:
        """An assistant's turn without content, as clients send back, is an empty one."""
        silent = isinstance(data, dict) and data.get("role") == "assistant"
        return data | {"content": data.get("content") or ""} if silent else data

    @field_validator("content")
    @classmethod
    def _check(cls, value: str | list[TextPart]) -> str | list[TextPart]:
        _encodable(_text(value))
        return value

    def plain(self) -> dict[str, str]:
        """As chat templates take it. A developer's message is a system message."""
        role = "system" if self.role == "developer" else self.role
        return {"role": role, "content": _text(self.content)}


def _text(content: str | list[TextPart]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


class StreamOptions(Form):
    """What a stream tells beside the text."""

    neutral: ClassVar[Neutral] = neutral.OF_STREAMS
    include_usage: bool | None = None


def _ends_with_the_user(messages: list[Message]) -> list[Message]:
    if messages[-1].role != "user":
        raise ValueError("the last message must be the user's")
    if not messages[-1].plain()["content"].strip():
        raise ValueError("the user's last message is empty")
    return messages


Conversation = Annotated[
    list[Message], Field(min_length=1, max_length=1000), AfterValidator(_ends_with_the_user)
]


class Drawing(Form):
    """How answers are drawn: what all forms share."""

    model: str
    temperature: float | None = Field(None, ge=0, le=2, description="without it 1")
    top_p: float | None = Field(None, gt=0, le=1, description="without it 1")
    seed: int | None = Field(None, description="equal seeds give equal answers; drawn without it")
    stop: str | list[str] | None = Field(None, description=f"at most {MOST_STOPS} texts")

    @model_validator(mode="before")
    @classmethod
    def _default_model(cls, data: Any, info: ValidationInfo) -> Any:
        # Where a server has several, the context names the first of them.
        return {**info.context, **data} if info.context and isinstance(data, dict) else data

    @field_validator("stop")
    @classmethod
    def _check_stop(cls, value: str | list[str] | None) -> str | list[str] | None:
        texts = [value] if isinstance(value, str) else value or []
        if len(texts) > MOST_STOPS:
            raise ValueError(f"at most {MOST_STOPS} texts")
        for text in texts:
            _encodable(text)
        return value

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def request(
        self, prompt: Sequence[int], most: int, sample: int = 0, stops: Sequence[str] = ()
    ) -> Request:
        """The request for one answer. `stops` end it beside the form's own."""
        return Request(
            tuple(prompt),
            most,
            1.0 if self.temperature is None else self.temperature,
            1.0 if self.top_p is None else self.top_p,
            secrets.randbits(62) if self.seed is None else self.seed,
            sample,
            (*self.stops, *stops),
        )


class ChatForm(Drawing):
    """The body of POST /v1/chat/completions."""

    neutral: ClassVar[Neutral] = neutral.OF_CHAT
    messages: Conversation
    max_tokens: int | None = Field(None, ge=1, description="older name of max_completion_tokens")
    max_completion_tokens: int | None = Field(None, ge=1)
    n: int | None = Field(None, ge=1, le=MOST_CHOICES, description="answers; without it 1")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = Field(None, max_length=200, description="a pseudonym of who asks")
    metadata: dict[str, str] | None = Field(
        None, description='{"consent": "yes"}: the prompt may be kept'
    )

    @field_validator("user")
    @classmethod
    def _check_user(cls, value: str | None) -> str | None:
        try:
            return None if value is None else check_user(_encodable(value))
        except InputError as error:
            raise ValueError(str(error).removeprefix("user: ")) from None

    @field_validator("metadata")
    @classmethod
    def _check_consent(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        if (value or {}).get("consent", "no") not in ("yes", "no"):
            raise ValueError("consent is 'yes' or 'no'")
        return value

    @property
    def conversation(self) -> list[dict[str, str]]:
        """The messages as chat templates take them."""
        return [message.plain() for message in self.messages]

    @property
    def most_tokens(self) -> int | None:
        """The greatest length that is asked for, if any."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def agreed(self) -> bool:
        """Whether who asks agrees that prompt and answers are kept."""
        return (self.metadata or {}).get("consent") == "yes"


def described(error: ValidationError, form: type[Form]) -> tuple[str, str]:
    """The field that is wrong, and a sentence that names it and says what would be right."""
    first = error.errors()[0]
    # Branches of a union stand in the path by their type; fields and numbers are what people know.
    path = [part for part in first["loc"] if isinstance(part, int) or str(part).isidentifier()]
    path = [part for part in path if part not in ("str", "int", "list")]
    name = ".".join(str(part) for part in path) or "body"
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        reason = _not_taken(str(path[-1]), form if len(path) == 1 else None)
    return name, f"{name}: {reason}"


_PARTS: Neutral = {**neutral.OF_MESSAGES, **neutral.OF_TEXT, **neutral.OF_STREAMS}


def _not_taken(field: str, form: type[Form] | None) -> str:
    """Why a field of the form, or of one of its parts, is refused."""
    neutral_values = (form.neutral if form else _PARTS).get(field)
    if neutral_values is not None:
        values = " or ".join(json.dumps(value) for value in (None, *neutral_values))
        return f"not supported here; leave it out, or give {values}"
    if form is None:
        return "unknown"
    return f"not supported here; the fields are {', '.join(form.model_fields)}"
