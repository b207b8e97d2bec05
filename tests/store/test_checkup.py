"""What is said of a store that is whole, and of one with flipped bits, damaged pages and blobs; and what is saved of it."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from store_rows import effect, new_run

from loopwright.core.errors import InputError, StoreError
from loopwright.core.store import CacheRow, CandidateRow, EventRow, FeedbackRow, RolloutRow
from loopwright.store import SqliteStore
from loopwright.store.checkup import check_up, told_bytes
from loopwright.store.commits import commits_file
from loopwright.store.salvage import salvage

Seen = Callable[[str], None]
ROWS = 150


def told(i: int, run: int) -> bytes:
    return f'{{"choices":[{{"text":"{f"answer {i} of {run}, a long one. " * 12}"}}]}}'.encode()


def filled(path: Path) -> list[str]:
    with SqliteStore(path) as store:
        runs = []
        used, _ = store.blobs.put(b"weights" * 900), store.blobs.put(b"of nobody")
        for number in range(3):
            run = new_run(store, adapter=used).id
            runs.append(run)
            for i in range(ROWS):
                key = f"{i}"
                asyncio.run(store.write([
                    effect(run, key, "done", result=told(i, number), ordinal=i), CacheRow(f"{run}{i}", told(i, number), run),
                    RolloutRow(run, key, "c", "e", "train", 0, i, 0.5, told(i, number)),
                ]))  # fmt: skip
            asyncio.run(store.write([
                CandidateRow(run, "c", {"prompt": "say " * 90}, "me", 0), EventRow(run, "look", {"a": 1}, "look"),
                FeedbackRow(run, "f", "0", "score", "r", "program", b"{}"),
            ]))  # fmt: skip
            store.set_run(run, status="done")
        store.learners.swap("l", expected=0, data=b"{}" * 300)
    return runs


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "loopwright.db"
    filled(path)
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole.parent, tmp_path / "copy")
    return tmp_path / "copy" / whole.name


def states(path: Path) -> dict[str, str]:
    return {found.name: found.state for found in check_up(path)}


def test_a_whole_store_is_said_to_be_whole(whole: Path) -> None:
    before = whole.read_bytes()
    found = {f.name: f for f in check_up(whole)}
    assert {f.state for name, f in found.items() if name != "blobs"} == {"ok"}
    assert found["rows"].told == f"all {3 * (3 * ROWS + 3) + 1:,} rows are those that were written"
    assert (found["blobs"].state, found["blobs"].next) == ("limited", "loopwright vacuum")
    assert "names 1 of them (9 bytes)" in found["blobs"].told
    assert whole.read_bytes() == before


def test_who_uses_it_is_told(copy: Path) -> None:
    with SqliteStore(copy) as store:
        killed, live = new_run(store).id, new_run(store).id
        lease = store.acquire(live)
        found = {f.name: f for f in check_up(copy)}["runs"]
        lease.release()
    assert f"{live[:13]} is driven by process {os.getpid()}" in found.told
    assert found.next == f"loopwright resume {killed[:13]}"


@pytest.mark.fault(9, 62)
def test_every_flipped_bit_that_changes_what_is_read_is_named(whole: Path, tmp_path: Path, seen: Seen) -> None:
    rng, named, harmless = random.Random(7), 0, 0
    raw, good = whole.read_bytes(), contents(whole)
    for number in range(60):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        at, bit = rng.randrange(len(raw)), rng.randrange(8)
        (folder / whole.name).write_bytes(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :])
        shutil.copy(commits_file(whole), folder)
        if "damaged" in states(folder / whole.name).values():
            named += 1
        else:
            assert contents(folder / whole.name) == good, f"byte {at}, bit {bit} changed what is read, and nobody said so"
            harmless += 1
        shutil.rmtree(folder)
    assert named > 25
    seen(f"60 bits flipped at random: {named} named by doctor --store, {harmless} without effect on any row")


def contents(path: Path) -> list[object]:
    with SqliteStore(path, read_only=True) as store:
        runs = store.runs()
        return [
            runs,
            *([*store.effects(r.id), *store.rollouts(r.id), *store.candidates(r.id), *store.feedback(r.id), *store.events(r.id)]
              for r in runs),
            [store.cached([f"{r.id}{i}" for i in range(ROWS)]) for r in runs],
        ]  # fmt: skip


@pytest.mark.fault(9)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_whole_is_saved(copy: Path, tmp_path: Path, seed: int, seen: Seen) -> None:
    rng = random.Random(seed)
    size = copy.stat().st_size
    with sqlite3.connect(copy) as connection:  # not the list of tables, nor what leads to the rows: without them nothing is left
        query = "SELECT pageno FROM dbstat WHERE name IN ('effect', 'value', 'rollout', 'cache') AND pagetype = 'leaf'"
        pages = [number for (number,) in connection.execute(query)]
    connection.close()
    with copy.open("r+b") as file:
        for number in rng.sample(pages, 3):
            file.seek(4096 * (number - 1))
            file.write(rng.randbytes(4096))
    blob = next((copy.parent / "blobs").glob("*/*"))
    blob.write_bytes(b"other")
    before = copy.read_bytes()
    assert states(copy)["blobs"] == "damaged"
    assert "damaged" in {states(copy)[name] for name in ("pages", "rows")}
    copied, left = salvage(copy, tmp_path / "saved")
    assert copy.read_bytes() == before
    assert (copied["blob"], left["blob"]) == (1, 1)
    with SqliteStore(tmp_path / "saved" / copy.name) as store:
        effects = [row for run in store.runs() for row in store.effects(run.id)]
        assert all(row.result in {told(row.ordinal, n) for n in range(3)} for row in effects)
        assert len(effects) == copied["effect"] > ROWS
        store.acquire(store.runs()[0].id).release()
    assert {state for name, state in states(tmp_path / "saved" / copy.name).items() if name != "blobs"} == {"ok"}
    seen(f"3 pages of {size // 4096} overwritten: {copied['effect']} of {3 * ROWS} effects saved, and a sound store made of them")


@pytest.mark.fault(9)
@pytest.mark.parametrize("kept", [0.4, 0.8])
def test_what_is_left_of_a_cut_off_file_is_saved(copy: Path, tmp_path: Path, kept: float, seen: Seen) -> None:
    os.truncate(copy, int(copy.stat().st_size * kept))
    assert "damaged" in states(copy).values()
    copied, _ = salvage(copy, tmp_path / "saved")
    with SqliteStore(tmp_path / "saved" / copy.name) as store:
        effects = [row for run in store.runs() for row in store.effects(run.id)]
        assert len(effects) == copied["effect"]
        assert all(row.result in {told(row.ordinal, n) for n in range(3)} for row in effects)
    seen(f"cut to {kept:.0%}: {len(effects)} of {3 * ROWS} effects saved")


def test_nothing_is_saved_over_a_store(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        salvage(copy, copy.parent)


def test_what_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "loopwright.db"
    path.write_bytes(b"this is no database" * 300)
    assert states(path)["database"] == "damaged"
    with pytest.raises(StoreError):
        salvage(path, tmp_path / "saved")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (a)")
    assert states(other)["rows"] == "limited"


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (5e12, "5,000.0 GB")],
)
def test_bytes_are_told_for_people(size: float, words: str) -> None:
    assert told_bytes(size) == words
