"""What the store does when the machine does not play along. Nothing here is simulated that can be had for real."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_rows import effect, new_run

from loopwright.core.errors import InputError, RunBusy, StoreBusy, StoreCorrupt, StoreError, StoreFull
from loopwright.core.store import CacheRow, EventRow
from loopwright.store import FileBlobs, SqliteStore, open_store
from loopwright.store.locks import file_system, refuse_network

Python = Callable[..., "subprocess.Popen[str]"]

WRITE = """
import asyncio, sys
from loopwright.core.store import CacheRow, EffectRow, EventRow
from loopwright.store import SqliteStore
store = SqliteStore(sys.argv[1])
run, name = sys.argv[2], sys.argv[3]
async def one(worker):
    i = 0
    while True:
        key = f"{name}-{worker}-{i}"
        await store.write([EffectRow(run, key, "s", "generate", "c", i, "open", "asks")])
        done = EffectRow(run, key, "s", "generate", "c", i, "done", "asks", key.encode() * 50)
        await store.write([done, CacheRow(key, b"reply"), EventRow(run, "told", {"key": key}, key)])
        print(key, flush=True)
        i += 1
async def main():
    await asyncio.gather(*(one(worker) for worker in range(8)))
asyncio.run(main())
"""

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""

DRIVE = """
import sys
from loopwright.store import SqliteStore
lease = SqliteStore(sys.argv[1]).acquire(sys.argv[2])
print("driving", flush=True)
sys.stdin.readline()
"""

FORK = """
import os, signal, sys
from loopwright.store import SqliteStore
lease = SqliteStore(sys.argv[1]).acquire(sys.argv[2])
if not os.fork():
    print(os.getpid(), flush=True)  # said by the worker itself, so that it has begun
