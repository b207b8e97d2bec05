"""Help at 80 columns: nothing that is to be typed is cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import typer

from loopwright.cli.main import app

Cli = Callable[..., tuple[int, str, str]]


def test_no_help_is_cut_at_80_columns(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = typer.main.get_command(app).list_commands(None)  # type: ignore[attr-defined]
    assert len(commands) > 10
    for command in commands:
        code, out, _ = cli(command, "--help")
        cut = [line for line in out.splitlines() if "…" in line]
        assert code == 0 and not cut, command
