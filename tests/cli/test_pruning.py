"""`loopwright prune`, `vacuum` and `doctor --store`: what they show, ask, remove and leave."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "store"))

from store_rows import effect, new_run

from loopwright.core.errors import InputError, RunBusy
from loopwright.core.store import CacheRow, CandidateRow, EventRow, RolloutRow
from loopwright.store import SqliteStore
from loopwright.store.checkup import check_up
from loopwright.store.pruning import prune

Cli = Callable[..., tuple[int, str, str]]


def long(run: int, i: int) -> bytes:
    return json.dumps({"text": f"{run} {i} " * 200}).encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "loopwright.db"


@pytest.fixture
def runs(path: Path) -> list[str]:
    """Five: done, done, failed, paused, killed. The second shares its long texts with the first."""
    made = []
    with SqliteStore(path) as store:
        for number, status in enumerate(("done", "done", "failed", "paused", "running")):
            run = new_run(store, task={"name": f"t{number}"}).id
            made.append(run)
            rows: list[object] = [CandidateRow(run, "c", {"prompt": "p"}, "me", 0), EventRow(run, "look", {"a": 1}, "look")]
            for i in range(100):
                data = long(max(number, 1), i)
                rows += [
                    effect(run, f"{i}", "done", result=data), CacheRow(f"{run}{i}", data, run),
                    RolloutRow(run, f"{i}", "c", "e", "train", 0, i, 0.5, data),
                ]  # fmt: skip
            asyncio.run(store.write(rows))  # type: ignore[arg-type]
            store.set_run(run, status=status)  # type: ignore[arg-type]
    return made


def counts(path: Path, run: str) -> tuple[int, ...]:
    with SqliteStore(path) as store:
        cached = store.cached([f"{run}{i}" for i in range(100)])
        parts = (store.effects(run), store.rollouts(run), store.candidates(run), store.events(run))
        return (*(len(list(part)) for part in parts), len(cached))


WHOLE, THIN = (100, 100, 1, 1, 100), (0, 0, 1, 1, 0)


def sound(path: Path) -> bool:
    return {f.state for f in check_up(path) if f.name in ("log", "pages", "rows")} == {"ok"}


def test_a_dry_run_tells_exactly_what_the_removal_frees(cli: Cli, path: Path, runs: list[str]) -> None:
    before = path.read_bytes()
    code, out, _ = cli("prune", runs[2], "--dry-run", "--json", "--store", path)
    would = json.loads(out)
    assert (code, would["removed"], would["runs"]) == (0, False, [runs[2]])
    assert counts(path, runs[2]) == WHOLE
    code, out, _ = cli("prune", runs[2], "--yes", "--json", "--store", path)
    did = json.loads(out)
    assert did == {**would, "removed": True}
    assert did["bytes"] > 0
    assert did["rows"] >= 300
    assert counts(path, runs[2]) == THIN
    assert all(counts(path, run) == WHOLE for run in runs if run != runs[2])
    assert sound(path)
    assert before


def test_it_asks_and_where_nobody_can_be_asked_it_removes_nothing(cli: Cli, path: Path, runs: list[str]) -> None:
    code, _, err = cli("prune", runs[0], "--store", path)
    assert code == 2
    assert "--yes" in err
    assert "--dry-run" in err
    assert counts(path, runs[0]) == WHOLE


def test_what_is_chosen(cli: Cli, path: Path, runs: list[str]) -> None:
    def chosen(*words: str) -> list[str]:
        code, out, err = cli("prune", *words, "--dry-run", "--json", "--store", path)
        assert code == 0, err
        return json.loads(out)["runs"]

    assert chosen("--older-than", "0") == runs[:3]  # what can be resumed is left, unless it is named
    assert chosen("--older-than", "1") == []
    assert chosen("--status", "paused,killed") == runs[3:]
    assert chosen(runs[4], runs[0]) == [runs[4], runs[0]]
    assert chosen(runs[4], runs[0], "--status", "done") == [runs[0]]
    cli("prune", runs[0], "--yes", "--store", path)
    assert chosen("--older-than", "0") == runs[1:3]
    assert chosen("--older-than", "0", "--status", "pruned", "--forget") == [runs[0]]
    for words, near in ((("--status", "dne"), "done"), ((), "--older-than"), (("nope",), "unknown run")):
        code, _, err = cli("prune", *words, "--store", path)
        assert code == 2
        assert near in err


def test_texts_that_others_share_stay(cli: Cli, path: Path, runs: list[str]) -> None:
    cli("prune", runs[0], "--yes", "--store", path)
    with SqliteStore(path) as store:
        assert [row.result for row in store.effects(runs[1])] == [long(1, i) for i in range(100)]
    cli("prune", runs[1], "--yes", "--store", path)
    assert sound(path)
    code, _, err = cli("prune", "--older-than", "0", "--status", "done,failed,paused,killed", "--yes", "--store", path)
    assert code == 0, err
    assert [run["status"] for run in json.loads(cli("runs", "--json", "--store", path)[1])] == ["pruned"] * 5
    assert sound(path)


def test_a_pruned_run_is_neither_resumed_nor_reported(cli: Cli, path: Path, runs: list[str]) -> None:
    cli("prune", runs[0], "--yes", "--store", path)
    with SqliteStore(path) as store:
        with pytest.raises(InputError, match="was pruned"):
            store.acquire(runs[0])
        assert store.driven() == set()
    for command in ("report", "export"):
        code, _, err = cli(command, runs[0], "--store", path)
        assert code == 2
        assert "was pruned" in err


def test_forgotten_runs_are_gone(cli: Cli, path: Path, runs: list[str]) -> None:
    code, _, err = cli("prune", runs[0], runs[2], "--forget", "--yes", "--store", path)
    assert code == 0
    assert "correct for them no more" in err
    with SqliteStore(path) as store:
        assert [row.id for row in store.runs()] == [runs[1], *runs[3:]]
        assert new_run(store).id not in runs
    assert sound(path)


@pytest.mark.fault(10)
def test_a_live_run_is_never_removed(cli: Cli, path: Path, runs: list[str]) -> None:
    with SqliteStore(path) as store:
        lease = store.acquire(runs[2])
        code, _, err = cli("prune", runs[2], "--yes", "--store", path)
        assert code == 2
        assert "being driven" in err
        _, out, _ = cli("prune", "--older-than", "0", "--yes", "--json", "--store", path)
        assert json.loads(out)["runs"] == runs[:2]
        with pytest.raises(RunBusy):
            prune(store, [runs[2]])
        code, _, err = cli("vacuum", "--store", path)
        assert code == 2
        assert "alone" in err
        lease.release()
    assert counts(path, runs[2]) == WHOLE
    assert counts(path, runs[0]) == THIN
    assert sound(path)


def test_vacuum_gives_the_room_back_and_removes_blobs_that_nothing_names(cli: Cli, path: Path, runs: list[str]) -> None:
    with SqliteStore(path) as store:
        used, unused, young = (store.blobs.put(os.urandom(3000)) for _ in range(3))
        asyncio.run(store.write([CandidateRow(runs[1], "d", {"adapters": {"policy": used}}, "me", 0)]))
        for hash in (used, unused):
            os.utime(store.blobs.path(hash), (time.time() - 1e5,) * 2)  # type: ignore[attr-defined]
    cli("prune", "--older-than", "0", "--yes", "--store", path)
    before = path.stat().st_size
    code, out, err = cli("vacuum", "--json", "--store", path)
    assert code == 0, err
    assert json.loads(out)["after"] < json.loads(out)["before"]
    assert path.stat().st_size < 0.7 * before
    with SqliteStore(path) as store:
        assert [store.blobs.path(hash).exists() for hash in (used, unused, young)] == [True, False, True]  # type: ignore[attr-defined]
    assert counts(path, runs[3]) == WHOLE
    assert sound(path)


def test_doctor_looks_into_the_store_that_is_named(cli: Cli, path: Path, runs: list[str], tmp_path: Path) -> None:
    def kept() -> tuple[int, dict[str, dict[str, str]]]:
        code, out, _ = cli("doctor", "--json", "--store", path)
        return code, {line["name"]: line for line in json.loads(out)["lines"] if line["part"] == "what is kept"}

    code, found = kept()
    assert code == 0
    assert found["rows"]["state"] == "ok"
    assert f"loopwright resume {runs[4][:13]}" in found["runs"]["next"]
    raw = path.read_bytes()
    place = raw.index(b"asks")  # a summary
    path.write_bytes(raw[:place] + b"lies" + raw[place + 4 :])
    code, found = kept()
    assert code == 1
    assert found["rows"]["state"] == "damaged"
    assert "--salvage" in found["rows"]["next"]
    code, _, err = cli("doctor", "--store", path, "--salvage", tmp_path / "saved")
    assert code == 0
    assert "nothing was changed" in err
    assert sound(tmp_path / "saved" / path.name)
    assert "part" not in found


def test_salvage_as_the_documentation_types_it(
    cli: Cli, path: Path, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``doctor --store .loopwright --salvage saved``: both are relative."""
    store = tmp_path / "there" / ".loopwright"
    store.mkdir(parents=True)
    path.rename(store / "loopwright.db")
    monkeypatch.chdir(store.parent)
    code, _, err = cli("doctor", "--store", ".loopwright", "--salvage", "saved")
    assert code == 0 and "loopwright runs --store saved" in err
    assert sound(store.parent / "saved" / "loopwright.db")
