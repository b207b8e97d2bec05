"""A store that is cut, moved, replaced, read-only, full or looked into: by real truncation, kill -9, mounts and limits."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_rows import effect, new_run

from loopwright.core.errors import (
    RunBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreMoved,
    StoreReadOnly,
    StoreUnwritable,
)
from loopwright.core.store import CacheRow, LearnerRow
from loopwright.store import SqliteStore
from loopwright.store.commits import acknowledged, commits_file
from loopwright.store.drivers import SILENT, Driver, this_process
from loopwright.store.faults import disk_fault
from loopwright.store.modes import parts, readable_by_others

Python = Callable[..., "subprocess.Popen[str]"]
Seen = Callable[[str], None]

WRITE = """
import asyncio, sys
from loopwright.core.store import CacheRow
from loopwright.store import SqliteStore
store = SqliteStore(sys.argv[1])
for i in range(int(sys.argv[2])):
    asyncio.run(store.write([CacheRow(f"{i}", bytes(2000))]))
    print(i, flush=True)
sys.stdin.readline()
"""

DRIVE = """
import sys
from loopwright.store import SqliteStore
store = SqliteStore(sys.argv[1])
run = sys.argv[2] if len(sys.argv) > 2 else store.create_run({}, seed=0, budget={}, code_version="").id
lease = store.acquire(run)
print(run, flush=True)
sys.stdin.readline()
"""


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def killed_after(python: Python, path: Path, commits: int) -> int:
    """A store whose writer was killed: its log is not moved into the database. Returns the log's length."""
    writer = python(WRITE, path, commits)
    for _ in range(commits):
        line(writer)
    writer.kill()
    writer.wait()
    return os.path.getsize(f"{path}-wal")


def write(store: SqliteStore, *names: str) -> None:
    asyncio.run(store.write([CacheRow(name, b"reply") for name in names]))


def found(path: Path) -> int:
    with SqliteStore(path) as store:
        return len(store.cached([str(i) for i in range(1000)]))


# ---- lost writes --------------------------------------------------------------------------------------------------------


@pytest.mark.fault(63)
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.25, 0.5, 0.9, 0.999])
def test_a_cut_log_is_noticed_and_nothing_is_changed(path: Path, python: Python, kept: float, seen: Seen) -> None:
    length = killed_after(python, path, 40)
    os.truncate(f"{path}-wal", int(length * kept))
    before = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    with pytest.raises(StoreCorrupt, match=r"lost writes: 40 commits were acknowledged, (\d+) are there"):
        SqliteStore(path)
    assert (path.read_bytes(), Path(f"{path}-wal").read_bytes()) == before, "evidence was changed"
    with pytest.raises(StoreCorrupt, match="lost writes"):
        SqliteStore(path, read_only=True)
    commits_file(path).unlink()
    left = found(path)
    assert left < 40
    seen(f"log cut to {kept:.1%}: refused; knowingly opened, {left} of 40 commits are there")


@pytest.mark.fault(63)
def test_a_removed_log_is_noticed(path: Path, python: Python) -> None:
    killed_after(python, path, 10)
    os.unlink(f"{path}-wal")
    with pytest.raises(StoreCorrupt, match="lost writes"):
        SqliteStore(path)


@pytest.mark.fault(63)
@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_in_the_log_is_noticed(path: Path, python: Python, seed: int) -> None:
    """SQLite takes the log for ended before the frame whose checksum is wrong."""
    length = killed_after(python, path, 20)
    with open(f"{path}-wal", "r+b") as log:
        log.seek(random.Random(seed).randrange(32, length))
        byte = log.read(1)[0]
        log.seek(-1, os.SEEK_CUR)
        log.write(bytes([byte ^ 1 << seed]))
    try:
        assert found(path) == 20  # only in the rest of an earlier, longer log would it be without effect
    except StoreCorrupt:
        return
    raise AssertionError("a log with a wrong bit was taken whole")