signal.pause()
"""


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def check(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@pytest.mark.fault(1)
@pytest.mark.parametrize("seed", range(6))
def test_what_was_acknowledged_survives_kill(path: Path, python: Python, seed: int) -> None:
    store = SqliteStore(path)
    run = new_run(store).id
    store.close()
    writers = [python(WRITE, path, run, name) for name in ("a", "b")]
    wanted = random.Random(seed).randint(1, 60)
    told = [[line(writer) for _ in range(wanted)] for writer in writers]
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
    for writer, keys in zip(writers, told, strict=True):
        rest = writer.communicate()[0].split("\n")[:-1]  # the last piece has no line end: it may be half a key
        keys.extend(rest)
    check(path)
    with SqliteStore(path) as again:
        effects = {row.key: row for row in again.effects(run)}
        events = again.events(run)
        keys = [key for keys in told for key in keys]
        assert len(keys) >= 2 * wanted
        assert all(effects[key].status == "done" and effects[key].result == key.encode() * 50 for key in keys)
        assert set(again.cached(keys)) == set(keys)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        # an effect and its event were one write: never one without the other
        assert {event.key for event in events} == {row.key for row in effects.values() if row.status == "done"}


@pytest.mark.fault(10)
def test_one_process_drives_a_run(sqlite: SqliteStore, python: Python) -> None:
    run, other = new_run(sqlite).id, new_run(sqlite).id
    driver = python(DRIVE, sqlite.path, run)
    assert line(driver) == "driving"
    with pytest.raises(RunBusy, match=str(driver.pid)):
        sqlite.acquire(run)
    sqlite.acquire(other).release()
    driver.kill()
    driver.wait()
    sqlite.acquire(run).release()


@pytest.mark.fault(10)
def test_a_forked_worker_does_not_keep_the_run(sqlite: SqliteStore, python: Python) -> None:
    run = new_run(sqlite).id
    driver = python(FORK, sqlite.path, run)
    worker = int(line(driver))
    try:
        with pytest.raises(RunBusy, match=str(driver.pid)):
            sqlite.acquire(run)
        driver.kill()
        driver.wait()
        os.kill(worker, 0)  # it is still there
        sqlite.acquire(run).release()
    finally:
        os.kill(worker, signal.SIGKILL)


@pytest.mark.fault(7)
def test_a_locked_database_is_busy_and_names_the_process(path: Path, python: Python) -> None:
    with SqliteStore(path, wait=0.2) as store:
        run = new_run(store).id
        locker = python(LOCK, path)
        assert line(locker) == "locked"

        async def three() -> list[object]:
            return await asyncio.gather(*(store.write([effect(run, str(i))]) for i in range(3)), return_exceptions=True)

        errors = asyncio.run(three())
        assert all(isinstance(error, StoreBusy) and str(locker.pid) in str(error) for error in errors), errors
        assert [row.id for row in store.runs()] == [run]  # readers are not kept out
        locker.communicate("go\n")
        asyncio.run(store.write([effect(run, "later")]))
        assert [row.key for row in store.effects(run)] == ["later"]


@pytest.mark.fault(7)
def test_a_short_lock_is_waited_for(sqlite: SqliteStore, python: Python) -> None:
    run = new_run(sqlite).id
    locker = python(LOCK, sqlite.path)
    assert line(locker) == "locked"

    async def write() -> None:
        task = asyncio.create_task(sqlite.write([effect(run)]))
        await asyncio.sleep(0.2)
        assert not task.done()
        await asyncio.to_thread(locker.communicate, "go\n")
        await task

    asyncio.run(write())
    assert len(list(sqlite.effects(run))) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.fault(6)
def test_a_full_disk_keeps_what_was_acknowledged(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1024 * 1024))
    store = SqliteStore(small_disk / "loopwright.db")
    run = new_run(store).id
    told: list[str] = []

    async def fill() -> None:
        for i in range(1000):
            rows = [CacheRow(f"{i}{half}", random.Random(i).randbytes(9000)) for half in "ab"]
            await store.write(rows)
            told.extend(row.key for row in rows)

    with pytest.raises(StoreFull, match="Free some space"):
        asyncio.run(fill())
    assert told
    with pytest.raises(StoreFull):
        store.blobs.put(random.Random(1).randbytes(3 * 1024 * 1024))
    assert [p for p in small_disk.rglob("*") if p.name.startswith(".new-")] == []
    asked = [f"{i}{half}" for i in range(1000) for half in "ab"]
    assert set(store.cached(asked)) == set(told)  # nothing half-written
    filler.unlink()
    asyncio.run(store.write([effect(run)]))
    store.close()
    check(small_disk / "loopwright.db")
    with SqliteStore(small_disk / "loopwright.db") as again:
        assert len(list(again.effects(run))) == 1
        assert set(again.cached(asked)) == set(told)


def test_a_write_too_large_fails_alone(sqlite: SqliteStore) -> None:
    run = new_run(sqlite).id
    huge = 1 << 70  # an integer that SQLite cannot hold

    async def three() -> list[object]:
        writes = [[effect(run, "a")], [effect(run, "b", ordinal=huge), effect(run, "b2")], [effect(run, "c")]]
        return await asyncio.gather(*(sqlite.write(rows) for rows in writes), return_exceptions=True)

    for _ in range(5):  # whichever way the three fall into groups
        errors = asyncio.run(three())
        assert isinstance(errors[1], StoreError)
        assert errors[::2] == [None, None]
    assert [row.key for row in sqlite.effects(run)] == ["a", "c"]


def test_waiting_writes_share_a_commit(sqlite: SqliteStore) -> None:
    run = new_run(sqlite).id
    before = sqlite.writer.commits

    async def many() -> None:
        await asyncio.gather(*(sqlite.write([effect(run, str(i))]) for i in range(400)))

    asyncio.run(many())
    assert len(list(sqlite.effects(run))) == 400
    assert sqlite.writer.commits - before < 100


def test_a_cancelled_wait_leaves_the_store_working(sqlite: SqliteStore) -> None:
    run = new_run(sqlite).id

    async def cancel() -> None:
        task = asyncio.create_task(sqlite.write([effect(run, "a")]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sqlite.write([effect(run, "b")])

    asyncio.run(cancel())
    assert [row.key for row in sqlite.effects(run)] == ["a", "b"]


def test_a_writer_whose_loop_is_gone_does_not_stop_the_others(sqlite: SqliteStore) -> None:
    run = new_run(sqlite).id
    loop = asyncio.new_event_loop()

    async def leave() -> None:
        asyncio.ensure_future(sqlite.write([effect(run, "left")]))  # noqa: RUF006
        await asyncio.sleep(0)

    loop.run_until_complete(leave())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    asyncio.run(sqlite.write([effect(run, "next")]))
    assert [row.key for row in sqlite.effects(run)] == ["left", "next"]


def filled(path: Path) -> str:
    with SqliteStore(path) as store:
        run = new_run(store).id
        asyncio.run(store.write([EventRow(run, "x", {"text": "y" * 3000}) for _ in range(100)]))
    return run


@pytest.mark.fault(9)
def test_a_cut_off_database_is_corrupt(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreCorrupt, match=r"cut off.*\.recover"):
        SqliteStore(path)


def test_garbage_is_corrupt(path: Path) -> None:
    path.write_bytes(b"this is no database" * 300)
    with pytest.raises(StoreCorrupt):
        SqliteStore(path)


@pytest.mark.fault(9)
def test_damaged_pages_are_corrupt(path: Path) -> None:
    run = filled(path)
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(path.stat().st_size - 4096 * 3))
    with pytest.raises(StoreCorrupt), SqliteStore(path) as store:
        store.events(run)


def test_a_damaged_value_is_corrupt(path: Path) -> None:
    with SqliteStore(path) as store:
        asyncio.run(store.write([CacheRow("a", b"x" * 5000), CacheRow("b", b"x")]))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE cache SET value = x'7a0102' WHERE key = 'a'")
    connection.execute("UPDATE cache SET value = x'ff' WHERE key = 'b'")
    connection.commit()
    connection.close()
    with SqliteStore(path) as store:
        for key in "ab":
            with pytest.raises(StoreCorrupt):
                store.cached([key])


@pytest.mark.fault(9)
def test_a_damaged_blob_is_corrupt_and_can_be_put_again(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    hash = blobs.put(b"weights")
    assert blobs.path(hash) == tmp_path / "blobs" / hash[:2] / hash
    blobs.path(hash).write_bytes(b"weight")
    with pytest.raises(StoreCorrupt, match="6 bytes"):
        blobs.get(hash)
    assert blobs.get(blobs.put(b"weights")) == b"weights"


@pytest.mark.fault(8)
def test_network_file_systems_are_refused() -> None:
    mounts = (
        "/dev/sda1 / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\n//nas/a\\040b /mnt/a\\040b cifs rw 0 0\n"
        "/dev/sdb1 /home/local ext4 rw 0 0\nme@host: /remote fuse.sshfs rw 0 0\n"
    )
    for path in ("/home/me/x.db", "/mnt/a b/x.db", "/remote/deep/x.db"):
        with pytest.raises(StoreError, match="network file system"):
            refuse_network(Path(path), mounts)
    for path in ("/tmp/x.db", "/home/local/x.db", "/homes/x.db"):
        refuse_network(Path(path), mounts)
    assert file_system(Path("/home/local/x"), mounts) == ("ext4", "/home/local")


def test_names_of_stores(tmp_path: Path) -> None:
    for name in (tmp_path, f"sqlite:///{tmp_path}/other.db", f"{tmp_path}/new/"):
        open_store(name).close()
    assert (tmp_path / "loopwright.db").exists()
    assert (tmp_path / "other.db").exists()
    assert (tmp_path / "new" / "loopwright.db").exists()
    assert open_store("memory:").runs() == []
    for name in ("postgresql://host/db", ""):
        with pytest.raises(InputError):
            open_store(name)
    with pytest.raises(StoreError, match="folder"):
        SqliteStore(tmp_path)
