"""`truing train reward` from judgements, on a tiny random model: figures, files, refusals, use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open
from typer.testing import CliRunner, Result

from judged import comparisons, taste, written
from tiny import saved
from truing.candidates import open_candidate
from truing.cli.main import app
from truing.learn.checkpoint import Checkpoint
from truing.rewards.learned.saved import FILE, LearnedReward, RewardModel, load, opened
from truing.rewards.reward import Answered
from truing.types import Case, Unscored

Spec = dict[str, Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("other-model"), seed=7)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    written(comparisons(), folder / "judged.jsonl")
    return folder


def train(spec: Spec, *options: str, kind: str = "reward", out: str = "run") -> Result:
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    line = ["train", kind, "spec.yaml", "--out", out, *options]
    return CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)


def spec_of(model: Path, **section: Any) -> Spec:
    own = {"judgements": "judged.jsonl", "heads": 3, "dtype": "float32", "ridge": [0.1, 1.0]}
    return {"model": str(model), "dtype": "float32", "reward_model": {**own, **section}}


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(result: Result, *texts: str) -> None:
    assert result.exit_code == 2
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    for text in texts:
        assert text in line


def test_it_learns_what_people_like_and_says_how_well(model: Path) -> None:
    found = document(train(spec_of(model), "--json"))
    assert found["kind"] == "reward" and found["learned_from"]["people"] == 5
    strict, known = (
        found["held_out"]["other prompts and people"],
        found["held_out"]["other prompts"],
    )
    assert strict["judgements"] > 5 and known["judgements"] > 30
    assert known["accuracy"]["low"] > 0.5 and known["gain"]["low"] > 0
    assert {each["feature"] for each in found["tried"]} == {
        f"layer 1, {pooling}" for pooling in ("mean", "last", "both")
    }
    losses = [each["loss"] for each in found["tried"]]
    assert losses == sorted(losses) and found["chosen"]["feature"] == found["tried"][0]["feature"]
    assert set(found["baselines"]) == {"length", "words"}
    assert found["costs"]["reward"]["labels"] == found["learned_from"]["judgements"]
    page = Path("run/reward.html").read_text()
    assert "Calibration" in page and "a bag of words" in page
    with safe_open(Path("run/reward_model") / FILE, "np") as stored:
        metadata = stored.metadata()
        assert json.loads(metadata["weights"]) == found["weights"]
        assert stored.get_tensor("weights").shape[0] == 3
    again = train(spec_of(model))
    assert "is finished" in again.stderr and "Accuracy" in again.stdout
    assert Path("run/reward.html").read_text() == page


def test_the_same_judgements_give_the_same_bytes(model: Path) -> None:
    for out in ("one", "two"):
        document(train(spec_of(model), "--json", out=out))
    files = [Path(out) / "reward_model" / FILE for out in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_unfinished_training_goes_on_only_if_asked(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import truing.recipes.reward as recipe

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recipe, "save", killed)
        assert train(spec_of(model)).exit_code == 130
    refused(train(spec_of(model)), "holds an unfinished training; add --resume")
    assert train(spec_of(model), "--resume").exit_code == 0
    refused(train(spec_of(model, heads=2)), "something else is in there already")


def test_opposed_groups_get_heads_of_their_own(model: Path) -> None:
    written(comparisons(prompts=60, people=8, opposed=3), Path("judged.jsonl"))
    spec = spec_of(model, groups="home", held_out_people=0, aggregate="worst")
    found = document(train(spec, "--json"))
    groups = found["groups"]
    assert set(groups["accuracy"]) == {"north", "south"} and not groups["unknown"]
    assert groups["measured_on"] == "other prompts, whoever judged"
    assert groups["heads"]["south"]["asked_for"] and "south" in found["chosen"]["groups"]
    south = groups["accuracy"]["south"]
    assert south["south"]["value"] > 0.5 > south["all people"]["value"]
    used = {name: cell["value"] for name, cell in groups["used"].items()}
    worst = min(used, key=lambda name: used[name])
    assert groups["worst"] == {"group": worst, "accuracy": groups["used"][worst]}
    assert sum(cell["n"] for cell in groups["used"].values()) > 20
    page = Path("run/reward.html").read_text()
    assert "Groups by home" in page and "head of south" in page
    read = load(Path("run/reward_model"))
    assert set(read.heads.groups) >= {"south"}
    assert read.rule.sharing == 2 - len(read.heads.groups)


def test_the_worst_served_is_that_of_the_reward_in_use(model: Path) -> None:
    """A minority that has a head of its own, which a pooled reward doesn't use, and none held out."""
    written(comparisons(prompts=60, people=5, opposed=1), Path("judged.jsonl"))
    result = train(spec_of(model, groups="home"), "--json")
    groups = document(result)["groups"]
    south = groups["accuracy"]["south"]
    assert groups["used"]["south"] == south["all people"] != south["south"]
    assert groups["worst"]["group"] == "south" and groups["worst"]["accuracy"]["value"] < 0.5
    said = train(spec_of(model, groups="home")).stdout
    assert "Worst served: south" in said and "the reward is the head of all people" in said