@pytest.mark.fault(63)
def test_an_older_copy_in_its_place_is_noticed(path: Path, tmp_path: Path) -> None:
    with SqliteStore(path) as store:
        write(store, "1")
    shutil.copy(path, tmp_path / "older")
    with SqliteStore(path) as store:
        write(store, "2")
    shutil.copy(tmp_path / "older", path)
    with pytest.raises(StoreCorrupt, match="older copy"):
        SqliteStore(path)


def test_a_whole_store_is_never_called_damaged(path: Path, python: Python, tmp_path: Path) -> None:
    killed_after(python, path, 30)
    assert found(path) == 30
    # two processes that write at once, learners, a copy of the folder, a store without the file, another tool's commits
    writers = [python(WRITE, path, 30) for _ in range(2)]
    for writer in writers:
        for _ in range(30):
            line(writer)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    with SqliteStore(path) as store:
        assert store.learners.swap("a", expected=0, data=b"{}")
        assert acknowledged(path) == 91
    shutil.copytree(path.parent, tmp_path / "copy")
    found(tmp_path / "copy" / path.name)
    commits_file(path).unlink()
    assert found(path) == 30
    other = sqlite3.connect(path)
    other.execute("DELETE FROM cache WHERE key = '3'")
    other.commit()
    other.close()
    assert found(path) == 29
    commits_file(path).write_text("nonsense")
    with SqliteStore(path) as store:
        write(store, "x")
        assert store.learners.get("a") == LearnerRow("a", 1, b"{}")
    assert acknowledged(path) == 92


# ---- a store that is not where it was --------------------------------------------------------------------------------------


@pytest.mark.fault(64)
@pytest.mark.parametrize("what", ["moved", "deleted", "replaced", "folder moved", "folder deleted", "log deleted"])
def test_a_store_that_went_is_noticed_at_the_next_write(path: Path, tmp_path: Path, what: str, seen: Seen) -> None:
    path = tmp_path / "store" / "loopwright.db"
    store = SqliteStore(path)
    run = new_run(store).id
    write(store, "before")
    elsewhere = tmp_path / "elsewhere"
    if what == "moved":
        path.rename(elsewhere)
    elif what == "deleted":
        path.unlink()
    elif what == "replaced":
        path.rename(elsewhere)
        with SqliteStore(tmp_path / "other.db") as other:
            new_run(other)
        shutil.copy(tmp_path / "other.db", path)
    elif what == "folder moved":
        path.parent.rename(elsewhere)
    elif what == "folder deleted":
        shutil.rmtree(path.parent)
    else:
        os.unlink(f"{path}-wal")
    for _ in range(2):  # it is not forgotten
        with pytest.raises(StoreMoved, match=r"was (moved, deleted|deleted) or replaced while it was in use"):
            write(store, "after")
    with pytest.raises(StoreMoved):
        store.set_run(run, status="done")
    replaced = path.read_bytes() if what == "replaced" else b""
    store.close()
    if what == "replaced":
        assert path.read_bytes() == replaced
        commits_file(path).unlink()
        with SqliteStore(path) as now:
            assert now.cached(["before", "after"]) == {}
    if what == "folder moved":
        with SqliteStore(elsewhere / path.name) as now:
            assert set(now.cached(["before", "after"])) == {"before"}
            now.acquire(run).release()
    if what == "log deleted":
        with SqliteStore(path) as now:
            assert set(now.cached(["before", "after"])) == {"before"}
    seen(f"{what}: the next write is refused")


@pytest.mark.fault(64)
def test_a_shared_learner_notices_too(path: Path, tmp_path: Path) -> None:
    with SqliteStore(path) as store:
        assert store.learners.swap("a", expected=0, data=b"{}")
        path.rename(tmp_path / "elsewhere")
        for _ in range(2):
            with pytest.raises(StoreMoved):
                store.learners.swap("a", expected=1, data=b"[]")
    assert not path.exists()


