"""Whoever installed Loopwright without extras is told which one to install, by every command and function."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import loopwright
from loopwright.core.errors import InputError
from loopwright.core.extras import EXTRAS, MissingExtra, hint, missing, named, require, there
from loopwright.core.lazy import lazy

ROOT = Path(loopwright.__file__).parent
IMPORTED = {"scikit-learn": "sklearn", "python-sat": "pysat"}  # where it is not the name with "_" for "-"
BROUGHT = {"pydantic_core", "referencing", "yarl"}  # by pydantic, jsonschema and aiohttp
BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NAMES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def names(requirements: list[str]) -> set[str]:
    plain = [r.split(";")[0].split("[")[0].split(">")[0].split("<")[0].split("=")[0].strip() for r in requirements]
    return {IMPORTED.get(name, name.replace("-", "_")) for name in plain}


def test_every_extra_is_known() -> None:
    project = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {extra: names(given) for extra, given in project["optional-dependencies"].items() if extra not in ("dev", "docs")}
    for extra, packages in extras.items():
        assert {EXTRAS.get(package) for package in packages} == {extra}
    assert set(EXTRAS.values()) == set(extras)


def test_everything_that_is_imported_is_base_or_of_an_extra() -> None:
    project = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {*names(project["dependencies"]), *EXTRAS, *sys.stdlib_module_names, *BROUGHT, "loopwright"}
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                imported.append(str(node.module))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy" and isinstance(node.args[0], ast.Constant):
                imported.append(str(node.args[0].value))
            found |= {(name.partition(".")[0], path.name) for name in imported}
    assert not {(name, path) for name, path in found if name not in known}


@pytest.mark.parametrize(("package", "extra"), sorted(EXTRAS.items()))
def test_the_message_names_the_extra(package: str, extra: str) -> None:
    assert f"the package {package} is not installed; type: pip install 'loopwright[{extra}]'" == str(missing(f"{package}.part"))
    assert hint(f"ModuleNotFoundError: No module named '{package}.part' (make.py line 3)").endswith(f"'loopwright[{extra}]'")


def test_other_packages_are_left_alone() -> None:
    assert str(missing("nothing_of_ours")).endswith("pip install nothing_of_ours") and issubclass(MissingExtra, InputError)
    assert hint("No module named 'nothing_of_ours'") == hint("division by zero") == ""
    with pytest.raises(ModuleNotFoundError, match="nothing_of_ours"), named():
        import nothing_of_ours  # noqa: F401
    with pytest.raises(MissingExtra, match="nothing_of_ours"):
        lazy("nothing_of_ours.part")
    with pytest.raises(MissingExtra, match="nothing_of_ours"):
        require("json", "nothing_of_ours")
    assert there("json") and there("importlib.util") and not there("nothing_of_ours")


def without(at: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A program in a process in which no extra is installed."""
    code = f"NAMES = {set(EXTRAS) | {'scipy', 'trl', 'accelerate'}!r}\n{BLOCKED}\n{program}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent), "COLUMNS": "300"}
    return subprocess.run([sys.executable, "-c", code, *words], cwd=at, capture_output=True, text=True, env=environment)


COMMAND = "from loopwright.cli.main import main\nmain()"


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("improve task", "embedded"),
        ("run few-shot --world lab-sums", "embedded"),
        ("run q-learning --world gym", "gym"),
        ("watch replay --world digits", "digits"),
        ("run ddpo --world drawn-points", "embedded"),
        ("run self-consistency --world modelling --model scripted:asked:answers", "milp"),
        ("run llm-asp --task task --model scripted:asked:answers", "asp"),
        ("improve made --model scripted:asked:answers", "examples"),
        ("improve rewarded --model scripted:asked:answers", "embedded"),
    ],
)
def test_commands_name_the_extra(tmp_path: Path, words: str, extra: str) -> None:
    checkers = {"task": 'kind = "exact"', "made": 'kind = "exact"', "rewarded": 'kind = "reward-model"\nfolder = "."'}
    for name, checker in checkers.items():
        source = 'generator = "make.py:make"\ncount = 60' if name == "made" else 'file = "e.jsonl"'
        (tmp_path / name).mkdir()
        (tmp_path / name / "task.toml").write_text(f'name = "t"\n[examples]\n{source}\n[checker]\n{checker}\n')
        lines = [json.dumps({"input": f"q{i}", "target": "a"}) + "\n" for i in range(60)]
        (tmp_path / name / "e.jsonl").write_text("".join(lines))
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "make.py").write_text(f"NAMES = {set(EXTRAS)!r}\n{BLOCKED}\nimport reasoning_gym\nmake = print\n")
    (tmp_path / "asked.py").write_text("def answers(request, index):\n    return 'no'\n")
    run = f"import sys\nsys.path.append({str(tmp_path)!r})\n{COMMAND}"
    done = without(tmp_path, run, *words.split())
    assert done.returncode != 0 and f"pip install 'loopwright[{extra}]'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "traceback" not in done.stderr
    assert "examples; run " not in done.stderr  # found before a run began


@pytest.mark.parametrize("words", ["list", "show grpo", "show llm-asp", "model list"])
def test_what_needs_no_extra_works_without(tmp_path: Path, words: str) -> None:
    done = without(tmp_path, COMMAND, *words.split())
    assert done.returncode == 0, done.stderr


def test_functions_name_the_extra_too(tmp_path: Path) -> None:
    program = (
        "from loopwright.core.extras import MissingExtra\nfrom loopwright.models import load\n"
        "try:\n    load('embedded')\nexcept MissingExtra as error:\n    print(error)"
    )
    assert without(tmp_path, program).stdout.strip().endswith("pip install 'loopwright[embedded]'")
