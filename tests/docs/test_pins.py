"""What `make demo` installs agrees with what the checks run with, and every file of it has its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def name_of(text: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", text)[0]).lower()  # type: ignore[index]


def pinned(file: str) -> dict[str, tuple[str, int]]:
    """Of each package its version and the number of its hashes."""
    blocks = re.split(r"(?m)^(?=[A-Za-z])", (ROOT / "requirements" / file).read_text())[1:]
    return {name_of(block): (block.split("==")[1].split()[0], block.count("--hash=sha256:")) for block in blocks}


CONSTRAINTS = {
    name_of(line): line.split("==")[1] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
}


@pytest.mark.parametrize("file", ["build.txt", "torch.txt", "cuda.txt", "demo.txt"])
def test_versions_are_those_of_the_checks_and_have_hashes(file: str) -> None:
    found = pinned(file)
    assert found
    for name, (version, hashes) in found.items():
        assert hashes, name
        assert CONSTRAINTS.get(name, version) == version, f"{name}: type make lock"


def test_nothing_that_the_demo_needs_is_missing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    locked = pinned("demo.txt") | pinned("torch.txt")
    wanted = [*project["dependencies"], *extras["embedded"], *extras["examples"]]
    assert [need for need in wanted if name_of(need) not in locked] == [], "type make lock"
