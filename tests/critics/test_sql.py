"""SQL in answers: compared by what it returns, and able to do nothing but read."""

import asyncio
import sqlite3

import pytest
from critics_kit import Recorded

from loopwright.core.errors import CheckerError, TaskError
from loopwright.core.feedback import Verdict
from loopwright.core.types import Example, Rollout, Turn
from loopwright.critics import build_critic
from loopwright.critics.section import Section
from loopwright.critics.sql import QueryFailed, orders, query_of, run_query
from loopwright.worlds.tools import read_tools


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE item (name TEXT, price REAL, kind TEXT)")
        rows = [("tea", 2.5, "drink"), ("coffee", 3.5, "drink"), ("bread", 1.5, "food"), ("bread", 1.5, "food")]
        connection.executemany("INSERT INTO item VALUES (?, ?, ?)", rows)
    connection.close()
    return path


def said(critic, output, target=None, ctx=None, **meta):
    rollout = Rollout(
        id="r", example=Example(id="e", input="q", target=target, meta=meta), turns=(Turn(role="assistant", text=output),)
    )
    return asyncio.run(critic(rollout, ctx or Recorded()))


@pytest.mark.parametrize(
    ("answer", "target", "passed"),
    [
        ("SELECT name FROM item WHERE kind = 'drink'", "SELECT name AS n FROM item WHERE price > 2", True),
        ("SELECT name FROM item ORDER BY price DESC", "SELECT name FROM item", True),  # the target does not order them
        ("SELECT name FROM item ORDER BY price DESC", "SELECT name FROM item ORDER BY price", False),
        ("SELECT DISTINCT name FROM item", "SELECT name FROM item", False),  # a row twice is not a row once
        ("SELECT sum(price) FROM item", "SELECT 0.1 + 0.2 + 8.7", True),  # 9.0 within nine digits
        ("```sql\nSELECT count(*) FROM item;\n```\nThat is all.", "SELECT 4", True),
        ("SELECT name, price FROM item", "SELECT name FROM item", False),
        ("SELECT nme FROM item", "SELECT name FROM item", False),
    ],
)
def test_a_query_is_judged_by_what_it_returns(shop, answer, target, passed):
    verdict = said(build_critic("sql", {"database": shop.name}, shop.parent), answer, target)
    assert isinstance(verdict, Verdict) and verdict.passed is passed
    assert bool(verdict.message) is not passed


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM item", "DROP TABLE item", "UPDATE item SET price = 0", "INSERT INTO item VALUES ('x', 1, 'y')",
        "CREATE TABLE more (a)", "ATTACH DATABASE 'other.db' AS other", "PRAGMA journal_mode = DELETE", "VACUUM INTO 'copy.db'",
        "SELECT load_extension('evil')", "SELECT 1; DELETE FROM item", "BEGIN", "WITH a AS (SELECT 1) DELETE FROM item",
        "SELECT writefile('x', 'y')", "SELECT zeroblob(999999999)",
    ],
)  # fmt: skip
def test_a_query_that_does_more_than_read_changes_nothing_and_says_so(shop, query):
    before, others = shop.read_bytes(), sorted(p.name for p in shop.parent.iterdir())
    with pytest.raises(QueryFailed) as told:
        asyncio.run(run_query(shop, query))
    assert shop.read_bytes() == before and sorted(p.name for p in shop.parent.iterdir()) == others
    assert str(told.value)
    if query.startswith(("DELETE", "DROP", "UPDATE", "INSERT", "CREATE", "ATTACH")):
        assert "may only read" in str(told.value)


def test_a_query_without_end_is_stopped(shop):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(QueryFailed, match=r"more than 0\.2 s"):
        asyncio.run(run_query(shop, endless, seconds=0.2))


def test_rows_are_capped(shop):
    found = asyncio.run(run_query(shop, "SELECT a.name FROM item a, item b", rows=5))
    assert len(found.rows) == 5 and found.more


def test_as_a_critic_it_only_runs_and_never_needs_the_target(shop):
    critic = build_critic("sql", {"database": shop.name}, shop.parent, role="critic")
    assert said(critic, "SELECT 1", "SELECT 2").passed
    verdict = said(critic, "SELECT prise FROM item", "SELECT 2")
    assert not verdict.passed and "prise" in verdict.message


def test_a_target_that_does_not_run_is_the_tasks_mistake(shop):
    with pytest.raises(CheckerError, match="the target does not run"):
        said(build_critic("sql", {"database": shop.name}, shop.parent), "SELECT 1", "SELECT x FROM nowhere")


def test_a_folder_of_databases(shop):
    (shop.parent / "notes.txt").write_text("no database")
    critic = build_critic("sql", {"database": "."}, shop.parent)
    assert said(critic, "SELECT 4", "SELECT count(*) FROM item", database="shop").passed
    assert "expected one of shop, shop.db" in critic.problem(Example(id="e", input="q", target="SELECT 1"))
    assert "expects the right query" in critic.problem(Example(id="e", input="q", target=3, meta={"database": "shop"}))


@pytest.mark.parametrize(("name", "reason"), [("nowhere.db", "no such file"), ("text.db", "not a SQLite database")])
def test_what_is_no_database_is_said_at_once(tmp_path, name, reason):
    (tmp_path / "text.db").write_text("hello")
    with pytest.raises(TaskError, match=reason):
        build_critic("sql", {"database": name}, tmp_path)
    with pytest.raises(TaskError, match=reason):
        read_tools(Section("tools", {"sql": name}, lambda field: "task.toml"), tmp_path)


def test_the_tool_shows_rows_or_what_is_wrong(shop):
    tools, specs = read_tools(Section("tools", {"sql": shop.name}, lambda field: "task.toml"), shop.parent)
    assert specs["sql"]["hash"]
    assert asyncio.run(tools["sql"]("SELECT name, price FROM item LIMIT 2;", Recorded())) == "name\tprice\ntea\t2.5\ncoffee\t3.5"
    assert asyncio.run(tools["sql"]("SELECT sql FROM sqlite_master", Recorded())).startswith("sql\nCREATE TABLE item")
    assert "may only read" in asyncio.run(tools["sql"]("DROP TABLE item", Recorded()))


def test_queries_are_found_in_answers():
    assert query_of("Here:\n```\nSELECT 1;\n```") == "SELECT 1"
    assert query_of(" SELECT 1 ; ") == "SELECT 1"


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("SELECT a FROM t ORDER BY lower(a)", True), ("select a from t order  by a limit 3", True),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a)", False), ("SELECT 'order by' FROM t", False),
        ("SELECT max(a), (SELECT b FROM t ORDER BY b) FROM t ORDER BY 1", True),
    ],
)  # fmt: skip
def test_only_the_outer_query_orders(query, ordered):
    assert orders(query) is ordered


def test_a_mistyped_field_is_named(shop):
    with pytest.raises(TaskError, match="Rename databse"):
        build_critic("sql", {"databse": shop.name}, shop.parent)