def test_groups_that_are_left_out_or_silent_are_said(model: Path) -> None:
    rows = comparisons(prompts=12, people=4, opposed=1)
    written([{**row, "groups": {}} if row["annotator"] == "person 0" else row for row in rows],
            Path("judged.jsonl"))  # fmt: skip
    result = train(spec_of(model, groups="home", aggregate={"north": 1}, heads=1))
    assert result.exit_code == 0, result.stderr
    assert "reward_model.aggregate gives no weight to south" in result.stderr
    assert "12 judgement(s) by people who don't say their home" in result.stderr
    assert "Group south: shares the head of all (" in result.stdout


def test_ratings_alone_have_figures_of_their_own(model: Path) -> None:
    rows = [
        {
            "prompt": row["prompt"],
            "completion": row["completions"][0],
            "rating": min(7, max(1, 4 + round(taste(row["completions"][0])))),
            "annotator": row["annotator"],
        }
        for row in comparisons(prompts=40, people=3)
    ]
    written(rows, Path("judged.jsonl"))
    result = train(spec_of(model, heads=1))
    assert result.exit_code == 0, result.stderr
    assert "No accuracy: none of the" in result.stdout and "ratings, which prefer" in result.stdout
    assert "Of two answers that one person rated apart, the higher rated one has" in result.stdout
    assert "too few" not in result.stdout.lower()
    own = document(train(spec_of(model, heads=1), "--json"))["held_out"]["other prompts"]
    assert own["rating_order"]["low"] > 0.5 and own["decided"] == 0 < own["ratings"]


def test_too_few_to_tell_is_said(model: Path) -> None:
    written(comparisons(prompts=2, people=1, ties=0.0), Path("judged.jsonl"))
    result = train(spec_of(model, heads=1))
    assert result.exit_code == 0, result.stderr
    assert "Too few to tell: 1 prompt(s) held out" in result.stdout
    assert "too few prompts to tell" in result.stdout


def test_it_rewards_a_training_and_is_refused_by_other_weights(
    model: Path, other_model: Path
) -> None:
    assert train(spec_of(model)).exit_code == 0
    Path("prompts.txt").write_text("why?\nwhat is a fish?\n")
    reward = {"parts": [{"name": "reward_model", "from": "run/reward_model"}]}
    rl = {
        "steps": 2, "prompts_per_step": 2, "samples_per_prompt": 3, "max_new_tokens": 6,
        "evaluate_every": 2, "adapter": {"rank": 2}, "max_kl": 1000.0,
    }  # fmt: skip
    spec = {
        "model": str(model),
        "dtype": "float32",
        "data": {"prompts": "prompts.txt"},
        "reward": reward,
        "rl": rl,
    }
    found = document(train(spec, "--json", kind="rl", out="rl"))
    assert found["candidates"][0]["last"]["reward"] is not None
    refused(
        train({**spec, "model": str(other_model)}, kind="rl", out="no"),
        "reward.parts.0.from: run/reward_model: learned from the states of",
        "these are other weights",
    )
    assert not Path("no").exists()


ADAPTER = {"rank": 2, "epochs": 2, "learning_rate": 0.003}


def test_an_adapter_is_learned_with_the_head_and_followed(model: Path, other_model: Path) -> None:
    written(comparisons(prompts=60, people=3), Path("judged.jsonl"))
    own = {"heads": 1, "pooling": ["mean"], "ridge": [1.0]}
    found = document(train(spec_of(model, adapter=ADAPTER, **own), "--json"))
    choice = found["chosen"]
    assert choice["heads"] == 1 and choice["adapter"]["rank"] == 2
    assert found["learned_from"]["prompts"] > 8 * choice["adapter"]["steps"] / 2 * 0.7
    own = found["held_out"]["other prompts"]
    assert own["accuracy"]["low"] > 0.5 and own["calibration_error"]["value"] < 0.15
    frozen = found["baselines"]["frozen"]
    assert frozen["accuracy"]["value"] > 0.5 and frozen["loss_gain"]["value"] is not None
    assert "a head on the frozen states" in Path("run/reward.html").read_text()
    assert found["costs"]["reward"]["tokens_trained"] > 1000

    read = load(Path("run/reward_model"))
    assert read.adapter is not None and read.heads.weights.shape[0] == 1
    named = read.adapter.parameters
    assert all(".layers.0." in name for name in named)  # of two layers the first is read
    assert all(value.any() for value in named.values())
    candidate, identity = open_candidate(str(model), 0, "float32")
    reward = opened(candidate.renderer, lambda: identity.weights, Path("run/reward_model"), "here")
    case, texts = Case("1", "say something, number 3"), ["aaa abc bde.", "hhh hbc bdh.", " "]
    liked, disliked, empty = reward([Answered(case, text) for text in texts])
    assert isinstance(empty, Unscored) and liked > disliked  # type: ignore[operator]
    plain = RewardModel(read.heads, read.layer, read.model, read.weights)
    other = LearnedReward(plain, candidate.renderer)([Answered(case, text) for text in texts])
    assert other[0] != liked  # the base without the adapter reads otherwise

    Path("prompts.txt").write_text("why?\nwhat is a fish?\n")
    spec = {
        "model": str(other_model),
        "data": {"prompts": "prompts.txt"},
        "reward": {"parts": [{"name": "reward_model", "from": "run/reward_model"}]},
    }
    refused(train(spec, kind="rl", out="no"), "these are other weights")