# ---- who drives a run --------------------------------------------------------------------------------------------------------


@pytest.mark.fault(10, 60)
@pytest.mark.parametrize("way", ["a link to the file", "a link to the folder", "the lock deleted", "all locks deleted"])
def test_one_store_by_any_name_has_one_driver(path: Path, tmp_path: Path, python: Python, way: str, seen: Seen) -> None:
    driver = python(DRIVE, path)
    run = line(driver)
    name = path
    if way == "a link to the file":
        (tmp_path / "far").mkdir()
        name = tmp_path / "far" / "link.db"
        name.symlink_to(path)
    elif way == "a link to the folder":
        (tmp_path / "far").symlink_to(path.parent)
        name = tmp_path / "far" / path.name
    elif way == "the lock deleted":
        (path.parent / "locks" / f"{run}.lock").unlink()
    else:
        shutil.rmtree(path.parent / "locks")
    with SqliteStore(name) as store:
        assert store.driven() == {run}
        for _ in range(2):
            with pytest.raises(RunBusy, match=str(driver.pid)):
                store.acquire(run)
        driver.kill()
        driver.wait()
        assert store.driven() == set()
        store.acquire(run).release()
    seen(f"{way}: the second driver was refused while the first lived")


@pytest.mark.fault(60)
def test_the_same_process_does_not_drive_twice_without_its_lock_file(sqlite: SqliteStore) -> None:
    run = new_run(sqlite).id
    lease = sqlite.acquire(run)
    (sqlite.path.parent / "locks" / f"{run}.lock").unlink()
    with SqliteStore(sqlite.path) as other, pytest.raises(RunBusy, match="this one"):
        other.acquire(run)
    lease.release()
    sqlite.acquire(run).release()


@pytest.mark.fault(60)
def test_a_hard_link_is_refused(path: Path, tmp_path: Path) -> None:
    SqliteStore(path).close()
    os.link(path, tmp_path / "second.db")
    for name in (path, tmp_path / "second.db"):
        with pytest.raises(StoreError, match="hard links"):
            SqliteStore(name)
    (tmp_path / "second.db").unlink()
    SqliteStore(path).close()


