"""Streams that are closed, full or gone, and terminals that can do little: no traceback, and nothing that was done is lost."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from children import START, environment, on_terminal, runs, task_folder

Seen = Callable[[str], None]
IMPROVE = ("improve", "echo", "--change", "prompt", "--method", "few-shot", "--model", "scripted:echoing:answer", "--out", "out")


@pytest.fixture
def at(tmp_path: Path) -> Path:
    task_folder(tmp_path, examples=80)
    (tmp_path / "echoing.py").write_text("def answer(request, index): return '?'\n")
    return tmp_path


def shell(at: Path, words: tuple[str, ...], redirected: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = shlex.join([sys.executable, "-c", START, *words])
    line = f"set -o pipefail; {command} {redirected}"
    return subprocess.run(["bash", "-c", line], cwd=at, env=environment(at, **more), capture_output=True, text=True)


def whole(at: Path) -> None:
    """The run ended, and left what it leaves."""
    assert [run["status"] for run in runs(at)] == ["done"]
    assert json.loads((at / "out" / "result.json").read_text())["status"] == "done"
    assert (at / "out" / "report.html").is_file()


@pytest.mark.fault(82)
@pytest.mark.parametrize(
    ("redirected", "code"),
    [
        ("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), ("2>/dev/full", 0), (">/dev/full", 1), ("| true", 141),
        ("2>&1 | true", 141),
    ],
)  # fmt: skip
def test_a_run_ends_well_whatever_became_of_its_streams(at: Path, seen: Seen, redirected: str, code: int) -> None:
    done = shell(at, IMPROVE, redirected)
    assert done.returncode == code and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr
    if redirected == ">/dev/full":
        assert "standard output cannot be written to: No space left on device" in done.stderr
    whole(at)
    seen(f"improve {redirected}: exit {code}, run done, report written")


@pytest.mark.fault(82)
def test_whoever_watched_goes_away_and_the_run_goes_on(at: Path, seen: Seen) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", START, *IMPROVE], cwd=at, env=environment(at), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stderr is not None and child.stdout is not None
    first = child.stderr.readline()
    child.stderr.close()
    assert b"examples; run " in first and b"final" in child.stdout.read() and child.wait(60) == 0
    whole(at)
    seen("reader of standard error gone after one line: run done, result printed")


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("show", "gepa"), ("--help",), ("runs",)])
@pytest.mark.parametrize("redirected", ["| head -1", "<&-", ">&-", "2>&-", ">/dev/full"])
def test_commands_that_print_much(tmp_path: Path, words: tuple[str, ...], redirected: str) -> None:
    done = shell(tmp_path, words, redirected)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr and "unexpected" not in done.stderr
    allowed = {"| head -1": {0, 1, 141}, ">/dev/full": {0, 1}}.get(redirected, {0})
    assert done.returncode in allowed, (done.returncode, done.stderr)


def test_a_question_from_a_closed_or_broken_input(at: Path) -> None:
    for redirected, said in (("<&-", "expected a question, got an empty one"), ("< raw", "expected text")):
        (at / "raw").write_bytes(b"\xff\xfe\x00caf\xe9")
        done = shell(at, ("answer", "-a", "echo", "-"), redirected, PYTHONUTF8="1", PYTHONIOENCODING="utf-8")
        assert done.returncode == 2 and said in done.stderr, done.stderr


@pytest.mark.fault(82)
@pytest.mark.parametrize("name", ["TERM=dumb", "NO_COLOR=1", "COLUMNS=40", "COLUMNS=1"])
def test_terminals_that_can_do_little(at: Path, seen: Seen, name: str) -> None:
    variable, _, value = name.partition("=")
    said = {}
    for words in (IMPROVE, ("runs",), ("list",), ("doctor",)):
        with on_terminal(at, *words, **{variable: value}) as child:
            code, _ = child.ended()
        assert code == 0 and b"Traceback" not in child.said, child.said[-2000:]
        said[words[0]] = child.said.decode()
    whole(at)
    if variable == "TERM":
        assert "\x1b" not in "".join(said.values()) and "[1/1] few-shot" in said["improve"]
    if variable == "NO_COLOR":
        assert not re.search(r"\x1b\[(?:[0-9]+;)*(?:3[0-7]|9[0-7]|38)[;m]", "".join(said.values()))
    if name == "COLUMNS=40":
        assert f"run     {str(runs(at)[0]['run'])[:13]}\r\n" in re.sub(r"\x1b\[[0-9;]*m", "", said["runs"])
        assert re.search("retrieve-then-read\r\n", said["list"])  # a name that is to be typed is whole
    seen(f"{name}: a run, runs, list, doctor: exit 0")
