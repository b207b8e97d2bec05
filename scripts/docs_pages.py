"""Writes the pages of the documentation that are made from the program itself: catalogue, command line, losses, faults."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
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


def loss_table() -> str:
    """Every loss with what it reads, from the table the trainer uses, and the text of each function."""
    from loopwright.losses import LOSSES

    def code(names: Any) -> str:
        return ", ".join(f"`{name}`" for name in names)

    def options(given: Any) -> str:
        plain = {n: dict(v) if isinstance(v, Mapping) else v for n, v in given.items()}
        return code(f"{n}={json.dumps(v)}" for n, v in plain.items())

    def source(paper: str) -> str:
        name = paper.removeprefix("arXiv:")
        return f"[{name}](https://arxiv.org/abs/{name})" if name != paper else f"[paper]({paper})" if paper else ""

    head = "| loss | unit | function | what it sets | references | values | fields | paper |\n|---|---|---|---|---|---|---|---|"
    rows = [
        f"| `{row.name}` | {row.unit} | [`{row.function.__name__}`](#{_anchor(row.function)}) | {options(row.options)} "
        f"| {code(row.references)} | {code(row.values)} | {code(sorted(row.needs))} | {source(row.paper)} |"
        for row in LOSSES.values()
    ]
    functions = dict.fromkeys(row.function for row in LOSSES.values())
    return (
        "\n\n".join(
            [
                "# Losses",
                "What `FitJob.loss` may name. A row is a function with options set; `loss_options` set more of them. "
                "*References* are weights whose log-probabilities it reads, *values* are numbers the samples or pairs bring, "
                "*fields* what the trainer must compute besides. An option may ask for more: `kl` for the reference "
                "`reference`, `entropy` for the entropy, `soft` for the value `win_rate`, `offset` and `margin` for the value "
                "`margin`.",
                "\n".join([head, *rows]),
                "## The table",
                "::: loopwright.losses.registry\n    options:\n      show_root_heading: false\n      heading_level: 3",
                "## The functions",
                *(f"::: {_anchor(f)}\n    options:\n      heading_level: 3" for f in functions),
            ]
        )
        + "\n"
    )


def promises() -> str:
    """What is promised when something goes wrong, from the table that the fault tests fill, with the tests of each row."""
    tests: dict[int, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            marks = getattr(node, "decorator_list", [])
            for mark in marks:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    for number in mark.args:
                        name = f"`{path.relative_to(ROOT)}`"
                        tests.setdefault(ast.literal_eval(number), []).append(name)
    rows = tomllib.loads((ROOT / "tests" / "faults" / "promises.toml").read_text(encoding="utf-8"))["row"]
    lines = ["| # | what goes wrong | what is promised | attacked in |", "|---|---|---|---|"]
    for row in rows:
        waits = f"not yet: waits for {row['not_yet']}" if "not_yet" in row else "no test"
        where = ", ".join(dict.fromkeys(tests.get(row["number"], []))) or waits
        lines.append(f"| {row['number']} | {_text(row['fault'])} | {_text(row['promise'])} | {where} |")
    return (
        "# Faults and what is promised\n\n"
        "Each promise is attacked by real means: processes that are killed, servers that misbehave, files that are damaged. "
        "`make faults` runs all of it and prints this table with what was seen, in minutes; `make faults ARGS=\"33 49\"` runs "
        "some rows. What is meant to hold against whom, and what is not promised, is in "
        "[Security](../concepts/security.md).\n\n" + "\n".join(lines) + "\n"
    )


def _anchor(function: Any) -> str:
    return f"{function.__module__}.{function.__name__}"


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
    (DOCS / "reference" / "losses.md").write_text(loss_table(), encoding="utf-8")
    (DOCS / "reference" / "faults.md").write_text(promises(), encoding="utf-8")
    lab = ROOT / "src" / "loopwright" / "worlds" / "lab"
    cards = [(lab / part / "README.md").read_text(encoding="utf-8") for part in ("model", "adapters")]
    (DOCS / "reference" / "lab-model.md").write_text("\n".join(cards), encoding="utf-8")


if __name__ == "__main__":
    main()