def test_a_killed_adapter_goes_on_to_the_same_bytes(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(comparisons(prompts=16, people=3), Path("judged.jsonl"))
    own = {"heads": 1, "pooling": ["last"], "ridge": [1.0], "folds": 3}
    spec = spec_of(model, adapter={**ADAPTER, "epochs": 3, "prompts_per_step": 1}, **own)
    document(train(spec, "--json", out="whole"))
    noted = Checkpoint.note

    def killed(checkpoint: Checkpoint, row: dict[str, Any]) -> None:
        if row["step"] == 13:
            raise KeyboardInterrupt
        noted(checkpoint, row)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "note", killed)
        assert train(spec, out="torn").exit_code == 130
    document(train(spec, "--json", "--resume", out="torn"))
    files = [Path(out) / "reward_model" / FILE for out in ("whole", "torn")]
    assert files[0].read_bytes() == files[1].read_bytes()


def _rated(*levels: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"say {number}", "completion": f"word {number}", "rating": level}
        for number, level in enumerate(levels)
    ]


def _pair(prompt: str, **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "completions": ["one", "other"], **more}


@pytest.mark.parametrize(
    ("rows", "section", "message"),
    [
        (  # the one that differs may be on either side: all but one are alike
            _rated(*[4] * 3, 6, *[4] * 4), {"held_out": 0.9}, "judgements to learn from prefers an answer"
        ),
        (
            [_pair(f"say {n}", preferred="first" if n == 2 else "tie") for n in range(8)],
            {"held_out": 0.9},
            "judgements to learn from prefers an answer",
        ),
        (
            [_pair(f"say {n}", preferred="first") for n in range(2)],
            {"adapter": "lora"},
            "reward_model.adapter: scales its scores on prompts",
        ),
    ],
)  # fmt: skip
def test_a_side_that_cannot_teach_is_refused_before_anything_is_written(
    rows: list[dict[str, Any]], section: Spec, message: str, model: Path
) -> None:
    written(rows, Path("judged.jsonl"))
    own = spec_of(model, **section)
    if "adapter" in section:
        own["reward_model"]["heads"] = 1
    refused(train(own), message)
    assert not Path("run").exists()


BAD: dict[str, tuple[Spec, str]] = {
    "no file": ({"judgements": "nowhere.jsonl"}, "nowhere.jsonl"),
    "no store": ({"judgements": "nowhere.db"}, "nowhere.db"),
    "a consent of a file": ({"consent": ["own"]}, "reward_model.consent: is of a store"),
    "a layer too many": ({"layers": [3]}, "reward_model.layers: 3: the model has 2 layers"),
    "too long": ({"max_tokens": 8}, "longer than 8 tokens"),
    "a ridge of nothing": ({"ridge": [0.0]}, "reward_model: ridge: penalties above 0"),
    "a dimension that nobody says": (
        {"groups": "hom", "aggregate": "worst"},
        "reward_model.groups: nobody who judged in judged.jsonl says 'hom'; did you mean 'home'?",
    ),
    "a group that nobody is in": (
        {"groups": "home", "aggregate": {"north": 1, "mars": 2}},
        "reward_model.aggregate.mars: no such group of home; there are: north",
    ),
    "groups unnamed": ({"aggregate": "worst"}, "aggregate: is over groups"),
    "an adapter of several heads": (
        {"adapter": "lora"},
        "adapter: is learned together with one head",
    ),
    "another adapter": (
        {"adapter": {"kind": "full"}},
        "reward_model.adapter.kind: Input should be",
    ),
    "an unknown key": ({"head": 3}, "reward_model.head: unknown key"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(what: str, model: Path) -> None:
    section, message = BAD[what]
    refused(train(spec_of(model, **section)), message)
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"from": "nowhere"}, "reward.parts.0.from: nowhere: holds no reward model"),
        ({"from": 3}, "reward.parts.0.from: must be the folder"),
        ({"from": "run", "combine": "mean"}, "reward.parts.0.combine: no option of reward_model"),
    ],
)
def test_a_part_that_names_no_reward_model_is_refused(
    part: Spec, message: str, model: Path
) -> None:
    Path("prompts.txt").write_text("why?\nwhat is a fish?\n")
    spec = {
        "model": str(model),
        "data": {"prompts": "prompts.txt"},
        "reward": {"parts": [{"name": "reward_model", **part}]},
    }
    refused(train(spec, kind="rl", out="no"), message)
    assert not Path("no").exists()
