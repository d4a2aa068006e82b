"""How long `data import` takes in an open store, beside the same import by another checkout.

    python benchmarks/data_import.py --before ../before/src [--rows 2000] [--repeats 3] [--store URL]

Each import is a process of its own, in turn, into a store that is empty and open already; with a URL of
PostgreSQL, into a fresh database of that server. Printed are seconds of wall clock and of processor
(the smallest and the median), and the statements that were sent.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import event

ROOT = Path(__file__).resolve().parents[1]
FORMS = {
    "demonstrations": lambda n: {"prompt": f"Question {n}?", "completion": f"Answer {n}."},
    "ratings": lambda n: {"prompt": f"Question {n}?", "completion": f"Answer {n}.", "rating": 1 + n % 7},
    "preferences": lambda n: {"prompt": f"Question {n}?", "chosen": f"Yes {n}.", "rejected": f"No {n}."},
}  # fmt: skip


def _fresh(store: str, folder: Path) -> str:
    if not store:
        return str(folder / "people.db")
    import psycopg

    name = f"bench{secrets.token_hex(6)}"
    with psycopg.connect(store, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{store.rpartition('/')[0]}/{name}"


def _import(form: str, rows: int, store: str) -> dict[str, Any]:
    """One import, in this process, by the truing that PYTHONPATH names."""
    from truing.people import open_store
    from truing.people.exchange import import_files

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "rows.jsonl"
        path.write_text("".join(json.dumps(FORMS[form](n)) + "\n" for n in range(rows)))
        opened = open_store(_fresh(store, Path(name)))
        statements = 0

        def count(*_: object) -> None:
            nonlocal statements
            statements += 1

        event.listen(opened.engine, "before_cursor_execute", count)
        wall, processor = time.perf_counter(), time.process_time()
        added = import_files(opened, [path]).added
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        opened.close()
    assert added["judgements"] == rows
    return {"wall": wall, "processor": processor, "statements": statements}


def _measured(source: Path, form: str, rows: int, store: str) -> dict[str, Any]:
    child = [sys.executable, __file__, "--child", form, "--rows", str(rows), "--store", store]
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(child, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, help="the src folder of another checkout")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--store", default="", help="a PostgreSQL server; without one, SQLite")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(_import(given.child, given.rows, given.store)))
        return
    sources = {"after": ROOT / "src", **({"before": given.before} if given.before else {})}
    for form in FORMS:
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in sources}
        for _ in range(given.repeats):
            for name, source in sources.items():
                runs[name].append(_measured(source, form, given.rows, given.store))
        for name, each in runs.items():
            figures = {key: sorted(run[key] for run in each) for key in ("wall", "processor")}
            said = ", ".join(
                f"{key} {values[0]:.2f} s (median {statistics.median(values):.2f})"
                for key, values in figures.items()
            )
            print(f"{form}, {given.rows} rows, {name}: {said}, {each[0]['statements']} statements")
        if "before" in runs:
            ratios = {
                key: min(r[key] for r in runs["before"]) / min(r[key] for r in runs["after"])
                for key in ("wall", "processor")
            }
            print(
                f"{form}: {ratios['wall']:.0f} times faster ({ratios['processor']:.0f} in processor time)"
            )


if __name__ == "__main__":
    main()
