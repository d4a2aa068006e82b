"""Commands as a user gives them, and how refused ones end."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from truing.cli.main import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="truing")


def refused(result: Result) -> str:
    assert result.exit_code == 2 and result.stdout == "", result.output
    assert result.stderr.startswith("Error: ") and "Traceback" not in result.stderr
    return result.stderr.strip()
