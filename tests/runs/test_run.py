"""One run folder in the making: whose it is, who holds it, which stages are done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from headings import Headings
from truing.files import write_json_atomically
from truing.progress import SilentProgress
from truing.runs.costs import Cost
from truing.runs.ranks import Ranks
from truing.runs.run import Run, new_record, own_folder
from truing.spec.reading import make_spec
from truing.spec.run import Spec, digest_of
from truing.types import InputError


def identity(spec: Spec, **rest: str) -> dict[str, str]:
    return {"kind": "align", "spec_digest": spec.digest(), **rest}


def begin(folder: Path, spec: Spec, **rest: str) -> Run:
    """Opens the folder for the spec, and lets go of it."""
    run, names = Run(folder, SilentProgress()), identity(spec, **rest)
    with run.opened(names, new_record(names, candidates=["base"]), {"spec.yaml": spec.to_yaml()}):
        pass
    return run


def as_older_code_wrote_it(folder: Path, data: dict[str, object]) -> str:
    """Puts another spec into the folder, with the digest that it had then."""
    (folder / "spec.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    record, digest = json.loads((folder / "run.json").read_text()), digest_of(data)
    record["spec_digest"] = record["identity"]["spec_digest"] = digest
    write_json_atomically(folder / "run.json", record)
    return digest


def test_a_folder_begins_with_its_record_and_files(tmp_path: Path) -> None:
    spec = make_spec({})
    run = begin(tmp_path / "run", spec)
    assert run.spec_digest == run.record()["spec_digest"] == spec.digest()
    assert (run.folder / "spec.yaml").read_text() == spec.to_yaml()
    assert run.record()["finished"] is None


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"kind": "train sft"}, "another kind"),
        ({"spec_digest": "other"}, "another spec"),
        ({"weights_hash": "other"}, "another weights"),
        ({"functions_hash": "other"}, "another reward function"),
        ({"new_hash": "a name that the record lacks"}, "another new"),
    ],
)
def test_another_run_is_refused_by_name(tmp_path: Path, other: dict[str, str], named: str) -> None:
    spec = make_spec({})
    mine = {"weights_hash": "w", "functions_hash": ""}
    begin(tmp_path / "run", spec, **mine)
    run = Run(tmp_path / "run", SilentProgress())
    run.check(identity(spec, **mine) | {"new_hash": ""})
    with pytest.raises(InputError, match=named):
        run.check(identity(spec, **mine) | other)


def test_another_precision_is_refused_but_where_the_record_is_older(tmp_path: Path) -> None:
    spec = make_spec({})
    begin(tmp_path / "old", spec)
    Run(tmp_path / "old", SilentProgress()).check(identity(spec, precision="float32 float32"))
    begin(tmp_path / "new", spec, precision="bfloat16 float32")
    with pytest.raises(InputError, match="precision: this processor"):
        Run(tmp_path / "new", SilentProgress()).check(identity(spec, precision="float32 float32"))


def test_a_folder_from_before_a_key_was_added_is_still_the_same_runs(tmp_path: Path) -> None:
    spec = make_spec({"seeds": [3]})
    begin(tmp_path / "run", spec)
    older = spec.model_dump(mode="json")
    del older["rl"]["plateau"]
    digest = as_older_code_wrote_it(tmp_path / "run", older)
    assert digest != spec.digest()
    run = begin(tmp_path / "run", spec)
    assert run.spec_digest == digest  # what half-done trainings in there are known by
    with pytest.raises(InputError, match="another spec"):
        begin(tmp_path / "run", make_spec({"seeds": [4]}))


def test_a_spec_that_was_edited_in_the_folder_is_not_the_folders(tmp_path: Path) -> None:
    begin(tmp_path / "run", make_spec({"seeds": [3]}))
    edited = make_spec({"seeds": [4]})
    (tmp_path / "run" / "spec.yaml").write_text(edited.to_yaml())
    with pytest.raises(InputError, match="another spec"):
        begin(tmp_path / "run", edited)


def test_one_process_holds_a_folder(tmp_path: Path) -> None:
    spec = make_spec({})
    run, names = Run(tmp_path / "run", SilentProgress()), identity(spec)
    with (
        run.opened(names, new_record(names)),
        pytest.raises(InputError, match="another process is working"),
    ):
        begin(tmp_path / "run", spec)
    begin(tmp_path / "run", spec)


def test_other_records_leave_no_lock_behind(tmp_path: Path) -> None:
    run = Run(tmp_path / "grid", SilentProgress(), kind="grid", record="grid.json")
    with run.opened({"digest": "a"}, {"digest": "a"}):
        assert (tmp_path / "grid" / ".lock").is_file()
    assert [path.name for path in run.folder.iterdir()] == ["grid.json"]
    assert own_folder(run.folder, "grid.json", "a") == run.folder
    with pytest.raises(InputError, match="something else is in there"):
        own_folder(run.folder, "grid.json", "b")
    with pytest.raises(InputError, match="something else is in there"):
        own_folder(run.folder, "shift.json", "a")


def test_a_stage_is_done_once_and_its_cost_is_put_down(tmp_path: Path) -> None:
    run, done = begin(tmp_path / "run", make_spec({})), []

    def work(cost: Cost) -> None:
        done.append(cost)
        cost.labels = 5

    for _ in range(2):
        run.stage("fit", "Fitting", "rl", work)
    assert len(done) == 1
    costs = Run(run.folder, SilentProgress(), ranks=Ranks()).costs()
    assert costs["rl"]["labels"] == costs["total"]["labels"] == 5


def test_notes_join_what_is_there(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", make_spec({}))
    run.note(data={"train": 1}, finished="now")
    run.note(data={"held_out": 2})
    assert run.record()["data"] == {"train": 1, "held_out": 2}
    assert run.record()["finished"] == "now"


# --- Stages that are counted ------------------------------------------------------------------

PLAN = ["base", "sft-seed0", "evaluate-base-seed0", "evaluate-sft-seed0", "evaluate-rl-seed0"]


def staged(folder: Path, *done: str, seconds: float = 60.0) -> list[str]:
    """The headings of a run that goes on behind these stages, each of which took so long."""
    for name in done:
        cost = Cost(wall_seconds=seconds).to_json()
        write_json_atomically(folder / "stages" / f"{name}.json", {"account": "x", "cost": cost})
    headings = Headings()
    run = Run(folder, headings)
    run.plan(PLAN)
    for name in (*PLAN, "one of its own"):
        run.stage(name, name.title(), "x", lambda cost: None)
    return headings.names


def test_stages_are_counted_and_what_is_done_keeps_its_number(tmp_path: Path) -> None:
    write_json_atomically(tmp_path / "run.json", {})
    assert staged(tmp_path, "base", "sft-seed0") == [
        "Stage 3 of 5: Evaluate-Base-Seed0",
        "Stage 4 of 5: Evaluate-Sft-Seed0 (about 5 s left in all)",  # the third took no time
        "Stage 5 of 5: Evaluate-Rl-Seed0 (about 5 s left in all)",
        "One Of Its Own",
    ]


def test_what_is_left_is_known_by_stages_of_the_same_kind(tmp_path: Path) -> None:
    write_json_atomically(tmp_path / "run.json", {})
    headings = staged(tmp_path, *PLAN[:3], seconds=120.0)
    assert headings[0] == "Stage 4 of 5: Evaluate-Sft-Seed0 (about 4 min left in all)"


@pytest.mark.parametrize("mark", ["{}", '{"cost": 3}', '{"cost": {"wall_seconds": "long"}}', "{"])
def test_a_broken_mark_gives_no_estimate_and_no_traceback(tmp_path: Path, mark: str) -> None:
    write_json_atomically(tmp_path / "run.json", {})
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "base.json").write_text(mark)
    run = Run(tmp_path, Headings())
    run.plan(["base", "base-seed1"])
    assert run._heading("base-seed1", "Again") == "Stage 2 of 2: Again"
