"""The command line as a user meets it: answers, JSON, mistakes, and what it must not load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopwright import __version__
from loopwright.core.errors import BudgetExhausted, LoopwrightError, Paused

Cli = Callable[..., tuple[int, str, str]]
HEAVY = ("torch", "transformers", "matplotlib", "sqlalchemy", "aiohttp")


def said(cli: Cli, *arguments: str | Path) -> Any:
    """The one JSON document that a command prints."""
    code, out, _ = cli(*arguments, "--json")
    assert code == 0
    return json.loads(out)


# ---- start ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["--help", "list", "improve --help"])
def test_loads_nothing_heavy(command: str) -> None:
    program = (
        "import sys; from loopwright.cli.main import execute; code = execute(sys.argv[1:]); "
        f"print([m for m in {HEAVY!r} if m in sys.modules], code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *command.split()], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_help_needs_neither_pydantic_nor_numpy() -> None:
    shown = "{'pydantic', 'numpy'} & {*sys.modules}"
    program = f"import sys; from loopwright.cli.main import execute; execute(['--help']); print({shown})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version") == (0, f"loopwright {__version__}\n", "")
    code, out, _ = cli("--help")
    assert code == 0
    for name in (
        "improve",
        "answer",
        "run",
        "compare",
        "list",
        "show",
        "check",
        "reproduce",
        "resume",
        "runs",
        "report",
    ):
        assert name in out


# ---- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["improv"], "'improve'"),
        (["list", "--famly", "x"], "--family"),
        (["list", "--family", "promt"], "prompt"),
        (["show", "few-shoot"], "few-shot"),
        (["improve", "task", "--budget", "secnds=3"], "seconds"),
        (["improve", "task", "--set", "few-shot.setts=3"], "sets"),
        (["run", "few-shot", "--task", "t", "--set", "examples=x"], "expected int"),
        (["improve", "task", "--set", "sets=3"], "few-shot.sets=4"),
        (["improve", "task", "--budget", "calls=0"], "calls=0"),
        (["improve", "no-such-folder", "--model", "scripted"], "no such folder"),
        (["answer", "--artifact", "nowhere", "question"], "artifact"),
        (["runs", "--store", "https://x"], "expected a folder"),
    ],
)  # fmt: skip
def test_mistakes_name_what_was_meant(cli: Cli, arguments: list[str], near: str) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert near in err and "Traceback" not in err and len(err.splitlines()) < 12
    code, out, _ = cli(*arguments, "--json")
    assert code == 2 and near in json.loads(out)["error"]["message"]


def test_export_format_and_run_are_checked(cli: Cli, database: Path) -> None:
    assert "sft" in cli("export", "last", "--format", "stf", "--store", database)[2]
    assert "unknown run" in cli("report", "zzz", "--store", database)[2]
    assert "--out" in cli("export", "last", "--json", "--store", database)[1]


def test_reading_makes_no_store(cli: Cli) -> None:
    code, _, err = cli("report", "last")
    assert code == 2 and "loopwright improve" in err
    assert said(cli, "runs") == []
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [(LoopwrightError("no"), 1), (BudgetExhausted("calls", 1, 1, 1), 3), (Paused("interrupted"), 130)],
)
def test_own_errors_have_their_exit_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: LoopwrightError, code: int
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("loopwright.core.registry.all_recipes", fail)
    assert cli("list") == (code, "", f"loopwright: {error}\n")
    assert json.loads(cli("list", "--json")[1]) == {"error": {"type": type(error).__name__, "message": str(error)}}


def test_unexpected_errors_save_their_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("boom [bold] sk-live0123456789abcdef")

    monkeypatch.setattr("loopwright.core.registry.all_recipes", fail)
    code, _, err = cli("list")
    assert code == 70 and "Traceback (" not in err and "[bold]" in err
    saved = Path(err.strip().rsplit(" ", 1)[1])
    assert "RuntimeError: boom" in saved.read_text() and "sk-live0123456789abcdef" not in saved.read_text()
    saved.unlink()


# ---- methods ----------------------------------------------------------------------------------------------------------


def test_list_as_json_has_fixed_keys(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = [{"slug": "few-shot", "conforms": True, "claim": "holds"}, {"slug": "best-of-n", "conforms": False}]
    (tmp_path / "results.json").write_text(json.dumps(result))
    monkeypatch.setattr("loopwright.cli.catalogue.result_folders", lambda: (tmp_path,))
    rows = {row["slug"]: row for row in said(cli, "list")}
    for row in rows.values():
        assert list(row) == ["slug", "family", "shape", "paper", "needs", "learns_from", "conforms", "claim"]
    assert (rows["few-shot"]["conforms"], rows["few-shot"]["claim"]) == (True, "holds")
    assert (rows["best-of-n"]["conforms"], rows["best-of-n"]["claim"]) == (False, "not yet")
    assert rows["lin-ucb"]["conforms"] is None
    assert {row["shape"] for row in said(cli, "list", "--shape", "solver")} == {"solver"}


def test_show(cli: Cli) -> None:
    shown = said(cli, "show", "few-shot")
    assert {"name": "sets", "type": "int", "default": 2} in shown["options"]
    assert shown["documentation"].startswith("Few-shot selection")
    _, out, _ = cli("show", "few-shot")
    assert "sets" in out and "loopwright run few-shot" in out


# ---- runs -------------------------------------------------------------------------------------------------------------


def test_runs_and_report(cli: Cli, database: Path) -> None:
    (row,) = said(cli, "runs", "--store", database)
    assert (row["task"], row["status"]) == ("sums", "done")
    assert said(cli, "--store", database, "report", row["run"][:13])["learned"] is True
    code, out, _ = cli("report", "last", "--store", database, "--out", "page.html")
    assert code == 0 and "points" in out
    assert Path("page.html").read_text().startswith("<!doctype html>")


def test_export_to_a_file_and_to_stdout(cli: Cli, database: Path) -> None:
    code, out, err = cli("export", "last", "--format", "dpo", "--store", database)
    assert code == 0 and [set(json.loads(line)) for line in out.splitlines()] == [
        {"prompt", "chosen", "rejected", "cut"}
    ]
    assert "1 rows from 5 attempts; 1 without a score" in err
    summary = said(cli, "export", "last", "--format", "dpo", "--store", database, "--out", "data.jsonl")
    assert summary["written"] == 1 and Path("data.jsonl").read_text() == out


def test_export_into_two_files_that_share_no_question(cli: Cli, database: Path) -> None:
    options = ("export", "last", "--format", "kto", "--store", database, "--out", "data.jsonl")
    summary = said(cli, *options, "--eval-out", "eval.jsonl", "--eval-share", "0.5")
    files = [Path(name).read_text().splitlines() for name in ("data.jsonl", "eval.jsonl")]
    questions = [{json.loads(line)["prompt"][-1]["content"] for line in lines} for lines in files]
    assert all(questions) and not questions[0] & questions[1]
    assert (summary["written"], summary["eval_written"]) == (3, len(files[1]))
    assert summary["eval_out"] == "eval.jsonl" and "for evaluation" in cli(*options, "--eval-out", "eval.jsonl", "--force")[2]
    for wrong in (("--eval-out", "data.jsonl"), ("--eval-out", "eval.jsonl", "--eval-share", "1", "--force")):
        assert cli(*options, *wrong)[0] == 2
    code, _, err = cli("export", "last", "--store", database, "--eval-out", "eval.jsonl")
    assert code == 2 and "add --out" in err


def test_interrupted_export_leaves_the_old_file(cli: Cli, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data.jsonl").write_text("old\n")

    def half(*_: object, **__: object) -> Any:
        yield "{}\n"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loopwright.improve.export.export_lines", half)
    code, _, err = cli("export", "last", "--store", database, "--out", "data.jsonl", "--force")
    assert code == 1 and "no space left to write" in err, err
    assert [p.name for p in Path.cwd().iterdir()] == ["data.jsonl"] and Path("data.jsonl").read_text() == "old\n"


def test_compare_a_run_with_itself(cli: Cli, database: Path) -> None:
    result = said(cli, "compare", "last", "last", "--store", database)
    assert result["difference"]["effect"] == 0.0 and result["better"] is None
    assert "not shown to differ" in cli("compare", "last", "last", "--store", database)[1]


def test_closed_pipe_is_quiet(database: Path) -> None:
    program = "import sys; from loopwright.cli.main import main; main(sys.argv[1:])"
    command = f'"{sys.executable}" -c "{program}" report last --json --store "{database}" | head -c 1'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "BrokenPipe" not in done.stderr and "Traceback" not in done.stderr


def test_runs_shows_every_column_in_a_narrow_terminal(
    cli: Cli, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = said(cli, "runs", "--store", database)[0]["run"]
    _, out, _ = cli("runs", "--store", database)
    assert (
        run[:13] in out
        and " done " in out
        and " 12 s " in out
        and " sums " in out
        and max(map(len, out.splitlines())) <= 80
    )
