"""The process that renders chat templates: requests in lines of JSON come in, answers go out.

A chat template is a program that came with somebody's weights. Here it may take so much processor time
and so much memory, and the system ends it where it takes more: a loop, a power or a string of ten
billion characters ends this process and nothing else. Started as a file, so that it loads little.

The environment is that of `transformers` (`apply_chat_template`), so that texts are the same.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox
import jinja2.utils

try:
    import resource
except ImportError:  # Windows: whoever asks gives up after a while all the same
    resource = None  # type: ignore[assignment]


class _Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what an assistant said; the text is that of its body."""

    tags = {"generation"}  # noqa: RUF012  # as jinja2 has it

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_body")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _body(self, caller: Callable[[], str]) -> str:
        return caller()


class _Namespace(jinja2.utils.Namespace):
    """Without names that lead into Python's own attributes."""

    def __setitem__(self, name: str, value: Any) -> None:
        if str(name).startswith("_"):
            raise jinja2.exceptions.SecurityError(f"{name}: names may not begin with a low line")
        super().__setitem__(name, value)


def _to_json(value: Any, ensure_ascii: bool = False, **form: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **form)


def _raise_exception(message: str) -> None:
    raise jinja2.exceptions.TemplateError(message)


@functools.lru_cache(16)
def _compiled(source: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _raise_exception, "namespace": _Namespace}
    return environment.from_string(source)


def _rendered(request: dict[str, Any]) -> dict[str, Any]:
    now = datetime.datetime.fromisoformat(request["now"])
    try:
        text = _compiled(request["template"]).render(
            request["variables"] | {"strftime_now": now.strftime, "tools": None, "documents": None}
        )
    except MemoryError:
        return {"beyond": "memory"}
    except Exception as error:  # a template raises what it likes
        return {"refused": " ".join(f"{error or type(error).__name__}".split())[:300]}
    return {"text": text} if len(text) <= request["most"] else {"beyond": "length"}


def _limit(kind: str, amount: int) -> None:
    with contextlib.suppress(ValueError, OSError, AttributeError):
        number = getattr(resource, kind)
        resource.setrlimit(number, (amount, resource.getrlimit(number)[1]))


def _processor_seconds() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int(used.ru_utime + used.ru_stime) + 1


def main(seconds: int, memory: int) -> None:
    """Answers until its input ends. `seconds` are for each request, `memory` (bytes) for the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's is for whoever asks
    if resource is not None:
        _limit("RLIMIT_AS", memory)
        _limit("RLIMIT_CORE", 0)
    for line in sys.stdin:
        request = json.loads(line)
        if resource is not None:
            _limit("RLIMIT_CPU", _processor_seconds() + seconds)
        sys.stdout.write(json.dumps(_rendered(request)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
