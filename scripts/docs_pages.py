"""Writes the pages of the documentation that are made from the program itself: the catalogue and the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import typer
import typer.main

from loopwright.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
_BRACES = str.maketrans("", "", "{}")  # typer marks required arguments with them


def catalogue() -> None:
    subprocess.run([sys.executable, "-m", "loopwright.claims.catalogue", str(DOCS / "catalogue")], check=True, cwd=ROOT)


def command_line() -> str:
    """Every command with its options, read from the program, so that the page and the program cannot differ."""
    parts = [
        "# Command line",
        "Every command takes `--help`. With `--json` the result alone goes to standard output, all else to standard "
        "error. Before the command, `--store PATH` says where runs are kept.",
    ]

    def describe(command: Any, path: list[str]) -> None:
        context = typer.Context(command, info_name=" ".join(path))
        if len(path) > 1:
            parts.append(f"## {' '.join(path)}")
            parts.append(command.help.strip())
        if hasattr(command, "list_commands"):
            for name in command.list_commands(context):
                describe(command.get_command(context, name), [*path, name])
            return
        usage = " ".join([*path, *command.collect_usage_pieces(context)])
        parts.append(f"```text\n{usage.translate(_BRACES)}\n```")
        rows = [row for parameter in command.params if (row := _row(parameter, context))]
        parts.append("\n".join(["| | |", "|---|---|", *(f"| `{_cell(a)}` | {_text(b)} |" for a, b in rows)]))

    describe(typer.main.get_command(app), ["loopwright"])
    return "\n\n".join(parts) + "\n"


def _row(parameter: Any, context: typer.Context) -> tuple[str, str] | None:
    if parameter.name == "help":
        return None
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name.upper(), parameter.help or ""
    record: tuple[str, str] | None = parameter.get_help_record(context)
    return record


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(text: str) -> str:
    return _cell(text).replace("<", "&lt;")


def main() -> None:
    catalogue()
    (DOCS / "reference" / "cli.md").write_text(command_line(), encoding="utf-8")


if __name__ == "__main__":
    main()