@pytest.mark.fault(60)
def test_a_file_mounted_by_itself_is_refused(path: Path, tmp_path: Path) -> None:
    SqliteStore(path).close()
    (tmp_path / "far").mkdir()
    name = tmp_path / "far" / "bound.db"
    name.touch()
    mounted = subprocess.run(["mount", "--bind", path, name], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(StoreError, match="mount point of its own"):
            SqliteStore(name)
    finally:
        subprocess.run(["umount", "-l", name], check=True)


@pytest.mark.fault(60)
def test_a_bound_folder_is_the_same_store(path: Path, tmp_path: Path, python: Python) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "far").mkdir()
    mounted = subprocess.run(["mount", "--bind", tmp_path / "store", tmp_path / "far"], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        driver = python(DRIVE, tmp_path / "store" / "a.db")
        run = line(driver)
        with SqliteStore(tmp_path / "far" / "a.db") as store, pytest.raises(RunBusy, match=str(driver.pid)):
            store.acquire(run)
    finally:
        subprocess.run(["umount", "-l", tmp_path / "far"], check=True)


@pytest.mark.fault(4, 61)
def test_a_driver_is_its_process_not_its_number() -> None:
    mine = this_process("r")
    assert mine.alive(0.0)  # whatever the clock says
    assert not Driver("r", "t", mine.boot, mine.space, mine.pid, "1").alive(1e12)  # the number was given to another since
    assert not Driver("r", "t", "before", mine.space, mine.pid, mine.began).alive(1e12)  # the machine was started anew
    elsewhere = Driver("r", "t", mine.boot, "pid:[1]", mine.pid, mine.began)  # another container: known by its last sign alone
    assert elsewhere.alive(time.time() - SILENT / 2)
    assert not elsewhere.alive(time.time() - 2 * SILENT)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # ended, and nobody has asked how
    assert not Driver("r", "t", mine.boot, mine.space, ended.pid, "").alive(1e12)
    ended.wait()


# ---- who may read and write it ---------------------------------------------------------------------------------------------


@pytest.mark.fault(55)
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_all_of_a_store_is_its_owners_alone(tmp_path: Path, umask: int, seen: Seen) -> None:
    before = os.umask(umask)
    try:
        store = SqliteStore(tmp_path / "deep" / "store" / "loopwright.db")
        lease = store.acquire(new_run(store).id)
        store.blobs.put(b"weights")
        write(store, "a")
        connection = sqlite3.connect(store.path)
        from loopwright.store.migrate import _backup

        _backup(connection, store.path, "0001")
        connection.close()
        listed = [tmp_path / "deep", tmp_path / "deep" / "store", *(tmp_path / "deep" / "store").rglob("*")]
        modes = {p: stat.S_IMODE(p.stat().st_mode) for p in listed}
        kinds = {p.name.partition(".db")[2] or p.parent.name for p in modes if p.is_file()}
        lease.release()
        store.close()
    finally:
        os.umask(before)
    assert {mode for p, mode in modes.items() if p.is_dir()} == {0o700}, modes
    assert {mode for p, mode in modes.items() if p.is_file()} == {0o600}, modes
    assert {"-wal", "-shm", "-commits", ".0001.backup", "locks"} <= kinds
    seen(f"umask {umask:03o}: {len(modes)} folders and files, all 700 and 600")


@pytest.mark.fault(55)
def test_a_store_that_others_can_read_is_told_and_left(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.chmod(0o755)
    SqliteStore(path).close()
    assert not caplog.records
    path.chmod(0o644)
    SqliteStore(path).close()
    (record,) = caplog.records
    assert "chmod -R go=" in record.getMessage()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.parent.chmod(0o700)
    assert not readable_by_others(path)
    assert path in set(parts(path))


@pytest.fixture
def sealed(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Path]]:
    """Makes a folder read-only by mounting it so, and tells where."""
    places: list[Path] = []

    def seal(folder: Path) -> Path:
        place = tmp_path / f"sealed-{len(places)}"
        place.mkdir()
        for words in (["--bind", str(folder), str(place)], ["-o", "remount,ro,bind", str(place)]):
            mounted = subprocess.run(["mount", *words], capture_output=True, text=True)
            if mounted.returncode:
                pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
        places.append(place)
        return place

    yield seal
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.fault(65)
@pytest.mark.parametrize("log", ["closed", "killed"])
def test_a_store_on_a_read_only_file_system_can_be_read(
    tmp_path: Path, python: Python, sealed: Callable[[Path], Path], log: str, seen: Seen
) -> None:
    path = tmp_path / "store" / "loopwright.db"
    with SqliteStore(path) as store:
        run = new_run(store).id
        hash = store.blobs.put(b"weights")
        asyncio.run(store.write([effect(run)]))
    if log == "killed":
        killed_after(python, path, 10)
        os.unlink(f"{path}-shm")
    place = sealed(path.parent) / path.name
    with pytest.raises(StoreReadOnly, match="may only be read"):
        SqliteStore(place)
    with SqliteStore(place, read_only=True) as store:
        assert [row.id for row in store.runs()] == [run]
        assert len(list(store.effects(run))) == 1
        assert len(store.cached([str(i) for i in range(10)])) == (10 if log == "killed" else 0)
        assert store.blobs.get(hash) == b"weights"
        for act in (lambda: store.set_run(run, status="done"), lambda: store.acquire(run), lambda: write(store, "x"),
                    lambda: store.blobs.put(b"more"), lambda: store.learners.version("x")):  # fmt: skip
            with pytest.raises(StoreReadOnly):
                act()
        copy = store._copy and store._copy.name
    assert bool(copy) == (log == "killed")
    assert not copy or not Path(copy).exists()
    seen(f"{log}: read whole, every write refused by name")


def test_reading_alone_changes_nothing(path: Path, python: Python) -> None:
    killed_after(python, path, 10)
    before = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    with SqliteStore(path, read_only=True) as store:
        assert len(store.cached([str(i) for i in range(10)])) == 10
    assert (path.read_bytes(), Path(f"{path}-wal").read_bytes()) == before


# ---- a disk that refuses -------------------------------------------------------------------------------------------------------

LIMITED = """
import asyncio, os, resource, sys
from loopwright.core.errors import StoreFull
from loopwright.core.store import CacheRow
from loopwright.store import SqliteStore
store = SqliteStore(sys.argv[1])
run = store.create_run({}, seed=0, budget={}, code_version="").id
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
told = []
def fill(names):
    for name in names:
        asyncio.run(store.write([CacheRow(name, os.urandom(9000))]))
        told.append(name)
try:
    fill(str(i) for i in range(2000))
except StoreFull as error:
    print(error, flush=True)
assert set(store.cached([str(i) for i in range(2000)])) == set(told)
try:
    store.blobs.put(bytes(4_000_000))
except StoreFull as error:
    print(error, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
fill(["after"])
store.set_run(run, status="done")
store.close()
print(len(told), flush=True)
"""


@pytest.mark.fault(66)
def test_a_limit_on_the_size_of_files_is_a_full_store(path: Path, python: Python, seen: Seen) -> None:
    process = python(LIMITED, path, 1_000_000)
    out, _ = process.communicate()
    assert process.returncode == 0
    first, second, count = out.splitlines()
    assert "ulimit -f" in first
    assert "ulimit -f" in second
    with SqliteStore(path) as store:
        assert len(store.cached([*map(str, range(2000)), "after"])) == int(count)
    assert issubclass(StoreFull, StoreUnwritable)
    seen(f"files of at most 1 MB: {count} writes safe, the next refused by name, all goes on once the limit is raised")


@pytest.mark.fault(66)
@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS"])
def test_what_the_disk_says_is_one_kind_of_error(path: Path, name: str) -> None:
    told = disk_fault(OSError(getattr(errno, name), os.strerror(getattr(errno, name))), path)
    assert isinstance(told, StoreUnwritable)
    assert str(path) in str(told)
    assert disk_fault(OSError(errno.ENOENT, ""), path) is None


@pytest.mark.fault(66)
@pytest.mark.parametrize("words", [["runs", "--json"], ["doctor", "--json"], ["runs"]])
def test_a_full_output_is_told_without_a_traceback(path: Path, words: list[str], seen: Seen) -> None:
    with SqliteStore(path) as store:
        new_run(store)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from loopwright.cli import main; main()", *words, "--store", path],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode not in (0, 70), done.stderr
    assert "no space left" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    seen(f"{' '.join(words)} > /dev/full: exit code {done.returncode}, one line")


# ---- a user who may not write -----------------------------------------------------------------------------------------

NOBODY = 65534


@pytest.mark.fault(55, 65)
def test_another_user_reads_what_is_opened_to_them_and_nothing_else(path: Path, tmp_path: Path, seen: Seen) -> None:
    """By the real rights of a real other user: a new store is closed to them; one that was opened to them is read."""
    if os.getuid():
        pytest.skip("only root may act for another user")
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        with SqliteStore(folder / "store" / "loopwright.db") as store:
            run = new_run(store).id
            write(store, "a")

        def by_nobody(*words: str | Path) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", AS_NOBODY, *words, "--store", folder / "store"], capture_output=True, text=True
            )

        closed = by_nobody("runs", "--json")
        assert run not in closed.stdout
        assert "Traceback" not in closed.stderr
        for part in (folder / "store", *(folder / "store").rglob("*")):
            part.chmod(0o755 if part.is_dir() else 0o644)
        opened = by_nobody("runs", "--json")
        assert opened.returncode == 0, opened.stderr
        assert run in opened.stdout
        refused = by_nobody("prune", run, "--yes")
        assert refused.returncode == 2
        assert "may only be read" in refused.stderr
        seen("another user: nothing of a new store, all of an opened one, and no write")
    finally:
        shutil.rmtree(folder)


