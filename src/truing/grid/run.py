"""`truing grid`: train, then write everything that shows how it went into one folder."""

from __future__ import annotations

from pathlib import Path

from truing.files import write_file_atomically, write_json_atomically, write_text_atomically
from truing.grid.page import page
from truing.grid.picture import write_picture
from truing.grid.training import GridRun, digest, learn, to_json, world_of
from truing.progress import Progress, SilentProgress
from truing.runs.run import RUNS, Run
from truing.spec.grid import GridSpec

_RESULT = "grid.json"


def run_grid(
    spec: GridSpec, out: Path | None = None, progress: Progress | None = None
) -> tuple[GridRun, Path]:
    """Trains and writes `grid.json`, `grid.png` and `grid.html`; returns the run and its folder.

    A run that is there already with the same settings is taken up where it was. Raises InputError
    where map or settings are wrong, or another run is in the folder.
    """
    world = world_of(spec)
    identity = {"digest": digest(spec, world)}
    folder = out or RUNS / f"grid-{world.grid.name}-{identity['digest'][:8]}"
    place = Run(folder, progress or SilentProgress(), kind="grid", record=_RESULT)
    with place.opened(identity, {**identity, "finished": False}):
        run = learn(spec, folder / "training", progress)
        write_file_atomically(folder / "grid.png", lambda path: write_picture(run, path))
        write_text_atomically(folder / "grid.html", page(run))
        write_json_atomically(folder / _RESULT, {**identity, "finished": True, **to_json(run)})
    return run, folder
