"""The commands about people's work: what they print, and how mistakes end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import uvicorn
from sqlalchemy import func, select, text

from commands import refused, run
from people_work import fill, someone, work
from study_people import planned
from truing.files import read_jsonl
from truing.people import Store, open_store
from truing.people.annotators import by_token
from truing.people.serving import fill_with_demo, label
from truing.people.tables import Prompt, Task
from truing.people.vocabulary import ABOUT_ANSWERS
from truing.people.web import connections
from truing.types import InputError


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_import_export_and_erase() -> None:
    pair = {"prompt": "Why?", "chosen": "A", "rejected": "B", "user": "u1"}
    Path("pairs.jsonl").write_text(json.dumps(pair) + "\n", encoding="utf-8")
    done = run("data", "import", "pairs.jsonl", "--consent", "given", "--ask", "rating", "--json")
    assert json.loads(done.stdout) == {
        "records": 1, "added": {"completions": 2, "judgements": 1, "prompts": 1, "tasks": 3},
        "judgements_there_already": 0, "of_these_superseded": 0, "judgements_superseded": 0,
        "left_out": {}, "remarks": {}, "bad_lines": [],
    }  # fmt: skip
    again = run("data", "import", "pairs.jsonl").stdout
    assert again == "Added: nothing new\n1 judgements were there already\n"
    done = run(
        "data", "export", "out.jsonl", "--form", "preference", "--consent", "given", "--json"
    )
    assert json.loads(done.stdout) == {
        "file": "out.jsonl", "form": "preference", "rows": 1, "judgements": 1, "left_out": {}
    }  # fmt: skip
    (row,) = read_jsonl(Path("out.jsonl"))
    wanted = {"chosen": "A", "source": "pairs.jsonl", "consent": "given", "user": "u1"}
    assert wanted.items() <= row.items()
    erased = json.loads(run("data", "erase", "--user", "u1", "--json").stdout)
    assert erased["erased"]["prompts"] == 1 and erased["remains"] == ""
    assert run("data", "export", "out.jsonl").stdout == "out.jsonl: 0 rows\n"


def test_what_goes_to_standard_output_is_the_rows_alone() -> None:
    Path("a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n', encoding="utf-8")
    assert run("data", "import", "a.jsonl").exit_code == 0
    done = run("data", "export", os.devnull, "--form", "messages")
    assert done.stdout == "" and done.stderr == f"{os.devnull}: 1 rows\n"
    assert Path(os.devnull).is_char_device()


def test_bad_lines_are_told_on_standard_error() -> None:
    Path("bad.jsonl").write_text('{"prompt": "a"}\n{\n', encoding="utf-8")
    assert "bad.jsonl:2: not valid JSON" in refused(run("data", "import", "bad.jsonl"))
    done = run("data", "import", "bad.jsonl", "--keep-good-lines")
    assert done.stdout == "Added: 1 prompts\n" and "Left out: bad.jsonl:2" in done.stderr


def test_mistakes_end_with_one_message() -> None:
    assert "no file people.db" in refused(run("data", "export", "x.jsonl"))
    assert not Path("people.db").exists()
    assert "either --annotator" in refused(run("data", "erase"))
    assert "no such file" in refused(run("data", "import", "absent.jsonl"))
    assert "--store" in refused(run("label", "--store", "no/such/folder.db"))
    assert "--token" in refused(run("label", "--token", "\n"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "can't be used" in refused(run("label", "--port", taken.getsockname()[1]))


@pytest.mark.parametrize(
    "words",
    [
        ["data", "export", "x.jsonl"],
        ["data", "export", "x.json", "--form", "argilla", "--kind", "rating"],
        ["data", "import", "in.jsonl"],
        ["data", "erase", "--user", "u"],
        ["label", "--port", "0"],
    ],
)
def test_every_command_refuses_a_store_of_a_newer_schema(words: list[str]) -> None:
    store = open_store("newer.db")
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    Path("in.jsonl").write_text('{"prompt": "a"}\n')
    message = refused(run(*words, "--store", "newer.db"))
    assert "schema 9999" in message and "newer truing" in message
    assert not Path("x.jsonl").exists() and not Path("x.json").exists()


def test_export_leaves_the_old_file_where_it_cannot_write(sqlite_store: Store) -> None:
    fill(sqlite_store, ["rating"])
    work(sqlite_store, someone(sqlite_store, "Ada"))
    Path("folder.jsonl").mkdir()
    path = sqlite_store.url.database
    message = refused(run("data", "export", "folder.jsonl", "--form", "ratings", "--store", path))
    assert "folder.jsonl: a folder is there" in message
    assert list(Path("folder.jsonl").iterdir()) == []


def test_the_page_starts_without_the_libraries_of_models() -> None:
    heavy = ("torch", "transformers", "peft", "sklearn", "pyarrow")
    code = f"import sys, truing.people.serving; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_demo_has_every_kind_and_stays_out_of_your_store(sqlite_store: Store) -> None:
    fill_with_demo(sqlite_store)
    fill_with_demo(sqlite_store)  # a second start adds nothing
    with sqlite_store.reading() as session:
        counts = dict(session.execute(select(Task.kind, func.count()).group_by(Task.kind)).all())
        assert set(counts) == set(ABOUT_ANSWERS) and counts["annotation"] == 8
        assert set(session.scalars(select(Prompt.consent))) == {"own"}
    fill(sqlite_store)
    with pytest.raises(InputError, match="holds prompts of yours"):
        fill_with_demo(sqlite_store)


class Stopped:
    """A server that ends at once, and what it was to serve."""

    configs: ClassVar[list[uvicorn.Config]] = []
    places: ClassVar[list[str]] = []

    def __init__(self, config: uvicorn.Config, closing: object) -> None:
        self.configs.append(config)

    def run(self, sockets: list[socket.socket]) -> None:
        self.places.append(sockets[0].getsockname()[0])
        raise KeyboardInterrupt


@pytest.fixture()
def stopped(monkeypatch: pytest.MonkeyPatch) -> type[Stopped]:
    monkeypatch.setattr(connections, "Server", Stopped)
    Stopped.configs, Stopped.places = [], []
    return Stopped


def test_the_token_may_come_from_a_file_or_a_variable(
    stopped: type[Stopped], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("token.txt").write_text("of-a-file\n")
    Path("two.txt").write_text("of a file\n")
    monkeypatch.setenv("TRUING_TOKEN", "of-a-variable")
    words = ("label", "--port", "0")
    for options, token in (
        ((), "of-a-variable"),
        (("--token-file", "token.txt"), "of-a-file"),
        (("--token", "of-the-line"), "of-the-line"),
    ):
        assert f"?token={token}\n" in run(*words, *options).stdout
    assert "one of the two" in refused(run(*words, "--token", "x", "--token-file", "token.txt"))
    assert "two.txt: must hold the token" in refused(run(*words, "--token-file", "two.txt"))
    assert "no such file" in refused(run("serve", "absent", "--token-file", "absent.txt"))


def test_others_are_let_in_only_when_it_is_asked_for_and_with_a_warning(
    stopped: type[Stopped],
) -> None:
    alone = run("label", "--port", "0")
    assert alone.stderr == "" and "http://127.0.0.1:" in alone.stdout
    anywhere = run("label", "--port", "0", "--host", "0.0.0.0")
    assert "need a link" in anywhere.stderr and "without TLS" in anywhere.stderr
    assert "0.0.0.0" not in anywhere.stdout
    public = ("--public-url", "https://label.example.org/", "--proxy", "10.1.2.3")
    proxied = run("label", "--port", "0", *public)
    assert "link: https://label.example.org/?token=" in proxied.stdout
    assert "proxy with TLS" in proxied.stderr and "without TLS" not in proxied.stderr
    assert stopped.places == ["127.0.0.1", "0.0.0.0", "127.0.0.1"]
    assert [each.proxy_headers for each in stopped.configs] == [False, False, True]
    assert stopped.configs[-1].forwarded_allow_ips == "10.1.2.3"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "192.0.2.1"), "--host: '192.0.2.1' is no address of this machine"),
        (("--host", "no.such.host.invalid"), "is no address of this machine"),
        (("--public-url", "label.example.org"), "--public-url"),
        (("--host", "0.0.0.0", "--token", "short"), "16 characters"),
    ],
)
def test_addresses_that_cannot_be_are_refused(
    stopped: type[Stopped], options: tuple[str, ...], words: str
) -> None:
    assert words in refused(run("label", "--port", "0", *options))
    assert stopped.places == []


def test_label_says_the_link_and_binds_to_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, bool]] = []

    class Server:
        def __init__(self, config: object, closing: object) -> None:
            self.quiet = not config.access_log  # type: ignore[attr-defined]

        def run(self, sockets: list[socket.socket]) -> None:
            seen.append((sockets[0].getsockname()[0], self.quiet))
            sockets[0].close()
            raise KeyboardInterrupt

    monkeypatch.setattr(connections, "Server", Server)
    said: list[str] = []
    for token in ("my token", None, None):
        label("people.db", port=0, token=token, say=said.append)
    assert seen == [("127.0.0.1", True)] * 3
    assert "?token=my%20token" in said[0] and said[1].split("=")[1] != said[2].split("=")[1]
    store = open_store("people.db")
    with store.reading() as session:
        assert by_token(session, "my token") is None  # a newer start ended it
        assert by_token(session, said[2].split("=")[1]) is not None
    store.close()


def test_a_study_has_a_page_of_its_own(stopped: type[Stopped]) -> None:
    plan = planned(Path("study"), people=4, rounds=1)
    served = run("label", "--port", "0", "--study", "study", "--token", "of-the-lead")
    assert "?token=of-the-lead\n" in served.stdout
    assert "0 answers are in study/answers.jsonl" in served.stdout
    assert Path("study/people.db").is_file() and not Path("people.db").exists()
    assert stopped.configs[-1].app.state.study.plan.hash == plan.hash  # type: ignore[union-attr]
    words = ("label", "--port", "0", "--study", "study")
    assert "--study" in refused(run(*words, "--demo"))
    assert "nothing can be asked" in refused(run(*words, "--adviser", "smollm2-135m"))
    assert "--adviser" in refused(run("label", "--port", "0", "--adviser", "smollm2-135m"))
    assert "truing oversight plan" in refused(run("label", "--port", "0", "--study", "."))
    assert not Path("people.db").exists()
