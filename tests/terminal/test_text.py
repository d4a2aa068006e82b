"""What is foreign is harmless on a terminal, and whatever a terminal has no code for is readable."""

from __future__ import annotations

import codecs
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from paths import ROOT
from truing.terminal import harmless, say
from truing.terminal.console import TerminalConsole
from truing.terminal.text import readable, shortly


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("sure\rError", "sure\\rError"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edcb\u202c", "abc\\u202edcb\\u202c"),
        ("half \ud83d", "half \\ud83d"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("naïve 日本語 👩‍💻 שלום", "naïve 日本語 👩‍💻 שלום"),
    ],
)
def test_what_acts_on_a_terminal_is_spelled_out(foreign: str, shown: str) -> None:
    assert harmless(foreign) == shown


@given(st.text(st.characters()))
def test_no_text_acts_on_a_terminal(text: str) -> None:
    shown = harmless(text)
    assert harmless(shown) == shown
    assert all(c in "\n\t" or c.isprintable() or ord(c) > 0x9F for c in shown)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]", shown)


def test_say(capsys: pytest.CaptureFixture[str]) -> None:
    say("out [b] \x1b")
    say("err \x08", error=True)
    assert capsys.readouterr() == ("out [b] \\x1b\n", "err \\x08\n")


def _printed(renderable: object) -> str:
    file = io.StringIO()
    TerminalConsole(file, width=60).print(renderable)
    return file.getvalue()


@pytest.mark.parametrize("foreign", ["[red]a[/red]", "[/]", ":smile:", "\x1b[31ma", "a\u202eb"])
def test_a_console_shows_foreign_text_wherever_it_stands(foreign: str) -> None:
    table = Table(foreign, title=foreign)
    table.add_row(foreign)
    table.add_row(Text(foreign))
    for renderable in (foreign, Text(foreign), table):
        page = _printed(renderable)
        assert harmless(foreign) in page
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", page)


def test_colours_of_our_own_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _printed(Text("a\x1b", style="red")) == "\x1b[31ma\\x1b\x1b[0m\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
def test_every_text_can_be_written_in_every_encoding(encoding: str) -> None:
    text = "▲ −0.12 … “quoted” 日本 \ud83d é"
    raw = io.BytesIO()
    codecs.register_error("test.readable", readable)
    with io.TextIOWrapper(raw, encoding=encoding, errors="test.readable") as stream:
        stream.write(text)
        stream.flush()
        written = raw.getvalue().decode(encoding)
    assert "\\u65e5\\u672c" in written and "\\ud83d" in written
    if encoding == "ascii":
        assert written == '^ -0.12 ~ "quoted" \\u65e5\\u672c \\ud83d \\xe9'


def test_the_beginning_of_a_text() -> None:
    assert shortly("a  b\nc", 10) == "a b c"
    assert shortly("What is the capital of France?", 12) == "What is the…"


def test_everything_is_printed_through_the_one_door() -> None:
    source = ROOT / "src" / "truing"
    other = re.compile(r"(?<![\w.])print\(|typer\.echo|[^l]Console\(|sys\.std(out|err)\.write")
    doors = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in sorted(source.rglob("*.py"))
        if path.parent.name != "terminal" and not path.stem.endswith("worker")  # a pipe listens
        for line in path.read_text("utf-8").splitlines()
        if other.search(line)
    ]
    assert doors == []
