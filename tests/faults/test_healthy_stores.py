"""What must not harm a store or pass for damage: neighbours in its folder, threads that open it, runs that others remove."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.errors import StoreCorrupt, StoreError
from loopwright.core.store import CacheRow, EffectRow, EventRow, Row
from loopwright.store import SqliteStore
from loopwright.store.checkup import check_up
from loopwright.store.commits import acknowledged, commits_file
from loopwright.store.presence import only_here
from loopwright.store.pruning import prune, vacuum
from loopwright.store.rows import Reader
from loopwright.store.salvage import salvage

Seen = Callable[[str], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "loopwright.db"


def effect(run: str, key: str, data: bytes = b"{}") -> EffectRow:
    return EffectRow(run, key, "s", "generate", "c", 0, "done", "asks", data)


def filled(path: Path, count: int = 3) -> list[str]:
    """Runs with a blob, two effects, a reply in the cache and an event each."""
    made = []
    with SqliteStore(path) as store:
        for number in range(count):
            blob = store.blobs.put(f"weights {number} of {path}".encode() * 9)
            run = store.create_run({"adapter": blob}, seed=number, budget={}, code_version="1").id
            data = json.dumps({"text": f"{number} " * 200}).encode()
            rows: list[Row] = [effect(run, "a", data), effect(run, "b")]
            rows += [CacheRow(f"{run}a", data, run), EventRow(run, "look", {}, "look")]
            asyncio.run(store.write(rows))
            store.set_run(run, status="done")
            made.append(run)
    return made


def states(path: Path) -> set[str]:
    return {found.state for found in check_up(path)}


def names(path: Path) -> set[str]:
    return {file.name for file in (path.parent / "blobs").glob("??/*")}


@pytest.mark.fault(9)
@pytest.mark.parametrize("open_too", [False, True])
def test_vacuum_leaves_what_another_store_in_the_folder_names(tmp_path: Path, open_too: bool, seen: Seen) -> None:
    one, other = tmp_path / "a.db", tmp_path / "b.db"
    filled(one)
    filled(other)
    for file in (tmp_path / "blobs").glob("??/*"):
        os.utime(file, (1, 1))
    before = names(one)
    kept = SqliteStore(other) if open_too else None
    with SqliteStore(one) as store:
        vacuum(store)
    assert names(one) == before
    assert states(one) == {"ok"}  # nor is a vacuum advised
    if kept is not None:
        kept.close()
    other.unlink()
    with SqliteStore(one) as store:
        vacuum(store)
    assert len(names(one)) == 3
    seen("of 6 blobs of two stores in one folder vacuum removes none; once the other store has gone, its 3")


@pytest.mark.fault(9)
def test_an_old_blob_that_is_put_again_is_as_good_as_new(path: Path) -> None:
    with SqliteStore(path) as store:
        blob, other = store.blobs.put(b"of nobody yet"), store.blobs.put(b"of nobody")
        for file in (path.parent / "blobs").glob("??/*"):
            os.utime(file, (1, 1))
        assert store.blobs.put(b"of nobody yet") == blob  # by a run that is about to name it
        vacuum(store)
        assert names(path) == {blob} != {other}


@pytest.mark.fault(9)
def test_a_pipe_in_the_place_of_a_store_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    program = "import sys; from loopwright.store import SqliteStore; SqliteStore(sys.argv[1], read_only=bool(sys.argv[2]))"
    for read_only in ("", "yes"):
        command = [sys.executable, "-c", program, str(tmp_path / "pipe.db"), read_only]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert "neither a file nor a folder" in done.stderr


@pytest.mark.fault(9)
def test_names_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.db").symlink_to(tmp_path / "loop.db")
    for name in ("loop.db", "a\0b.db"):
        with pytest.raises(StoreError, match="leads to no file"):
            SqliteStore(tmp_path / name)


@pytest.mark.fault(9)
def test_what_is_saved_without_a_damaged_run_is_a_store(path: Path, tmp_path: Path, seen: Seen) -> None:
    runs = filled(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE run SET reason = 'x' WHERE n = 2")
    connection.commit()
    connection.close()
    with pytest.raises(StoreCorrupt, match="row 2 of the table run"), SqliteStore(path) as store:
        store.runs()
    copied, left = salvage(path, tmp_path / "saved")
    assert (copied["run"], copied["effect"], copied["cache"]) == (2, 4, 3)
    assert left == {"run": 1, "effect": 2, "event": 1}
    saved = tmp_path / "saved" / path.name
    with SqliteStore(saved) as store:
        assert [row.id for row in store.runs()] == [runs[0], runs[2]]
        assert [len(list(store.effects(run))) for run in runs] == [2, 0, 2]
        assert store.cached([f"{runs[1]}a"])  # what it paid for is not asked again
    assert "damaged" not in states(saved)
    seen("with 1 of 3 runs damaged, the salvaged store opens with the 2 others, and with all 3 runs' replies")


@pytest.mark.fault(9)
def test_blobs_are_saved_by_any_name_of_the_store(path: Path, tmp_path: Path) -> None:
    filled(path)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / path.name
    link.symlink_to(path)
    assert salvage(link, tmp_path / "saved")[0]["blob"] == 3


@pytest.mark.fault(9)
def test_a_salvage_that_was_killed_leaves_no_store_and_is_made_again(path: Path, tmp_path: Path) -> None:
    filled(path)
    folder = tmp_path / "saved"
    program = """
