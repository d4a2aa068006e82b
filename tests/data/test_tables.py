"""Tables in every form that people keep them in, and what is refused of each."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from truing.data.tables import Table, read_table
from truing.types import InputError

ROWS = [
    {"prompt": "Who wrote it?", "references": ["Ann", "A. Lee"], "n": 1},
    {"prompt": "A “line\u2028break”", "references": [], "n": None},
]
TALK = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]


def values(table: Table) -> list[dict[str, Any]]:
    return [row.values for row in table.rows]


def refusal(source: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        read_table(str(source), "task.data.cases")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_json_and_jsonl_are_the_same_rows_with_their_lines(tmp_path: Path) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in ROWS]
    text = "\ufeff" + "\n\n".join(lines) + "\n"
    jsonl = written(tmp_path / "a.jsonl", text)
    packed = written(tmp_path / "a.jsonl.gz", gzip.compress(text.encode()))
    listed = written(tmp_path / "a.json", json.dumps(ROWS, indent=1))
    for file in (jsonl, packed, listed):
        table = read_table(str(file), "cases")
        assert (values(table), table.columns) == (ROWS, ("prompt", "references", "n"))
    assert [row.place for row in read_table(str(jsonl), "cases").rows] == [
        f"{jsonl}:1",
        f"{jsonl}:3",
    ]
    assert read_table(str(listed), "cases").rows[1].place == f"{listed}:10"


def test_columns_are_those_of_any_row_in_order_of_appearance(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", '{"b": 1}\n{"a": 2, "b": 3}\n')
    assert read_table(str(file), "cases").columns == ("b", "a")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": 1', ":2: not valid JSON"),
        ("a.jsonl", '{"a": 1}\n["a"]\n', ":2: a list where an object belongs"),
        ("a.jsonl", '{"a": NaN}\n', ":1: not valid JSON (NaN isn't JSON)"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', ":2: not UTF-8 (byte 0xff)"),
        ("a.jsonl", "\n", ": the file is empty"),
        ("a.json", '{"data": []}', ":1: an object where a list belongs"),
        ("a.json", '[{"a": 1},\n{"a" 2}]', ":2: not valid JSON"),
        ("a.json", '[{"a": 1},\n7]', ":2: a number where an object belongs"),
        ("a.csv", "a,b\n1,2\n1,2,3\n", ":3: 3 cells where the header has 2"),
        ("a.csv", "a,b\n1\n", ":2: 1 cells where the header has 2"),
        ("a.csv", 'a,b\n"x\ny",2\n"1,2\n', ":4: not valid CSV"),
        ("a.csv", "a;b\tc\n1;2\t3\n", ":1: header: columns may be separated by semicolons or tabs"),
        ("a.csv", "a,,b\n1,2,3\n", ":1: column 2 has no name"),
        ("a.csv", "a,b,a\n1,2,3\n", ":1: a: this column stands twice"),
        ("a.tsv", "a\tb\n1\n", ":2: 1 cells where the header has 2"),
    ],
)
def test_text_files_that_are_wrong_name_the_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    assert refusal(written(tmp_path / name, content)).startswith(f"{tmp_path / name}{message}")


def test_csv_as_spreadsheets_and_pandas_write_it(tmp_path: Path) -> None:
    expected = [{"prompt": 'say "hi",\nplease', "gold": "hi"}, {"prompt": "ünd?", "gold": ""}]
    quoted = '"say ""hi"",\nplease"'
    forms = {
        "plain.csv": f"prompt,gold\n{quoted},hi\nünd?,\n",
        "bom.csv": f"\ufeffprompt,gold\r\n{quoted},hi\r\nünd?,\r\n",
        "excel.csv": f"prompt,gold,,\n{quoted},hi,,\nünd?,,,\n,,,\n",
        "pandas.csv": f",prompt,gold\n0,{quoted},hi\n1,ünd?,\n",
        "tabs.tsv": f"prompt\tgold\n{quoted}\thi\nünd?\t\n",
    }
    for name, text in forms.items():
        table = read_table(str(written(tmp_path / name, text)), "cases")
        assert (values(table), table.columns) == (expected, ("prompt", "gold")), name
        assert [row.place[-2:] for row in table.rows] == [":2", ":4"], name
    old = written(tmp_path / "mac.csv", "prompt,gold\rwho?,me\rwhy?,so\r")
    assert values(read_table(str(old), "cases")) == [
        {"prompt": "who?", "gold": "me"},
        {"prompt": "why?", "gold": "so"},
    ]


NESTED = pa.table(
    {
        "messages": [TALK, TALK[:1]],
        "references": [["a", "b"], None],
        "answer": [{"name": "Ann", "year": None}, {"name": None, "year": 7}],
        "score": [0.5, float("nan")],
        "day": [date(2024, 2, 29), None],
        "price": [Decimal("1.50"), None],
        "kind": pa.array(["x", "x"]).dictionary_encode(),
    }
)
PLAIN = [
    {
        "messages": TALK,
        "references": ["a", "b"],
        "answer": {"name": "Ann", "year": None},
        "score": 0.5,
        "day": "2024-02-29",
        "price": "1.50",
        "kind": "x",
    },
    {
        "messages": TALK[:1],
        "references": None,
        "answer": {"name": None, "year": 7},
        "score": None,
        "day": None,
        "price": None,
        "kind": "x",
    },
]


def stream(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def ipc_file(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


FORMS: dict[str, Callable[[Path, pa.Table], object]] = {
    "a.parquet": lambda path, table: pa.parquet.write_table(table, path, row_group_size=1),
    "a.feather": lambda path, table: pa.feather.write_feather(table, str(path)),
    "stream.arrow": stream,
    "file.arrow": ipc_file,
}


@pytest.mark.parametrize("name", FORMS)
def test_columns_on_disk_become_what_json_could_hold(tmp_path: Path, name: str) -> None:
    FORMS[name](tmp_path / name, NESTED)
    table = read_table(str(tmp_path / name), "cases")
    assert (values(table), table.columns) == (PLAIN, tuple(NESTED.column_names))
    assert json.loads(json.dumps(values(table), allow_nan=False)) == PLAIN
    assert [row.place for row in table.rows] == [f"{tmp_path / name} row {n}" for n in (1, 2)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"GIF89a"]),
        pa.array([b"abc"], pa.binary(3)),
        pa.array([b"abc"], pa.large_binary()),
        pa.array([[b"abc"]]),
        pa.array([{"bytes": b"abc", "path": "x.png"}]),
        pa.array([b"abc"]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("name", FORMS)
def test_a_column_of_binary_data_is_refused_by_name(
    tmp_path: Path, name: str, column: pa.Array
) -> None:
    FORMS[name](tmp_path / name, pa.table({"prompt": ["who?"], "picture": column}))
    assert refusal(tmp_path / name) == (
        f"{tmp_path / name}: picture: holds binary data; name text columns"
    )


def test_columns_on_disk_that_are_wrong_are_refused(tmp_path: Path) -> None:
    for name, form in (("a.parquet", "Parquet"), ("a.arrow", "Arrow"), ("a.feather", "Arrow")):
        broken = written(tmp_path / name, b"PAR1 or so")
        assert refusal(broken).startswith(f"{broken}: can't be read as {form} (")
    twice = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    stream(tmp_path / "twice.arrow", twice)
    assert refusal(tmp_path / "twice.arrow").endswith("a: this column stands twice; keep one")
    endless = pa.table({"a": [1.0, float("inf")]})
    pa.parquet.write_table(endless, tmp_path / "inf.parquet")
    assert refusal(tmp_path / "inf.parquet") == (
        f"{tmp_path / 'inf.parquet'} row 2: a: infinite; give a finite number or nothing"
    )


def saved(folder: Path, *shards: pa.Table, **state: object) -> Path:
    """A folder as `Dataset.save_to_disk` lays it out."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05}-of-{len(shards):05}.arrow" for i in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        stream(folder / name, shard)
    facts = {"_data_files": [{"filename": name} for name in names], "_split": None, **state}
    (folder / "state.json").write_text(json.dumps(facts))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    return folder


