"""Older, newer, foreign and half-migrated databases."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from store_rows import effect, new_run

from loopwright.core.errors import StoreError, StoreVersion
from loopwright.core.store import CacheRow
from loopwright.store import SqliteStore
from loopwright.store.codec import pack
from loopwright.store.migrate import HEAD, MIGRATIONS, TABLES, migrated, prepare, tables

NEXT = """
import os
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9001", "{head}"
def upgrade():
    op.add_column("run", sa.Column("extra", sa.Text, nullable=True))
    op.execute("UPDATE run SET extra = 'new'")
    {then}
"""

OPEN = """
import sys
import zlib
from pathlib import Path
from loopwright.store.migrate import prepare
prepare(Path(sys.argv[1]), 5.0, head="9001", scripts=Path(sys.argv[2]))
"""

CREATE = """
import sys
import zlib
from loopwright.core.store import CacheRow
from loopwright.store import SqliteStore
from loopwright.store.codec import pack
sys.stdin.readline()
SqliteStore(sys.argv[1]).create_run({}, seed=0, budget={}, code_version="")
"""


def scripts(folder: Path, then: str = "pass") -> Path:
    """The migrations with one more, as a later version would have."""
    target = folder / f"migrations-{len(list(folder.iterdir()))}"
    shutil.copytree(MIGRATIONS, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "versions" / "9001_next.py").write_text(NEXT.format(head=HEAD, then=then))
    return target


def old(path: Path) -> str:
    with SqliteStore(path) as store:
        run = new_run(store).id
        asyncio.run(store.write([effect(run)]))
    return run


def columns(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    names = {row[1] for row in connection.execute("PRAGMA table_info(run)")}
    connection.close()
    return names


def test_the_migrations_lead_to_the_tables(path: Path) -> None:
    import sqlalchemy
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from loopwright.store.schema import metadata

    SqliteStore(path).close()
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        indexes = sqlalchemy.inspect(connection).get_indexes("event")
        assert [index["name"] for index in indexes if index["unique"]] == ["event_identity"]
    engine.dispose()


def test_a_new_store_is_what_the_migrations_make(path: Path, tmp_path: Path) -> None:
    migrated(tmp_path / "migrated.db")
    assert TABLES.read_text() == tables(tmp_path / "migrated.db"), "run python -m loopwright.store.migrate"
    SqliteStore(path).close()
    assert tables(path) == tables(tmp_path / "migrated.db")


def test_a_new_store_needs_no_alembic(path: Path) -> None:
    code = "import sys; from loopwright.store import SqliteStore as S; S(sys.argv[1]).close(); print('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True).stdout == "False\n"


def test_head_is_the_newest_migration() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


@pytest.mark.fault(12)
def test_an_older_store_is_backed_up_and_migrated(path: Path, tmp_path: Path) -> None:
    run = old(path)
    backup = prepare(path, 5.0, head="9001", scripts=scripts(tmp_path))
    assert backup is not None
    assert "extra" in columns(path)
    with SqliteStore(backup) as store:
        assert [row.key for row in store.effects(run)] == ["k"]
    assert prepare(path, 5.0, head="9001", scripts=scripts(tmp_path)) is None


def test_a_store_from_before_origins_still_opens_and_reads(path: Path) -> None:
    prepare(path, 5.0, head="0001")
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO cache (key, value) VALUES ('a', ?)", (pack(b"reply"),))
    connection.commit()
    connection.close()
    with SqliteStore(path) as store:
        run = new_run(store).id
        asyncio.run(store.write([effect(run), CacheRow("b", b"new", run, "tiny", "fp", 5.0)]))
        assert store.cached(["a", "b"]) == {"a": CacheRow("a", b"reply"), "b": CacheRow("b", b"new", run, "tiny", "fp", 5.0)}
        asyncio.run(store.write([CacheRow("a", b"newer", run)]))
        assert store.cached(["a"])["a"].value == b"newer"
    assert path.with_name(f"{path.name}.0001.backup").is_file()


@pytest.mark.fault(13)
def test_a_failed_migration_changes_nothing(path: Path, tmp_path: Path) -> None:
    run = old(path)
    with pytest.raises(StoreError, match=r"9001.*left as it was.*backup"):
        prepare(path, 5.0, head="9001", scripts=scripts(tmp_path, 'op.execute("UPDATE nothing SET a = 1")'))
    assert "extra" not in columns(path)
    with SqliteStore(path) as store:
        assert store.run("last").id == run
        store.set_run(run, status="done")


@pytest.mark.fault(13)
def test_a_killed_migration_changes_nothing(
    path: Path, tmp_path: Path, python: Callable[..., subprocess.Popen[str]], seen: Callable[[str], None]
) -> None:
    run = old(path)
    assert python(OPEN, path, scripts(tmp_path, "os.kill(os.getpid(), 9)")).wait() == -9
    assert "extra" not in columns(path)
    with SqliteStore(path) as store:
        assert [row.key for row in store.effects(run)] == ["k"]
    seen("kill -9 in the middle of a migration: the store opens as it was, its row is there")


@pytest.mark.fault(12)
def test_a_newer_store_is_refused(path: Path, tmp_path: Path) -> None:
    old(path)
    prepare(path, 5.0, head="9001", scripts=scripts(tmp_path))
    before = path.read_bytes()
    with pytest.raises(StoreVersion, match=rf"9001.*{HEAD}.*[Uu]pgrade"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_somebody_elses_database_is_refused_and_untouched(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (a)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"not a Loopwright store.*cookies"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_processes_that_open_a_new_store_at_once_all_can(
    path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    openers = [python(CREATE, path) for _ in range(4)]
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    assert [opener.wait() for opener in openers] == [0] * 4
    with SqliteStore(path) as store:
        assert len(store.runs()) == 4


def test_all_that_an_older_store_has_comes_back_and_the_file_shrinks(path: Path) -> None:
    from loopwright.store.codec import text
    from loopwright.store.commits import commits_file

    prepare(path, 5.0, head="0004")
    id, key, lone = "01a22f0e-e107-77c7-a6bb-2ba0e00cc681", "ab" * 32, text("x\ud800")
    reply = b'{"choices":[{"role":"assistant","text":"' + b"an answer of some length, " * 20 + b'"}]}'
    packed = b"z" + zlib.compress(reply, 1)
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO run VALUES (7, ?, '{\"a\":1}', 'h', 'v', 3, 'done', '{}', ?, 1.5, 2.5, 3)", [id, lone])
    effect_row = (id, lone, "generate", key, 0, "done", "asks", packed, 1, 20, 30, 0.5, 0.0, "", 1)
    for n in range(300):
        marks = ",".join("?" * 17)
        connection.execute(f"INSERT INTO effect VALUES ({marks})", (n + 1, id, f"{n:064x}", *effect_row[1:]))
        reused = (n + 1, f"{n:064x}", packed, id if n else "", "m", "f", 1e9)
        connection.execute("INSERT INTO cache VALUES (?,?,?,?,?,?,?)", reused)
    connection.execute("INSERT INTO effect VALUES (999,'of nobody','k','s','generate','c',0,'open','',x'',0,0,0,0,0,'',1)")
    connection.execute("INSERT INTO candidate VALUES (1,?,?,?,'me',2)", [id, key, b'0{"p":"\xed\xa0\x80"}'])
    connection.execute("INSERT INTO rollout VALUES (1,?,'ab12','c','e','gate',1,2,NULL,?)", [id, b"0" + reply])
    connection.execute("INSERT INTO feedback VALUES (1,?,'i','t','score','r','human',?)", [id, b"0{}"])
    connection.execute("INSERT INTO event VALUES (1,?,1,'look','{\"a\":[1]}','look/1',4.0)", [id])
    connection.execute("INSERT INTO learner VALUES (1,'l',3,?)", [packed])
    connection.execute("INSERT INTO trial VALUES (1,'l','t',5.0,?)", [b"0{}"])
    connection.commit()
    connection.close()
    commits_file(path).unlink(missing_ok=True)
    with SqliteStore(path) as store:
        row = store.run("last")
        assert (row.id, row.spec, row.reason, row.created, row.seconds) == (id, {"a": 1}, "x\ud800", 1.5, 3.0)
        effects = list(store.effects(id))
        assert [e.key for e in effects] == [f"{n:064x}" for n in range(300)] and effects[9].result == reply
        assert (effects[0].scope, effects[0].content, effects[0].cost.completion_tokens) == ("x\ud800", key, 30)
        cached = store.cached([f"{n:064x}" for n in range(300)])
        assert len(cached) == 300 and cached[f"{5:064x}"] == CacheRow(f"{5:064x}", reply, id, "m", "f", 1e9)
        assert cached[f"{0:064x}"].run == ""
        assert store.candidates(id)[0].data == {"p": "\ud800"}
        (rollout,) = store.rollouts(id, "gate")
        assert (rollout.id, rollout.score, rollout.data, rollout.replicate) == ("ab12", None, reply, 2)
        assert next(iter(store.feedback(id))).data == b"{}" and store.events(id)[0].payload == {"a": [1]}
        learner = store.learners.get("l")
        assert learner is not None and (learner.version, learner.data) == (3, reply)
        assert store.learners.trials("l")[0].time == 5.0
        assert store.reader.read("SELECT count(*) FROM value") == [(1,)]
        asyncio.run(store.write([effect(id, "new")]))
        assert new_run(store).id > id and len(list(store.effects(id))) == 301
    assert path.stat().st_size < path.with_name(f"{path.name}.0004.backup").stat().st_size
