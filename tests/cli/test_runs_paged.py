"""`loopwright runs` of a store with many runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.text import Text

from loopwright.cli.consoles import fit
from loopwright.store import SqliteStore

Cli = Callable[..., tuple[int, str, str]]
Many = tuple[Path, list[str]]
RUNS = 45
LONG = "learned nothing: " + "no candidate was better than the base on the gate examples; " * 5


@pytest.fixture
def many(tmp_path: Path) -> Many:
    ids = []
    with SqliteStore(tmp_path / "many.db") as store:
        for i in range(RUNS):
            spec = {"job": "improve", "task": {"name": f"task {i} " + "of a long name " * 4}, "model": "openai:toy@http://host/v1"}
            ids.append(store.create_run(spec, seed=i, budget={}, code_version="1").id)
            store.set_run(ids[-1], status="done", reason=LONG)
    return tmp_path / "many.db", ids[::-1]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_line_a_run_twenty_at_a_time(cli: Cli, many: Many, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path, newest = many
    monkeypatch.setenv("COLUMNS", str(width))
    told: list[str] = []
    for offset in range(0, RUNS, 20):
        code, out, err = cli("runs", "--store", path, *(["--offset", offset] if offset else []))
        lines = [line for line in out.splitlines() if " done " in line]
        assert code == 0 and all(len(line) <= width for line in out.splitlines())
        assert len(lines) == min(20, RUNS - offset)
        assert ("older" in err) == (offset + 20 < RUNS) and (f"--offset {offset + 20}" in err) == (offset + 20 < RUNS)
        told += lines
        assert "whole in a wider window, and in: loopwright runs --json" in err
    assert all(id[:13] in line for id, line in zip(newest, told, strict=True))
    assert sum(" done " in line for line in cli("runs", "--store", path, "--all")[1].splitlines()) == RUNS


def test_the_data_has_all_unless_told_otherwise(cli: Cli, many: Many) -> None:
    path, newest = many

    def ids(*words: object) -> list[str]:
        return [row["run"] for row in json.loads(cli("runs", "--json", "--store", path, *words)[1])]

    assert ids() == ids("--all") == newest
    assert ids("--limit", 3) == newest[:3] and ids("-n", 3, "--offset", 44) == newest[44:]
    assert json.loads(cli("runs", "--json", "-n", 1, "--store", path)[1])[0]["reason"] == LONG


def test_what_is_typed_wrong_or_beyond_the_end_is_told(cli: Cli, many: Many) -> None:
    path, _ = many
    assert "--limit or --all, got both" in cli("runs", "--store", path, "--all", "--limit", 3)[2]
    code, _, err = cli("runs", "--store", path, "--offset", 99)
    assert code == 0 and "no more than 99 runs" in err
    for wrong in (("--limit", 0), ("--offset", -1), ("--limit", "few")):
        assert cli("runs", "--store", path, *wrong)[0] == 2


def test_texts_are_cut_to_fit_the_longest_most() -> None:
    def lines() -> list[list[Text]]:
        return [[Text("id"), Text("a"), Text("b" * 30), Text("c" * 90)], [Text("id"), Text("aa"), Text("b"), Text("字" * 20)]]

    cut = lines()
    assert fit(cut, [1, 2, 3], 60)
    widths = [max(line[at].cell_len for line in cut) for at in range(4)]
    assert widths[:2] == [2, 2] and 55 <= sum(widths) <= 60 and min(widths[2:]) >= 26
    assert cut[0][0].plain == "id" and cut[0][1].plain == "a"
    short = lines()
    assert not fit(short, [1, 2, 3], 12) and short[0][3].plain == "c" * 90


def test_a_reason_is_told_without_the_class_of_its_error(cli: Cli, tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "one.db") as store:
        run = store.create_run({"task": "sums"}, seed=0, budget={}, code_version="1").id
        store.set_run(run, status="failed", reason="InputError: the budget of 60 calls is too small")
    _, out, err = cli("runs", "--store", tmp_path / "one.db")
    assert "   the budget of 60 calls is too small" in out and "InputError" not in out and "--json" not in err
