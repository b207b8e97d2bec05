"""The page about security promises nothing that no test attacks, and names no part that is not there."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "concepts" / "security.md"
FORM = re.compile(r"^\| (?P<attack>[^|]+) \| (?P<holds>[^|]+) \| (?P<where>(`[\w.]+`(, )?)+) \| (?P<rows>[\d, ]+) \|$")


def matrix() -> list[re.Match[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for i, line in enumerate(lines) if line.startswith("|") and not line.startswith("|---")]
    found = [match for line in rows if (match := FORM.match(line))]
    heads = sum(line.startswith("| attack | what holds |") for line in rows)
    other = [line for line in rows if not FORM.match(line) and len(line.strip("|").split("|")) == 4]
    assert heads == len(other), other
    return found


def attacked() -> set[int]:
    """Rows of the table of promises that some test names."""
    found: set[int] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                found |= {ast.literal_eval(number) for number in node.args}
    return found


def test_every_promise_is_attacked_by_a_test() -> None:
    known = {row["number"] for row in tomllib.loads((ROOT / "tests" / "faults" / "promises.toml").read_text())["row"]}
    tests, rows = attacked(), matrix()
    assert len(rows) >= 40
    for row in rows:
        numbers = {int(number) for number in row["rows"].split(",")}
        assert numbers <= known & tests, (row["attack"], sorted(numbers - (known & tests)))


def test_every_promise_that_is_kept_today_is_on_the_page() -> None:
    rows = tomllib.loads((ROOT / "tests" / "faults" / "promises.toml").read_text())["row"]
    told = {int(number) for row in matrix() for number in row["rows"].split(",")}
    kept = {row["number"] for row in rows if "not_yet" not in row} & attacked()
    assert not kept - told, sorted(kept - told)


def test_every_part_that_is_named_is_there() -> None:
    for row in matrix():
        for name in re.findall(r"`([\w.]+)`", row["where"]):
            assert find_spec(f"loopwright.{name}") is not None, (row["attack"], name)


def test_the_short_page_and_the_long_one_agree() -> None:
    short = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    long = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert "docs/concepts/security.md" in short
    for both in ("`OPENAI_API_KEY` by itself to `https://api.openai.com` alone", "Windows and macOS have no sandbox"):
        assert both in short and both in long.replace("**", ""), both
