"""`truing compare`: runs side by side.

As in main.py: parses, calls, prints, and imports what the command needs inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from truing.cli.common import AsJson, explained, print_json
from truing.terminal import say


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="folders of runs of 'truing align', 'truing eval' or 'truing train', two or more",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the comparison as a page, FILE.html")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Lay runs side by side: figures, settings that differ, costs, learning curves. No model is needed.

    Every candidate stands next to its like, base next to base, and differs from that of the first run:
    case by case where both were asked the same cases in the same way. With --json: runs, figures under
    candidates.NAME.RUN, differences, settings that differ, findings.
    """
    with explained():
        from truing.recipes.compare_runs import check_out, compare_runs
        from truing.report.compared.terminal import show
        from truing.terminal.console import console

        if out is not None:
            check_out(out)
        compared = compare_runs(runs)
        if out is not None:
            compared.write(out)
        if as_json:
            print_json(compared.to_json())
            return
        show(compared.comparison, console())
        if out is not None:
            say(f"Page: {out}")