AS_NOBODY = f"""
import os, sys
from loopwright.cli import main
import loopwright.cli.keeping, loopwright.store.sqlite, loopwright.cli.pruning, loopwright.store.pruning, rich.table, rich.console
import loopwright.models.names
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
main()
"""


# ---- a device that fails ---------------------------------------------------------------------------------------------------


class Device:
    """A file system whose device has less behind it than it says, so that writes end in an I/O error."""

    def __init__(self, folder: Path, megabytes: int, *options: str) -> None:
        self.small, self.place = folder / "small", folder / "device"
        self.small.mkdir()
        self.place.mkdir()
        self.sh("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.small)
        self.sh("truncate", "-s", "64M", self.small / "image")
        self.sh("mkfs.ext4", "-q", *options, self.small / "image")
        self.sh("mount", "-o", "loop", self.small / "image", self.place)

    @staticmethod
    def sh(*words: str | Path) -> None:
        try:
            done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
        except FileNotFoundError as error:
            pytest.skip(f"no device can be made here: {error}")
        if done.returncode:
            pytest.skip(f"no device can be made here: {' '.join(map(str, words))}: {done.stderr.strip()}")

    def mend(self) -> None:
        """Room behind it; and mounted anew, so that what was only in memory is gone."""
        self.sh("mount", "-o", "remount,size=80m", self.small)
        self.sh("umount", self.place)
        self.sh("mount", "-o", "loop", self.small / "image", self.place)

    def close(self) -> None:
        for place in (self.place, self.small):
            subprocess.run(["umount", "-l", place], capture_output=True, check=False)


def filled_until_it_fails(store: SqliteStore) -> tuple[list[str], StoreError]:
    told: list[str] = []
    try:
        for i in range(4000):
            asyncio.run(store.write([CacheRow(f"{i}", random.Random(i).randbytes(9000))]))
            told.append(f"{i}")
    except StoreUnwritable as error:
        return told, error
    raise AssertionError("the device did not fail")


@pytest.mark.fault(63, 66)
@pytest.mark.parametrize("kind", ["journal", "no journal"])
def test_a_device_that_fails_is_named_and_nothing_is_lost_in_silence(tmp_path: Path, kind: str, seen: Seen) -> None:
    """Without a journal of its own such a file system may lose what it had said was on the disk."""
    journal = kind == "journal"
    lazy = "lazy_itable_init=1,lazy_journal_init=1"
    device = Device(tmp_path, 8 if journal else 3, "-E", lazy, *(() if journal else ("-O", "^has_journal")))
    try:
        path = device.place / "store" / "loopwright.db"
        store = SqliteStore(path)
        told, error = filled_until_it_fails(store)
        assert "What was acknowledged is intact" in str(error) or isinstance(error, StoreReadOnly)
        store.close()
        device.mend()
        try:
            with SqliteStore(path) as store:
                known = store.cached(told)
                assert [name for name in told if name not in known] == []
                assert all(known[name].value == random.Random(int(name)).randbytes(9000) for name in told)
                write(store, "after")
            lost = "all are there"
        except StoreCorrupt as corrupt:
            lost = str(corrupt).partition("has lost writes: ")[2].partition(". Its log")[0] or str(corrupt)
            assert not journal, lost
        seen(f"{kind}: {type(error).__name__} after {len(told)} acknowledged writes; mounted anew, {lost}")
    finally:
        device.close()
