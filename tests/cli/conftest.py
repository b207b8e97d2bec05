"""A store with one finished run, and the command line as a function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loopwright.cli.main import execute
from loopwright.store import SqliteStore

sys.path.append(str(Path(__file__).parents[1] / "improve"))  # where the rows of a finished run are written down

from run_rows import learned_rows, write_run

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    store = SqliteStore(path)
    write_run(store, learned_rows())
    store.close()
    return path


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command in an empty folder; its exit code, stdout and stderr."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("LOOPWRIGHT_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = execute([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
