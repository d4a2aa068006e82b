"""Lists on the command line, alike for every command.

An option that takes several values can be repeated, several can stand behind it, and names and numbers
can have commas between them: `--seed 0 --seed 1`, `--seed 0 1`, `--seed 0,1`. No option takes the next
option for its value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

_WHOLE = ("FILE", "C", "DIR", "RUN", "GROUP")
"""Metavars of values in which a comma may be a part of the name."""
_NUMBER = "N"

Ends = Callable[[str], bool]
"""Whether a word behind an option's values is an argument of the command and none of them."""


def is_path(word: str) -> bool:
    """Whether a word is rather a file than a name."""
    return "/" in word or bool(Path(word).suffix)


def spread(arguments: Sequence[str], parameters: Sequence[Any], ends: Ends = is_path) -> list[str]:
    """The arguments as a parser knows them: every value behind an option of its own.

    Raises BadParameter where an option stands in the place of another's value.
    """
    options = {name: p for p in parameters if p.param_type_name == "option" for name in p.opts}

    def value_of(name: str) -> list[str]:
        """The next word, unless that is an option: then a value was left out before it."""
        word = next(rest, None)
        if word is not None and (word.startswith("--") or word in {"-h", *options}):
            raise _left_out(name, word)
        return [] if word is None else [word]

    lists = [p for p in parameters if p.param_type_name == "argument" and p.nargs == -1]
    result: list[str] = []
    rest = iter(arguments)
    option: Any = None
    for word in rest:
        name, _, value = word.partition("=")
        if word == "--":
            return [*result, word, *rest]
        if word.startswith("-") and len(word) > 1 and not _is_number(word):
            option = options.get(name)
            if option is None or not option.multiple:
                takes_none = option is None or value or getattr(option, "is_flag", False)
                result += [word]
                result += (
                    [] if takes_none else [w for _ in range(option.nargs) for w in value_of(name)]
                )
                option = None
            else:
                first = [value] if value else value_of(name)
                result += _repeated(name, option, first) if first else [word]
        elif option is not None and _continues(option, word, ends):
            result += _repeated(option.opts[0], option, [word])
        else:
            option = None
            result += _parts(lists[0], word) if lists else [word]
    return result


def _is_number(word: str) -> bool:
    return word[1:].replace(".", "", 1).isdecimal()


def _left_out(name: str, word: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"it needs a value, and {word!r} is an option; a value that begins so is written {name}={word}",
        param_hint=name,
    )


def _repeated(name: str, option: Any, values: Sequence[str]) -> list[str]:
    return [word for value in values for part in _parts(option, value) for word in (name, part)]


def _parts(parameter: Any, value: str) -> list[str]:
    metavar = str(parameter.metavar or "").removesuffix("...")
    if metavar in _WHOLE or "," not in value or " " in value or Path(value).exists():
        return [value]
    return [part.strip() for part in value.split(",") if part.strip()]


def _continues(option: Any, word: str, ends: Ends) -> bool:
    if option.metavar == _NUMBER:
        return all(part.strip().isdecimal() for part in word.split(","))
    return not ends(word)


class Listing(TyperCommand):
    """A command whose lists are given as above; `ends` says which words are arguments of its own."""

    ends: Ends = staticmethod(is_path)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        try:
            words = spread(args, self.params, self.ends)
        except typer.BadParameter as error:
            error.ctx = ctx
            raise
        return super().parse_args(ctx, words)


class Commands(typer.Typer):
    """Commands whose lists are alike, and which all answer to -h."""

    def __init__(self, **options: Any) -> None:
        names = {"help_option_names": ["-h", "--help"]}
        super().__init__(
            no_args_is_help=True, context_settings=names, pretty_exceptions_enable=False, **options
        )

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """See typer."""
        return super().command(name, **{"cls": Listing, **options})
