"""What is missing is found before the first paid call: a real server counts the calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import loopwright
from fakes.openai_server import Server, serving

Seen = Callable[[str], None]
TASK = """name = "doubles"
[prompt]
instruction = "Write it."
[examples]
file = "examples.jsonl"
[checker]
kind = "{kind}"
[answer]
max_tokens = 64
{more}
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def improve(
    at: Path, server: Server, *words: str, kind: str = "exact", more: str = "", before: tuple[str, ...] = (), **environment: str
) -> tuple[int, str]:
    folder = at / "task"
    folder.mkdir(exist_ok=True)
    (folder / "task.toml").write_text(TASK.format(kind=kind, more=more))
    target = "assert f(2) == 4" if kind == "tests" else "4"
    lines = [json.dumps({"id": f"e{i}", "input": f"double {i}", "target": target}) + "\n" for i in range(80)]
    (folder / "examples.jsonl").write_text("".join(lines))
    source = str(Path(loopwright.__file__).parents[1])
    done = subprocess.run(
        [*before, sys.executable, "-c", "from loopwright.cli import main; main()", "improve", "task",
         "--change", "prompt,answers", "--model", f"openai:m@{server.url}", *words],
        cwd=at, env={**os.environ, "PYTHONPATH": source, "LOOPWRIGHT_STORE": "kept/", **environment},
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr


def without_bubblewrap(at: Path) -> str:
    """A PATH on which there is everything but bubblewrap."""
    folder = at / "bin"
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name != "bwrap" and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)


@pytest.mark.fault(36, 81)
@pytest.mark.parametrize(
    ("kind", "more", "words", "who"),
    [
        ("tests", "", (), "the checker (tests)"),
        ("exact", "[tools]\npython = true", (), "the tool python"),
        ("exact", "", ("--method", "agent-coder"), "agent-coder"),
    ],
)
def test_a_missing_sandbox(
    tmp_path: Path, server: Server, seen: Seen, kind: str, more: str, words: tuple[str, ...], who: str
) -> None:
    code, said = improve(tmp_path, server, *words, kind=kind, more=more, PATH=without_bubblewrap(tmp_path))
    assert code == 5 and f"code is run here by {who}" in said and "bubblewrap" in said and "Traceback" not in said, said
    assert not server.bodies
    seen(f"no bubblewrap, {who}: exit 5 with what to type, {len(server.bodies)} calls made")


@pytest.mark.fault(81)
def test_an_output_folder_that_cannot_be_written(tmp_path: Path, server: Server, seen: Seen) -> None:
    (tmp_path / "file").write_text("mine")
    places = {"file": "is a file", "file/below": "lies below", "/proc/loopwright": "cannot be", "/sys/x/y": "cannot be"}
    for place, why in places.items():
        code, said = improve(tmp_path, server, "--out", place)
        assert code == 2 and f"--out: {place}" in said and why in said and "Traceback" not in said, said
    assert not server.bodies and (tmp_path / "file").read_text() == "mine"
    seen(f"--out a file, below one, on a read-only file system: {len(places)} refused, {len(server.bodies)} calls made")


FULL = 'mkdir full && mount -t tmpfs -o size=64k none full && { dd if=/dev/zero of=full/all bs=1k 2>/dev/null; "$@"; }'


@pytest.mark.fault(81)
@pytest.mark.parametrize("words", [("--out", "full/out"), ("--store", "full/kept/")])
def test_a_full_disk(tmp_path: Path, server: Server, seen: Seen, words: tuple[str, str]) -> None:
    """A small file system of the test's own, filled to the last byte."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this machine gives no mount namespace to fill a disk in")
    code, said = improve(tmp_path, server, *words, before=("unshare", "-rm", "bash", "-c", FULL, "full"))
    assert code in (1, 2) and "o space" in said and "Traceback" not in said and "unexpected" not in said, said
    assert not server.bodies
    seen(f"{words[0]} on a full disk: exit {code}, {len(server.bodies)} calls made")


@pytest.mark.fault(81)
def test_a_store_that_cannot_be_written(tmp_path: Path, server: Server, seen: Seen) -> None:
    (tmp_path / "file").write_text("mine")
    for place in ("file/below/", "/proc/loopwright/", "/proc/self/loopwright.db"):
        code, said = improve(tmp_path, server, "--store", place)
        assert code != 0 and "Traceback" not in said and "unexpected" not in said, said
    assert not server.bodies
    seen(f"--store below a file, on a read-only file system: refused, {len(server.bodies)} calls made")


@pytest.mark.fault(34)
def test_a_cap_on_money_without_a_price(tmp_path: Path, server: Server, seen: Seen) -> None:
    server.url = "http://loopwright.invalid/v1,api_key_env=SOME_KEY"  # models of one's own machine cost nothing
    code, said = improve(tmp_path, server, "--budget", "money=1", SOME_KEY="key-for-no-server-0001")
    assert code == 2 and "price" in said and "Traceback" not in said and "Cannot connect" not in said, said
    seen(f"money=1 and a model without a price: exit {code}, no connection tried")
