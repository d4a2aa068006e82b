"""The command line: what it builds, what it prints where, and how it ends."""

from __future__ import annotations

import errno
import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import truing
from synthetic_run import write_run
from tiny import tiny
from truing.cli.main import app
from truing.models.weights.catalogue import CATALOGUE, ModelUnavailable
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.types import InputError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="truing")


def refused(result: Result) -> str:
    """The one message of a command that the user's mistake ended."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    message = result.stderr.strip()
    assert message.startswith("Error: ")
    assert "\n" not in message
    return message


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the project or the user's cache, and none reaches the network."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


class Called(list[tuple[tuple[Any, ...], dict[str, Any]]]):
    """The calls of the main job."""

    @property
    def spec(self) -> Spec:
        [(arguments, _)] = self
        assert isinstance(arguments[0], Spec)
        return arguments[0]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Called]:
    """Puts something else in the place of the main job."""

    def put(does: Callable[[], Any]) -> Called:
        calls = Called()

        def align(*arguments: Any, **options: Any) -> Any:
            calls.append((arguments, options))
            return does()

        module = importlib.import_module("truing.recipes.align")
        monkeypatch.setattr(module, "align", align)
        return calls

    return put


@pytest.fixture
def calls(job: Callable[[Callable[[], Any]], Called]) -> Called:
    """A main job that chatters and ends at once."""

    def does() -> Any:
        print("a library's chatter")
        return SimpleNamespace(to_json=lambda: {"model": "naïve"})

    return job(does)


# --- What there is ----------------------------------------------------------------------------


def test_help_lists_the_commands_and_is_quick() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "truing.cli.main", "--help"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for name in ("align", "models", "report", "chat"):
        assert name in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "truing.types" in imported
    assert not imported & {"torch", "transformers", "numpy", "yaml", "pydantic"}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # its own time, however busy we are
    assert after.ru_utime - before.ru_utime < 10  # a loose bound; the imports above are what costs


def test_the_console_entry_point() -> None:
    """A report needs no PyTorch, which takes seconds to load."""
    code = (
        "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
        "from truing.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "nowhere"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: nowhere: no such folder")
    assert done.stderr.splitlines()[-1] == "False"


def _process(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "truing.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_with_few_characters_gets_the_whole_report(
    encoding: str, tmp_path: Path
) -> None:
    folder = write_run(tmp_path / "日本 – run", held_out=20, controls=8)
    with _process("report", folder, PYTHONIOENCODING=encoding) as done:
        out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    text = out.decode(encoding)
    assert "what each method gained, cost and broke" in text
    assert text.rstrip().endswith("report.html") and "\\u65e5\\u672c - run" in text
    with _process("report", "日本", PYTHONIOENCODING=encoding) as done:
        _, err = done.communicate(timeout=60)
    assert done.returncode == 2 and err.startswith(b"Error: \\u65e5\\u672c: no such folder")


def test_whoever_stops_reading_ends_the_command_quietly(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, held_out=20, controls=8) for name in "ab"]
    for line in (["report", *runs], ["models", "--json"], ["--help"]):
        with _process(*line) as done:
            assert done.stdout and done.stderr
            done.stdout.close()  # before anything is written
            assert done.stderr.read() == b"", line
            done.wait(timeout=60)


def test_escape_sequences_of_others_are_spelled_out(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text('"\\e[2Jmodel": x\n')
    message = refused(run("align", file))
    assert "\x1b" not in message and "\\x1b[2Jmodel" in message


def test_every_command_answers_to_h() -> None:
    for line in ([], ["align"], ["data"], ["data", "import"], ["eval"]):
        short, long = run(*line, "-h"), run(*line, "--help")
        assert short.exit_code == 0 and short.stdout == long.stdout
        assert "Usage: truing" in short.stdout


def test_version() -> None:
    assert run("--version").stdout == f"truing {truing.__version__}\n"


def test_usage_errors_end_with_2() -> None:
    assert run("algin").exit_code == 2
    assert run("align", "--sede", "1").exit_code == 2
    assert run("align", "--seed", "one").exit_code == 2
    assert run("report").exit_code == 2
    assert run("chat", "x", "--max-new-tokens", "0").exit_code == 2
    assert run("chat", "x", "--temperature", "-1").exit_code == 2


# --- The spec that align builds ---------------------------------------------------------------


def test_without_arguments_the_defaults_hold(calls: Called) -> None:
    assert run("align", "--json").exit_code == 0
    assert calls.spec == make_spec({}) != Spec()
    [(arguments, options)] = calls
    assert arguments[1] is None
    assert options["profile"] == "default"
    assert options["overwrite"] is False
    assert options["accept_licence"] is False


def test_options_win_over_the_file_and_the_file_over_the_profile(
    calls: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my spec.yaml"
    file.write_text(
        "model: from-file\nseeds: [9]\nrl: {steps: 7}\ndata: {limit: 12, questions: other.csv}\n"
    )
    line = [
        "align", str(file), "--model", "m", "--questions", "q.jsonl", "--controls", "none",
        "--out", "o", "--profile", "smoke", "--seed", "3", "--seed", "4", "--json", "--overwrite",
        "--accept-licence",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["/somewhere/truing", *line])
    assert run(*line).exit_code == 0
    expected = make_spec(
        {
            "model": "m",
            "seeds": [3, 4],
            "rl": {"steps": 7},
            "data": {"limit": 12, "questions": "q.jsonl", "controls": "none"},
        },
        profile="smoke",
    )
    assert calls.spec == expected
    assert calls.spec.rl.prompts_per_step == 2  # the profile's, which nothing overrode
    [(arguments, options)] = calls
    assert arguments[1] == Path("o")
    assert options == {
        "profile": "smoke",
        "command": f"truing align '{file}' {' '.join(line[2:])}",
        "overwrite": True,
        "accept_licence": True,
        "pool": None,
    }


def test_an_option_leaves_the_rest_of_its_part_alone(calls: Called, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("data: {held_out: 0.3, controls: none}\nseeds: [5]\n")
    assert run("align", file, "--questions", "q.csv", "--json").exit_code == 0
    data = calls.spec.data
    assert (data.questions, data.controls, data.held_out) == ("q.csv", "none", 0.3)
    assert calls.spec.seeds == (5,)


# --- What it prints ---------------------------------------------------------------------------


def test_json_is_one_document_whatever_libraries_print(calls: Called) -> None:
    result = run("align", "--json")
    assert json.loads(result.stdout) == {"model": "naïve"}
    assert result.stdout.isascii()
    assert "chatter" in result.stderr


def test_without_json_the_report_and_its_path(
    job: Callable[[Callable[[], Any]], Called], tmp_path: Path
) -> None:
    folder = write_run(tmp_path / "run", held_out=20, controls=8)

    def finished() -> Any:
        module = importlib.import_module("truing.recipes.align")
        return module.Aligned(folder, module.rebuild(folder))

    job(finished)
    result = run("align")
    assert result.exit_code == 0, result.output
    assert "what each method gained, cost and broke" in result.stdout
    assert result.stdout.splitlines()[-1] == f"Report: {folder / 'report.html'}"


def test_models() -> None:
    listed = json.loads(run("models", "--json").stdout)
    assert [entry["name"] for entry in listed] == list(CATALOGUE)
    assert not any(entry["cached"] for entry in listed)
    table = run("models")
    assert table.exit_code == 0
    assert all(name in table.stdout for name in CATALOGUE)
    assert max(map(len, table.stdout.splitlines())) <= 80


def test_report_writes_and_prints_each_run(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, held_out=20, controls=8) for name in ("a", "b")]
    result = run("report", *runs)
    assert result.exit_code == 0, result.output
    assert all((folder / "report.html").is_file() for folder in runs)
    assert result.stdout.count("what each method gained") == 2
    documents = json.loads(run("report", *runs, "--json").stdout)
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in runs]
    assert all(summary.pop("made_from") for summary in summaries)
    assert documents == summaries


# --- The user's mistakes ----------------------------------------------------------------------


def test_a_spec_file_that_is_not_there() -> None:
    assert "nowhere.yaml: no such file" in refused(run("align", "nowhere.yaml"))


def test_a_misspelt_key(calls: Called, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("rl: {stesp: 3}\n")
    message = refused(run("align", file))
    assert message == f"Error: {file}: rl.stesp: unknown key; did you mean 'steps'?"
    assert not calls


def test_an_option_hides_no_mistake_in_the_file(calls: Called, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("data: built-in\n")
    assert f"{file}: data: " in refused(run("align", file, "--questions", "q.csv"))
    assert not calls


def test_an_unknown_profile(calls: Called) -> None:
    message = refused(run("align", "--profile", "smoek"))
    assert "unknown profile 'smoek'" in message
    assert "smoke" in message
    assert not calls


def test_a_seed_given_twice(calls: Called) -> None:
    assert "seeds: each may be named once" in refused(run("align", "--seed", "1", "--seed", "1"))
    assert not calls


def test_an_unknown_model() -> None:
    message = refused(run("align", "--model", "smollm2-135", "--json"))
    assert "did you mean 'smollm2-135m'?" in message
    assert not Path("runs").exists()


def test_a_model_folder_without_weights(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    for command in (["align", "--out", "o", "--model", folder], ["chat", folder]):
        message = refused(run(*command))
        assert f"{folder}: no weights" in message
        assert "safetensors" in message
    assert not Path("o").exists()


def test_a_report_of_something_else(tmp_path: Path) -> None:
    run_folder = write_run(tmp_path / "run", held_out=20, controls=8)
    other = tmp_path / "other"
    other.mkdir()
    assert f"{other}: not a run folder" in refused(run("report", run_folder, other, "--json"))
    assert not (run_folder / "report.html").exists()


def test_chat_with_an_unknown_model() -> None:
    assert "unknown model" in refused(run("chat", "nobody"))


# --- Other endings ----------------------------------------------------------------------------


def failing(error: BaseException) -> Callable[[], Any]:
    def does() -> Any:
        raise error

    return does


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("here: wrong; right"), 2, "Error: here: wrong; right"),
        (ModelUnavailable("no network"), 1, "Error: no network"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 1, "Error: the disk is full"),
        (KeyboardInterrupt(), 130, "The same command goes on from here"),
    ],
)
def test_endings_with_one_message(
    error: BaseException, code: int, message: str, job: Callable[[Callable[[], Any]], Called]
) -> None:
    job(failing(error))
    result = run("align", "--json")
    assert result.exit_code == code
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupted_overwrite_says_how_to_go_on(
    job: Callable[[Callable[[], Any]], Called],
) -> None:
    job(failing(KeyboardInterrupt()))
    assert "without --overwrite goes on" in run("align", "--overwrite").stderr


def test_a_defect_shows_its_traceback_without_locals() -> None:
    code = (
        "import truing.models.weights.catalogue as c\n"
        "def broken():\n    secret = 'abc' * 9\n    raise ValueError('a defect')\n"
        "c.list_models = broken\n"
        "import sys; sys.argv = ['truing', 'models']\n"
        "from truing.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "ValueError: a defect" in done.stderr
    assert "abc" * 9 not in done.stderr


# --- Chat -------------------------------------------------------------------------------------


def test_chat_answers_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = importlib.import_module("truing.serve.chat")
    opened: list[tuple[Any, ...]] = []

    def open_chat(*arguments: Any, accept_licence: bool) -> Any:
        opened.append((*arguments, accept_licence))
        return SimpleNamespace(answer=lambda question: f"<{question}>")

    monkeypatch.setattr(chat.Chat, "open", staticmethod(open_chat))
    line = ["chat", "c", "--max-new-tokens", "5", "--temperature", "0.5", "--seed", "7"]
    result = CliRunner().invoke(app, line, input="One?\n\n  Two?")
    assert result.exit_code == 0, result.output
    assert result.stdout == "<One?>\n<Two?>\n"
    assert opened == [("c", 5, 0.5, 7, False)]


def test_chat_with_a_model_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = tiny()
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    line = ["chat", str(folder), "--max-new-tokens", "4", "--temperature", "1"]

    def said(*more: str) -> list[str]:
        result = CliRunner().invoke(app, [*line, *more], input="a\nb\na\n")
        assert result.exit_code == 0, result.output
        return result.stdout.split("\n")

    first, second, third, end = said("--seed", "1")
    assert first == third  # a draw depends on the seed and the question alone
    assert end == ""
    assert said("--seed", "1") == [first, second, third, end]
    assert said("--seed", "2") != [first, second, third, end]


# --- Methods ----------------------------------------------------------------------------------


def test_methods_are_named_in_a_row(calls: Called) -> None:
    Path("s.yaml").write_text("methods: [rl]\n")
    line = ["align", "--method", "prompt", "sft", "s.yaml", "--seed", "1", "2"]
    assert run(*line, "--json").exit_code == 0
    assert calls.spec.methods == ("prompt", "sft") and calls.spec.seeds == (1, 2)


def test_an_unknown_method_is_refused_with_those_there_are(calls: Called) -> None:
    said = refused(run("align", "--method", "hope"))
    assert "methods.0: unknown method; known: prompt, " in said and "got 'hope'" in said


def test_the_old_name_of_methods_is_read_with_one_line(calls: Called) -> None:
    Path("s.yaml").write_text("approaches: [sft]\n")
    done = run("align", "s.yaml", "--json")
    assert done.exit_code == 0 and calls.spec.methods == ("sft",)
    assert [line for line in done.stderr.splitlines() if "methods" in line] == [
        "s.yaml: approaches is called methods now"
    ]
    Path("s.yaml").write_text("approaches: [sft]\nmethods: [rl]\n")
    assert "both are there" in refused(run("align", "s.yaml"))
