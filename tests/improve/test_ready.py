"""A check of the user's own that can never work is found before the first paid answer, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.errors import CheckerError, LoopwrightError, SandboxMissing
from loopwright.improve.job import run_improve

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import Server, completion, serving


def task(folder: Path, check: str, critic: str = "") -> Path:
    folder.mkdir()
    lines = (json.dumps({"input": f"question {i}", "target": f"t{i}"}) for i in range(80))
    (folder / "e.jsonl").write_text("\n".join(lines))
    (folder / "check.py").write_text(check)
    (folder / "critic.py").write_text(critic)
    (folder / "task.toml").write_text(
        'name = "t"\n[examples]\nfile = "e.jsonl"\n[checker]\nkind = "python"\nfunction = "check.py:check"\n'
        + ('[[critics]]\nkind = "python"\nfunction = "critic.py:check"\n' if critic else "")
    )
    return folder


def improve(folder: Path, server: Server) -> dict[str, Any]:
    place = {"out": folder.parent / "out", "store_path": folder.parent / "store"}
    return asyncio.run(
        run_improve(folder, change=["prompt"], only=["few-shot"], model=f"openai:m@{server.url}", **place)
    )


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (
            "import nothing_of_that_name\ndef check(output, example): return True",
            "could not be imported: .*nothing_of_that_name",
        ),
        ("X = 1 / 0\ndef check(output, example): return True", "could not be imported: ZeroDivisionError.*line 1"),
        ("import sys\nsys.exit(3)\ndef check(output, example): return True", "could not be imported: SystemExit"),
        ("import os\nos._exit(3)\ndef check(output, example): return True", "while it was imported, its process ended"),
        ("if False:\n    def check(output, example): return True", "could not be imported: AttributeError"),
        ("def check(output): return True", r"check\(output\) cannot be called with 2 values: too many"),
        ("def check(): return True", r"check\(\) cannot be called with 2 values"),
        ("def check(output, example, extra): return True", "with 2 values: missing a required argument: 'extra'"),
        ("def check(output, example, *, extra): return True", "with 2 values: missing a required"),
        ("check = 7", "check is not a function"),
    ],
)
@pytest.mark.parametrize("as_critic", [False, True])
def test_it_is_refused_before_an_answer_is_paid(tmp_path: Path, check: str, said: str, as_critic: bool) -> None:
    well = "def check(output, example): return True"
    folder = task(tmp_path / "task", well, check) if as_critic else task(tmp_path / "task", check)
    with serving() as server:
        with pytest.raises(CheckerError, match=said) as caught:
            improve(folder, server)
        assert server.bodies == []
    assert "Expected def check(output, example)" in str(caught.value)


@pytest.mark.parametrize(
    "check",
    [
        "def check(answer, row): return answer == row['target']",
        "def check(output, example, strict=False): return output == example['target']",
        "def check(*given): return given[0] == given[1]['target']",
        "class check:\n    def __new__(cls, output, example): return output == example['target']",
        "import functools\n@functools.lru_cache\ndef part(a, b): return a == b\ncheck = lambda o, e: part(o, e['target'])",
        "from operator import eq as check",
    ],
)
def test_what_can_be_called_is_called(tmp_path: Path, check: str) -> None:
    folder = task(tmp_path / "task", check)
    with serving() as server:
        server.will(lambda body: completion(body, ["no"]))
        try:
            improve(folder, server)
        except LoopwrightError as error:
            raise AssertionError(str(error)) from error
        assert server.bodies


def without_namespaces(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    shared = Path(tempfile.gettempdir())
    for path in (folder, *folder.parents):  # root's sandboxes are started by a user who could not reach it
        if shared in path.parents:
            path.chmod(0o755)
    (folder / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    (folder / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.fault(36)
@pytest.mark.parametrize("kind", ["checker", "critic"])
def test_a_sandbox_that_may_not_be_made_is_found_before_an_answer_is_paid(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, seen: Callable[[str], None]
) -> None:
    folder = task(tmp_path / "task", "def check(output, example): return True")
    tests = "assert f(1) == 1"
    lines = (json.dumps({"input": f"question {i}", "target": tests, "meta": {"visible": tests}}) for i in range(80))
    (folder / "e.jsonl").write_text("\n".join(lines))
    tables = '[checker]\nkind = "tests"\n' if kind == "checker" else '[checker]\nkind = "exact"\n[[critics]]\nkind = "tests"\n'
    (folder / "task.toml").write_text('name = "t"\n[examples]\nfile = "e.jsonl"\n' + tables)
    without_namespaces(monkeypatch, tmp_path)
    with serving() as server:
        with pytest.raises(SandboxMissing, match=rf"^code is run here by the {kind} \(tests\)") as caught:
            improve(folder, server)
        assert server.bodies == []
    assert "sysctl" in str(caught.value)
    seen(f"no namespaces may be made, {kind} of tests: refused, 0 calls made")


def test_what_runs_no_code_needs_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = task(tmp_path / "task", "def check(output, example): return output == example['target']")
    with serving() as server:
        server.will(lambda body: completion(body, ["no"]))
        improve(folder, server)
        assert server.bodies
