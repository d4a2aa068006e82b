"""Parts of a spec that are one of several kinds, chosen by name, each kind with keys of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from truing.spec.part import WHOLE_SENTENCE, Part, worded
from truing.types import InputError, did_you_mean

IN_SPEC = "in a spec"
"""The context in which a kind's keys are checked where a spec around it words the mistakes."""


class KindPart(Part):
    """A part that is one of several kinds. Each kind is a class, and its keys are fields of it.

    A field that is excluded from what is written isn't a key: the program sets it, a spec can't.
    """

    name: str = Field(description="which kind")

    @classmethod
    def kinds(cls) -> Mapping[str, type[KindPart]]:
        """Every kind by the name that a spec has for it."""
        raise NotImplementedError

    @classmethod
    def spec_keys(cls) -> dict[str, FieldInfo]:
        """What a spec can set of this kind, beside the name."""
        fields = cls.model_fields.items()
        return {key: field for key, field in fields if key != "name" and not field.exclude}

    @classmethod
    def known_keys(cls) -> list[str]:
        """See Part; of the part itself, those of every kind."""
        kinds = cls.kinds().values() if cls.model_fields["name"].is_required() else (cls,)
        return list(dict.fromkeys(["name", *(key for kind in kinds for key in kind.spec_keys())]))

    @model_validator(mode="wrap")
    @classmethod
    def _refused_in_one_line(
        cls, data: Any, check: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        try:
            return check(data)
        except ValidationError as error:
            if info.context is not None:
                raise
            raise InputError(worded(error.errors()[0], cls, cls.__name__)) from None


Kind = TypeVar("Kind", bound=KindPart)


def default_of(field: FieldInfo) -> Any:
    """A field's default as a spec would have it: of a kind, the name."""
    value = field.get_default(call_default_factory=True)
    return value.name if isinstance(value, KindPart) else value


def refusal(key: str, value: object, text: str) -> ValidationError:
    """An error about one key, in our own words, to be raised while a part is checked."""
    error = PydanticCustomError(WHOLE_SENTENCE, "{text}", {"text": text})
    details = InitErrorDetails(type=error, loc=(key,), input=value)
    return ValidationError.from_exception_data("spec", [details])


def chosen(kinds: Mapping[str, type[Kind]], name: object, key: str = "name") -> type[Kind]:
    """The kind of this name, which stands under `key`. Raises ValidationError where there is none."""
    if isinstance(name, str) and name in kinds:
        return kinds[name]
    known = ", ".join(repr(each) for each in kinds)
    hint = did_you_mean(name, kinds)
    raise refusal(key, name, f"{hint}must be one of {known}, got {name!r}")


def own_keys(
    data: Mapping[str, Any],
    kind: type[KindPart],
    kinds: Mapping[str, type[KindPart]],
    why_not: Callable[[str, list[str]], str],
) -> dict[str, Any]:
    """The keys that `kind` has a use for.

    Those of other kinds are dropped where they are at their default, as in a spec in which somebody wrote
    out every key, and refused elsewhere: `why_not` says why, from the key and the names of its kinds.
    """
    own = {key: value for key, value in data.items() if key in kind.spec_keys()}
    for key in (key for key in data if key not in own):
        users = {
            name: other.spec_keys()[key]
            for name, other in kinds.items()
            if key in other.spec_keys()
        }
        if not users:
            unknown = InitErrorDetails(type="extra_forbidden", loc=(key,), input=data[key])
            raise ValidationError.from_exception_data("spec", [unknown])
        if all(data[key] != default_of(field) for field in users.values()):
            raise refusal(key, data[key], why_not(key, list(users)))
    return own