import os, signal, sys
from pathlib import Path
from loopwright.store import salvage
setattr(salvage, sys.argv[3], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
salvage.salvage(Path(sys.argv[1]), Path(sys.argv[2]))
"""
    for step in ("_values", "_blobs"):
        done = subprocess.run([sys.executable, "-c", program, str(path), str(folder), step], check=False)
        assert done.returncode == -9 and not (folder / path.name).exists()
    copied, left = salvage(path, folder)
    assert (copied["run"], copied["blob"], left) == (3, 3, {})
    assert {file.name for file in folder.iterdir()} == {path.name, f"{path.name}-commits", "blobs"}
    assert states(folder / path.name) == {"ok"}


@pytest.mark.fault(9)
def test_a_copy_made_of_statements_is_a_store(path: Path, tmp_path: Path) -> None:
    runs = filled(path)
    copy = tmp_path / "copy" / path.name
    copy.parent.mkdir()
    with sqlite3.connect(path) as old, sqlite3.connect(copy) as new:
        new.executescript("".join(old.iterdump()))
    old.close()
    new.close()
    assert "damaged" not in states(copy)
    with SqliteStore(copy) as store:
        assert [row.id for row in store.runs()] == runs and len(list(store.effects(runs[0]))) == 2
        store.set_run(runs[0], status="failed")
    with sqlite3.connect(copy) as new:
        new.execute("DROP TRIGGER effect_insert")
    new.close()
    with pytest.raises(StoreCorrupt, match="says that it has schema"):
        SqliteStore(copy)


@pytest.mark.fault(9, 62)
@pytest.mark.parametrize("kind", [1, 2])
def test_a_store_that_its_owner_lets_shrink_by_itself_is_whole(path: Path, kind: int, seen: Seen) -> None:
    runs = filled(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA auto_vacuum = {kind}")
    connection.execute("VACUUM")
    connection.close()
    assert "damaged" not in states(path)
    with SqliteStore(path) as store, SqliteStore(path, read_only=True) as reader:
        prune(store, runs[:1])
        assert [row.status for row in reader.runs()] == ["pruned", "done", "done"]
    assert "damaged" not in states(path)
    whole = path.read_bytes()
    wrong = 0
    for bit in range(32):  # of what says that it is so
        flipped = bytearray(whole)
        flipped[52 + bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(StoreError):
            SqliteStore(path).close()
        wrong += 1
    seen(f"a store with PRAGMA auto_vacuum = {kind} is not called damaged; each of {wrong} flipped bits there is named")


@pytest.mark.fault(9)
@pytest.mark.parametrize("bit", range(0, 32, 5))
def test_a_flipped_bit_does_not_pass_for_auto_vacuum(path: Path, bit: int) -> None:
    filled(path)
    flipped = bytearray(path.read_bytes())
    flipped[52 + bit // 8] ^= 1 << bit % 8
    path.write_bytes(flipped)
    with pytest.raises(StoreError):
        SqliteStore(path).close()
    assert "damaged" in states(path) and path.read_bytes() == flipped


@pytest.mark.fault(9)
def test_what_is_advised_can_be_typed(tmp_path: Path) -> None:
    path = tmp_path / "my runs; old" / "a b.db"
    filled(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9000])
    with pytest.raises(StoreCorrupt) as caught:
        SqliteStore(path)
    path.write_bytes(whole)
    assert f"loopwright doctor --store '{path}'." in str(caught.value) and f"sqlite3 '{path}' .recover" in str(caught.value)
    start = "from loopwright.cli import main; main()"
    words = [sys.executable, "-c", start, "doctor", "--store", str(path), "--salvage", str(tmp_path / "new one")]
    wide = {**os.environ, "COLUMNS": "1000"}
    told = subprocess.run(words, env=wide, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout
    typed = shlex.split(told.partition("Look at it: loopwright ")[2])
    assert typed == ["runs", "--store", str(tmp_path / "new one" / path.name)]
    subprocess.run([sys.executable, "-c", start, *typed], check=True, capture_output=True)


@pytest.mark.fault(62, 63)
def test_no_flipped_bit_beside_a_whole_store_passes_for_lost_writes(path: Path, seen: Seen) -> None:
    filled(path)
    file, known = commits_file(path), acknowledged(path)
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        assert acknowledged(path) in (0, known), bit
    SqliteStore(path).close()
    with SqliteStore(path) as store:
        store.set_run("last", status="failed")
    assert acknowledged(path) == known + 1  # the next commit mends it
    file.write_bytes(whole[:20])  # of an earlier version
    assert acknowledged(path) == known
    seen(f"{8 * len(whole)} flipped bits in the file of acknowledged commits: a whole store is refused for none")


@pytest.mark.fault(10)
def test_two_that_forget_one_run_at_once(path: Path) -> None:
    runs = filled(path)
    with SqliteStore(path) as one, SqliteStore(path) as other:
        assert prune(one, runs[:2], forget=True).rows > 0
        assert prune(other, runs[:2], forget=True).rows == 0
    assert states(path) <= {"ok", "limited"}


@pytest.mark.fault(9)
def test_rows_of_a_run_that_another_forgot_are_refused(path: Path, seen: Seen) -> None:
    runs = filled(path)
    with SqliteStore(path) as writer, SqliteStore(path) as other:
        assert len(list(writer.effects(runs[-1]))) == 2  # it knows the run
        prune(other, runs[-1:], forget=True)

        async def both() -> Sequence[BaseException | None]:
            return await asyncio.gather(
                writer.write([effect(runs[-1], "late")]), writer.write([effect(runs[0], "late")]),
                writer.write([EventRow(runs[-1], "late", {})]), return_exceptions=True,
            )  # fmt: skip

        late, good, event = asyncio.run(both())
        assert isinstance(late, StoreError) and isinstance(event, StoreError) and "prune --forget" in str(late)
        assert good is None
    with SqliteStore(path) as store:
        assert [row.id for row in store.runs()] == runs[:-1] and len(list(store.effects(runs[0]))) == 3
    seen("rows for a run that another process had removed: refused by name; what was written with them is kept")


@pytest.mark.fault(12)
@pytest.mark.parametrize("revision", ["0003", "ab12cd34ef56"])
def test_another_programs_database_is_no_older_or_newer_store(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        f"CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('{revision}'); CREATE TABLE user (a);"
    )
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a Loopwright store"):
        SqliteStore(path)
    assert path.read_bytes() == before and {file.name for file in tmp_path.iterdir()} == {path.name}


OTHER = """
import asyncio, os, sys
from loopwright.core.store import EffectRow
from loopwright.store import SqliteStore
run = SqliteStore(sys.argv[1]).create_run({}, seed=1, budget={}, code_version="1").id
i = 0
while not os.path.exists(sys.argv[2]):
    with SqliteStore(sys.argv[1]) as store:
        for _ in range(20):
            i += 1
            asyncio.run(store.write([EffectRow(run, f"{i}", "s", "generate", "c", 0, "done", "asks", b"x")]))
    print(i, flush=True)
"""


@pytest.mark.fault(60)
def test_threads_that_open_a_store_at_once_do_not_take_its_locks_away(path: Path, seen: Seen) -> None:
    filled(path)
    wrong: list[str] = []
    opened = [0]

    def again() -> None:
        for i in range(25):
            try:
                with SqliteStore(path) as store:
                    run = store.create_run({}, seed=i, budget={}, code_version="1").id
                    asyncio.run(store.write([effect(run, "a")]))
                opened[0] += 1
            except StoreError as error:
                wrong.append(str(error))

    stop = path.with_name("stop")
    command = [sys.executable, "-c", OTHER, str(path), str(stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        threads = [threading.Thread(target=again) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stop.touch()
        _, err = other.communicate()
    assert not wrong and not err, (wrong, err[-500:])
    assert states(path) <= {"ok", "limited"}
    seen(f"4 threads open and write {opened[0]} times while another process does: no error, nothing lost")


@pytest.mark.fault(60)
def test_a_store_counts_as_open_from_before_its_first_connection(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path)
    free: list[bool] = []

    class Watched(Reader):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            with only_here(path) as mine:
                free.append(mine)

    monkeypatch.setattr("loopwright.store.sqlite.Reader", Watched)
    for read_only in (False, True):
        SqliteStore(path, read_only=read_only).close()
    assert free == [False, False]
    monkeypatch.setattr("loopwright.store.sqlite.prepare", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        SqliteStore(path)
    with only_here(path) as mine:
        assert mine
