"""Attacks every promise of tests/faults/promises.toml and prints a table of what was seen.

    python scripts/faults.py            all rows; the exit status is 1 where one failed or has no test
    python scripts/faults.py 33 49      these rows
    python scripts/faults.py --json     the same as data
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tomllib
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
PROMISES = ROOT / "tests" / "faults" / "promises.toml"
STATES = {"held": "green", "FAILED": "bold red", "no test": "bold red", "skipped": "yellow", "not yet": "dim"}


@dataclass
class Row:
    """One promise, and what its tests saw."""

    number: int
    fault: str
    promise: str
    not_yet: str = ""
    tests: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.failed:
            return "FAILED"
        if self.tests:
            return "held"
        if self.skipped:
            return "skipped"
        return "not yet" if self.not_yet else "no test"

    @property
    def told(self) -> str:
        """What the last column says."""
        if self.failed:
            more = f"; and {len(self.failed) - 2} more" if len(self.failed) > 2 else ""
            return "; ".join(self.failed[:2]) + more
        if self.tests:
            lines = list(dict.fromkeys(self.seen))
            more = f"; and {len(lines) - 3} more lines" if len(lines) > 3 else ""
            return f"{self.tests} test{'s' * (self.tests > 1)}" + (": " + "; ".join(lines[:3]) + more if lines else "")
        if self.skipped:
            return "; ".join(dict.fromkeys(self.skipped))
        return f"waits for {self.not_yet}" if self.not_yet else "a promise that nothing attacks"


class Watcher:
    """Collects the outcome of each test for the rows that it names (they travel as user properties, also from workers)."""

    def __init__(self, rows: dict[int, Row]) -> None:
        self.rows = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties: dict[str, list[Any]] = defaultdict(list)
        for name, value in report.user_properties:
            properties[name].append(value)
        for number in dict.fromkeys(properties["fault"]):
            row = self.rows.get(number)
            if row is None:
                continue
            if report.failed:
                row.failed.append(f"{report.nodeid} ({report.when})")
            elif report.skipped:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
                row.skipped.append(reason.removeprefix("Skipped: "))
            elif report.when == "call":
                row.tests += 1
                row.seen += properties["seen"]


def read() -> dict[int, Row]:
    """The promises by number."""
    rows = [Row(**row) for row in tomllib.loads(PROMISES.read_text())["row"]]
    return {row.number: row for row in rows}


def show(rows: list[Row]) -> None:
    """Print the table as wide as the terminal is, or 150 columns."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    table = Table("#", "fault", "promise", "", "what was seen", show_lines=True)
    for row in rows:
        table.add_row(str(row.number), row.fault, row.promise, f"[{STATES[row.state]}]{row.state}[/]", _plain(row.told))
    console.print(table)
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    console.print(", ".join(f"{count} {state}" for state, count in counts.items() if count))


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("number", nargs="*", type=int, help="rows to attack; all where none is named")
    parser.add_argument("--json", action="store_true", help="print data, not a table")
    options = parser.parse_args()
    rows = read()
    unknown = sorted(set(options.number) - rows.keys())
    if unknown:
        parser.error(f"no row {unknown[0]}; {PROMISES.relative_to(ROOT)} has {min(rows)} to {max(rows)}")
    chosen = [row for row in rows.values() if not options.number or row.number in options.number]
    os.chdir(ROOT)
    arguments = ["-m", "fault", "-q", "--no-header", "-n", "2", "-p", "no:cacheprovider"]
    if options.number:
        arguments += ["--fault-rows", ",".join(map(str, options.number))]
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main(arguments, plugins=[Watcher(rows)])
    if options.json:
        print(json.dumps([{**asdict(row), "state": row.state} for row in chosen], indent=1, ensure_ascii=False))
    else:
        show(chosen)
    broken = code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    return int(broken or any(row.state in ("FAILED", "no test") for row in chosen))


if __name__ == "__main__":
    sys.exit(main())