def test_folders_that_the_datasets_library_saved(tmp_path: Path) -> None:
    one = saved(tmp_path / "one", NESTED.slice(0, 1), NESTED.slice(1))
    table = read_table(str(one), "cases")
    assert values(table) == PLAIN
    assert table.rows[1].place == f"{one} row 2"
    several = tmp_path / "several"
    saved(several / "train", NESTED)
    saved(several / "test", NESTED.slice(1))
    (several / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert values(read_table(f"{several}#test", "cases")) == PLAIN[1:]
    both = f"name one: {several}#train, {several}#test"
    assert refusal(several) == f"{several}: holds several tables (splits); {both}"
    assert refusal(f"{several}#dev") == f"{several}#dev: no split 'dev' in it; {both}"
    assert refusal(f"{one}#train").endswith("leave out #train")


def test_a_file_with_a_number_sign_in_its_name_is_a_file(tmp_path: Path) -> None:
    file = written(tmp_path / "take#2.jsonl", '{"a": 1}\n')
    assert values(read_table(str(file), "cases")) == [{"a": 1}]


def test_folders_that_are_wrong_are_refused(tmp_path: Path) -> None:
    assert "a folder that the datasets library didn't save" in refusal(tmp_path)
    picture = saved(tmp_path / "picture", pa.table({"image": [b"GIF89a"]}))
    assert refusal(picture) == f"{picture}: image: holds binary data; name text columns"
    outside = saved(tmp_path / "out", NESTED, _data_files=[{"filename": "../one.arrow"}])
    assert "'../one.arrow' is no file in this folder" in refusal(outside)
    absent = saved(tmp_path / "absent", _data_files=[{"filename": "gone.arrow"}])
    assert refusal(absent) == f"{absent / 'gone.arrow'}: no such file"
    chosen = saved(tmp_path / "chosen", NESTED, _indices_data_files=[{"filename": "i.arrow"}])
    assert "save it again" in refusal(chosen)
    assert "no data file in it" in refusal(saved(tmp_path / "none"))
    shapes = saved(tmp_path / "shapes", NESTED, pa.table({"a": [1]}))
    assert refusal(shapes).startswith(f"{shapes}: can't be read as one table (")


def test_sources_that_are_none(tmp_path: Path) -> None:
    there = written(tmp_path / "a.jsonl", "{}\n")
    assert refusal(f"{there}#train").startswith(f"task.data.cases: {there}#train: a file holds one")
    assert refusal(tmp_path / "b.jsonl").startswith(
        f"task.data.cases: {tmp_path / 'b.jsonl'}: no such file; give a file ending in .jsonl"
    )
    for name, wrong in (("a.xlsx", "the ending '.xlsx' is not known"), ("a", "no ending")):
        assert wrong in refusal(written(tmp_path / name, "x"))
    assert "the ending '.gz' is not known" in refusal(written(tmp_path / "a.parquet.gz", "x"))


def test_the_hub_needs_its_library_and_a_whole_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # as where it isn't installed
    for source in ("hub:org/name#train", "hub:org/name:config#train"):
        assert refusal(source) == (
            f"task.data.cases: {source}: needs the datasets library: pip install 'truing[datasets]'"
        )
    assert "no split; write hub:org/name#split" in refusal("hub:org/name")
    for source in ("hub:name#train", "hub:/etc/passwd#train", "hub:a/b/c#train", "hub:"):
        assert "not a name on the hub" in refusal(source)


def test_the_hub_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra 'datasets' is not installed")
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    assert "can't be had from the hub" in refusal("hub:nobody/nothing#train")
    Path("nobody/nothing").mkdir(parents=True)
    assert "start in another folder" in refusal("hub:nobody/nothing#train")


def test_what_the_datasets_library_saves_itself(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra 'datasets' is not installed")
    whole = datasets.Dataset.from_list([{"prompt": f"Why {n}?", "talk": TALK} for n in range(5)])
    few = whole.shuffle(seed=1).select([3, 1, 2])
    whole.save_to_disk(str(tmp_path / "one"), num_shards=2)
    datasets.DatasetDict(train=whole, test=few).save_to_disk(str(tmp_path / "dict"))
    assert values(read_table(str(tmp_path / "one"), "cases")) == whole.to_list()
    assert values(read_table(f"{tmp_path / 'dict'}#test", "cases")) == few.to_list()
