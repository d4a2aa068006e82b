"""`truing grid`: train, then write everything that shows how it went into one folder."""

from __future__ import annotations

from pathlib import Path

from truing.files import write_file_atomically, write_json_atomically, write_text_atomically
from truing.grid.page import page
from truing.grid.picture import write_picture
from truing.grid.training import GridRun, digest, learn, to_json, world_of
from truing.progress import Progress
from truing.runs.folder import own_folder
from truing.spec.grid import GridSpec

RUNS = Path("runs")
_RESULT = "grid.json"


def _folder_for(spec: GridSpec, out: Path | None) -> Path:
    """The folder of a run. Raises InputError where something else is in it."""
    world = world_of(spec)
    name = digest(spec, world)
    return own_folder(out or RUNS / f"grid-{world.grid.name}-{name[:8]}", _RESULT, name)


def run_grid(
    spec: GridSpec, out: Path | None = None, progress: Progress | None = None
) -> tuple[GridRun, Path]:
    """Trains and writes `grid.json`, `grid.png` and `grid.html`; returns the run and its folder.

    A run that is there already with the same settings is taken up where it was. Raises InputError
    where map or settings are wrong, or another run is in the folder.
    """
    folder = _folder_for(spec, out)
    marker = folder / _RESULT
    if not marker.exists():  # whose folder this is, before anything else is in it
        write_json_atomically(marker, {"digest": digest(spec, world_of(spec)), "finished": False})
    run = learn(spec, folder / "training", progress)
    write_file_atomically(folder / "grid.png", lambda path: write_picture(run, path))
    write_text_atomically(folder / "grid.html", page(run))
    document = {"digest": digest(spec, run.world), "finished": True, **to_json(run)}
    write_json_atomically(marker, document)
    return run, folder
