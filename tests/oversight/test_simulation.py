"""Models in the overseer's place: a reader passes the gate, a believer fails it, letters cancel out."""

from pathlib import Path

import pytest

from parties import Party, believer, honest_quotes, mills, reader
from truing.evaluate.lettered import CUT_OFF
from truing.evaluate.recorded import LACKS
from truing.oversight.figures import CANT_READ
from truing.oversight.simulation import Simulation, probabilities, simulate
from truing.oversight.words import verdicts
from truing.progress import SilentProgress
from truing.types import Estimate, InputError, Unscored


def simulated(overseer: Party, count: int = 12) -> Simulation:
    return simulate(overseer, Party(honest_quotes), mills(count).items, SilentProgress())


def test_a_reader_passes_the_gate() -> None:
    result = simulated(Party(honest_quotes, reader)).study
    assert result.readable
    passage, adviser = result.arms["passage"], result.arms["adviser"]
    assert isinstance(passage["accuracy"], Estimate) and passage["accuracy"].value == 1.0
    assert isinstance(adviser["accuracy"], Estimate) and adviser["accuracy"].value == 1.0


def test_a_believer_fails_it_and_trusts_fully() -> None:
    simulation = simulated(Party(honest_quotes, believer), 80)
    result = simulation.study
    assert result.readable is False
    assert CANT_READ in verdicts(result, simulated=True)[0]
    for arm in ("claim", "consultancy", "dialogue"):
        over, under, whole = (
            result.arms[arm][name] for name in ("over_trust", "under_trust", "accuracy")
        )
        assert isinstance(over, Estimate) and isinstance(under, Estimate)
        assert isinstance(whole, Estimate)
        assert (over.value, under.value, whole.value) == (1.0, 0.0, 0.5)
    last = result.arms["debate"]["last_speaker"]
    assert isinstance(last, Estimate) and last.value == 0.5
    assert {row["arm"] for row in simulation.rows} == set(result.arms) - {"adviser"}
    assert all(row["turns"] for row in simulation.rows if row["arm"] == "dialogue")


def test_a_love_of_a_letter_is_no_answer() -> None:
    items = mills(3).items
    pairs = {item.id: (item.answer, item.distractors[0]) for item in items}
    always_a = Party(honest_quotes, lambda prompt: 1.5)
    scores = probabilities(always_a, [("", item) for item in items], pairs, SilentProgress())
    assert scores == [0.5] * 3


def test_without_likelihoods_what_is_said_is_read() -> None:
    items = mills(2).items
    pairs = {item.id: (item.answer, item.distractors[0]) for item in items}
    asked = [("", item) for item in items]
    chats = Party(honest_quotes, lacks=LACKS)
    assert probabilities(chats, asked, pairs, SilentProgress()) == [1.0, 1.0]
    torn = Party(lambda prompt: "The answer is A", lacks=LACKS, finished=False)
    assert probabilities(torn, asked, pairs, SilentProgress()) == [Unscored(CUT_OFF)] * 2
    vague = Party(lambda prompt: "A and B", lacks=LACKS)
    assert all(
        isinstance(score, Unscored)
        for score in probabilities(vague, asked, pairs, SilentProgress())
    )


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json
    from contextlib import contextmanager

    from typer.testing import CliRunner

    from truing.cli.main import app
    from truing.recipes import oversight

    @contextmanager
    def opened(name: str, *args: object, **options: object):  # type: ignore[no-untyped-def]
        yield Party(honest_quotes, believer, name=name)

    monkeypatch.setattr(oversight, "opened", opened)
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps(item.to_json()) for item in mills(16).items]
    Path("items.jsonl").write_text("\n".join(lines))
    run = CliRunner().invoke
    done = run(app, ["eval", "oversight", "--overseer", "m", "--items", "items.jsonl", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["study"]["gate"]["passed"] is False
    Path("study.yaml").write_text(
        "items: items.jsonl\nadviser: m\npeople: 4\nrounds: 4\nexclusion: {timed_out: 0.5}\n"
    )
    planned = run(app, ["oversight", "plan", "study.yaml", "--out", "s", "--seed", "3", "--json"])
    assert planned.exit_code == 0, planned.output
    record = json.loads(planned.stdout)
    assert (record["seed"], record["exclusion"]["timed_out"]) == (3, 0.5)
    assert record["sizes"]["needed_for_margin"]["answers"] == 630
    for words, message in (
        (["eval", "oversight", "--items", "items.jsonl"], "give --overseer"),
        (["eval", "oversight", "trivia", "--overseer", "m"], "stands alone"),
        (["eval", "trivia", "--overseer", "m"], "belongs to oversight"),
        (["oversight", "plan", "study.yaml", "--out", "s"], "never written over"),
        (["oversight", "plan", "--out", "t"], "items: missing"),
        (["oversight", "report", "s"], "no such file"),
    ):
        wrong = run(app, words)
        assert wrong.exit_code == 2, wrong.output
        assert message in wrong.stderr


def test_an_unknown_arm_is_named() -> None:
    from truing.recipes.oversight import SimulationRequest

    with pytest.raises(InputError, match="did you mean"):
        SimulationRequest("m", "m", Path("x"), arms=("debats",))  # type: ignore[arg-type]
