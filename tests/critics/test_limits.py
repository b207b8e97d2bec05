"""Queries, patterns, schemas and checks that take for ever, fill the memory or look for keys: each ends, by name."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from critics_kit import Recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core import secrets
from loopwright.core.errors import InputError, TaskError
from loopwright.core.feedback import Missing, Verdict
from loopwright.core.types import Example, Rollout, Turn
from loopwright.critics import build_critic, json_schema, match
from loopwright.critics.limited.schema import strict_json
from loopwright.critics.sql import QueryFailed, run_query, sql_tool

Seen = Callable[[str], None]


def say(critic: Any, output: str, target: Any = None) -> Any:
    example = Example(id="e", input="q", target=target)
    return asyncio.run(critic(Rollout(id="r", example=example, turns=(Turn(role="assistant", text=output),)), Recorded()))


def peak_mb() -> int:
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


# ---- queries ------------------------------------------------------------------------------------------------------------

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
QUERIES = {
    "one large value": "SELECT zeroblob(1000000000)",
    "many large values": f"{ENDLESS} SELECT i, zeroblob(999999) FROM n LIMIT 9999",
    "many random values": f"{ENDLESS} SELECT i, randomblob(999999) FROM n LIMIT 9999",
    "a search that compares all with all": "SELECT instr(zeroblob(999999), CAST(zeroblob(500000) || x'01' AS BLOB))",
    "such searches, many": f"{ENDLESS} SELECT sum(instr(zeroblob(999999), zeroblob(400000) || x'01')) FROM n",
    "a recursion without end": f"{ENDLESS} SELECT count(*) FROM n",
    "a recursion that keeps everything": "WITH RECURSIVE n(i) AS (SELECT 'x' UNION SELECT i || 'x' FROM n) SELECT max(i) FROM n",
    "a wide number": "SELECT printf('%.*c', 999999999, 'x')",
    "a wide format": "SELECT length(printf('%999999d', 1) || printf('%999999d', 2))",
    "one long text of all": f"{ENDLESS} SELECT group_concat(hex(randomblob(1000))) FROM n",
    "a pattern with many stars": "SELECT (printf('%.*c', 40000, 'a') || 'b') LIKE '%a%a%a%a%a%a%a%a%a%a%a%a%c'",
    "another pattern": "SELECT (printf('%.*c', 40000, 'a')) GLOB '*a*a*a*a*a*a*a*a*a*a*a*a*a*c'",
    "a sort of everything": "SELECT a.x || b.x || c.x AS s FROM t a, t b, t c ORDER BY random() || s",
    "a join of everything": "SELECT count(*) FROM t a, t b, t c, t d WHERE a.x < b.x + c.x * d.x",
    "brackets within brackets": "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "many columns": "SELECT " + ", ".join(["zeroblob(999999)"] * 1500),
}  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(1000)])
    connection.close()
    return path


@pytest.mark.fault(73)
def test_queries_that_fill_memory_or_never_end(shop: Path, seen: Seen) -> None:
    said, most, before = {}, 0.0, peak_mb()

    async def main() -> None:
        nonlocal most
        for name, query in QUERIES.items():
            began = time.monotonic()
            try:
                await run_query(shop, query, seconds=1.0)
                said[name] = "has an answer"
            except QueryFailed as error:
                said[name] = str(error)
            most = max(most, time.monotonic() - began)
        assert (await run_query(shop, "SELECT count(*) FROM t")).rows == ((1000,),)

    asyncio.run(main())
    assert {name for name, words in said.items() if words == "has an answer"} <= {"a pattern with many stars", "another pattern"}
    assert "took more than 1 s" in said["a search that compares all with all"]
    assert "took more than 1 s" in said["a recursion without end"]
    assert "returned more than 32 MB" in said["many large values"]
    # Nothing of it is held here, where one such query took 1 GB.
    assert peak_mb() - before < 100
    seen(f"{len(QUERIES)} queries with seconds=1: longest {most:.1f} s, {peak_mb() - before} MB in this process")


@pytest.mark.fault(73)
def test_the_loop_goes_on_while_a_query_is_stuck(shop: Path) -> None:
    async def main() -> int:
        stuck = asyncio.create_task(run_query(shop, QUERIES["a search that compares all with all"], seconds=1.0))
        ticks = 0
        while not stuck.done():
            await asyncio.sleep(0.01)
            ticks += 1
        with pytest.raises(QueryFailed):
            stuck.result()
        return ticks

    assert asyncio.run(main()) > 10


def test_values_of_every_type_come_back_as_they_are(shop: Path) -> None:
    found = asyncio.run(run_query(shop, "SELECT 1, 2.5, 'é\U0001f600', x'00ff', NULL, 9223372036854775807, 9e999, ''"))
    assert found.rows == ((1, 2.5, "é\U0001f600", b"\x00\xff", None, 9223372036854775807, float("inf"), ""),)


@pytest.mark.parametrize(
    ("answer", "target", "same"),
    [
        ("SELECT 1", "SELECT 1.0", True), ("SELECT '1'", "SELECT 1", False), ("SELECT x'31'", "SELECT '1'", False),
        ("SELECT NULL", "SELECT 'None'", False), ("SELECT 0.1 + 0.2", "SELECT 0.3", True), ("SELECT -0.0", "SELECT 0", True),
        ("SELECT 9e999", "SELECT -9e999", False), ("SELECT 'a', 'b'", "SELECT 'a'', ''b'", False),
        ("SELECT x FROM t WHERE x < 5", "SELECT x FROM t WHERE x < 5 ORDER BY -x", False),
        ("SELECT x FROM t WHERE x < 5 ORDER BY -x", "SELECT x FROM t WHERE x < 5", True),
        ("SELECT x FROM t LIMIT 10", "SELECT x FROM t", False),  # of which ten are read
    ],
)  # fmt: skip
def test_results_are_compared_by_value(shop: Path, answer: str, target: str, same: bool) -> None:
    critic = build_critic("sql", {"database": shop.name, "rows": 10}, shop.parent)
    assert say(critic, answer, target).passed is same


def test_a_database_that_changes_is_read_anew(shop: Path) -> None:
    assert asyncio.run(run_query(shop, "SELECT count(*) FROM t")).rows == ((1000,),)
    with sqlite3.connect(shop) as connection:
        connection.execute("DELETE FROM t WHERE x > 3")
    connection.close()
    assert asyncio.run(run_query(shop, "SELECT count(*) FROM t")).rows == ((4,),)


def test_a_tool_says_what_became_of_a_query(shop: Path) -> None:
    said = asyncio.run(sql_tool(shop, seconds=0.5)(QUERIES["a search that compares all with all"], Recorded()))  # type: ignore[arg-type]
    assert said == "error: the query took more than 0.5 s and was stopped"


# ---- patterns and schemas -----------------------------------------------------------------------------------------------

SLOW = [r"(a+)+$", r"(a|aa)+$", r"(a*)*b", r"([a-zA-Z]+)*[0-9]$", r"(?:a?){40}a{40}b", r"(.*a){20}$"]
LONG = "a" * 5000 + "!"


@pytest.mark.fault(70)
@pytest.mark.parametrize("pattern", SLOW)
def test_a_pattern_of_a_schema_that_takes_for_ever(pattern: str, monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    monkeypatch.setattr(json_schema, "SECONDS", 0.3)
    for wanted in ({"pattern": f"^{pattern}"}, {"patternProperties": {f"^{pattern}": False}}):
        critic = build_critic("schema", {"schema": wanted}, Path())
        answer = json.dumps(LONG if "pattern" in wanted else {LONG: 1})
        began = time.monotonic()
        said = say(critic, answer)
        if isinstance(said, Missing):
            assert "took longer than 0.3 s" in said.message and repr(f"^{pattern}") in said.message
            seen(f"{pattern} in a schema: ended after {time.monotonic() - began:.1f} s, named")
        monkeypatch.setattr(json_schema, "SECONDS", 30.0)
        assert say(critic, "7").passed
        monkeypatch.setattr(json_schema, "SECONDS", 0.3)


@pytest.mark.fault(70)
def test_one_that_certainly_takes_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_schema, "SECONDS", 0.3)
    said = say(build_critic("schema", {"schema": {"pattern": "^(a+)+$"}}, Path()), json.dumps(LONG))
    assert isinstance(said, Missing) and "'^(a+)+$'" in said.message and "0.3 s" in said.message


@pytest.mark.fault(70)
def test_a_schema_that_branches_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_schema, "SECONDS", 0.3)
    defs: dict[str, Any] = {"d0": {"type": "integer"}}
    for i in range(1, 40):
        defs[f"d{i}"] = {"allOf": [{"$ref": f"#/$defs/d{i - 1}"}, {"$ref": f"#/$defs/d{i - 1}"}]}
    said = say(build_critic("schema", {"schema": {"$ref": "#/$defs/d39", "$defs": defs}}, Path()), "1")
    assert isinstance(said, Missing) and "took longer than 0.3 s" in said.message


@pytest.mark.fault(70)
def test_a_pattern_checker_that_takes_for_ever_leaves_the_loop_free(monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    monkeypatch.setattr(match, "SECONDS", 0.5)
    critic = match.regex(r"(a|aa)+(b|c)(\1x)?d")
    turns = (Turn(role="assistant", text=LONG),)
    rollout = Rollout(id="r", example=Example(id="e", input="q"), turns=turns)

    async def main() -> tuple[Any, int]:
        judged = asyncio.create_task(critic(rollout, SimpleNamespace()))  # type: ignore[arg-type]
        ticks = 0
        while not judged.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return judged.result(), ticks

    said, ticks = asyncio.run(main())
    assert isinstance(said, Missing) and "took longer than 0.5 s" in said.message
    assert ticks > 10
    seen(f"a pattern checker stopped at 0.5 s while the loop turned {ticks} times")


@pytest.mark.fault(70)
@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}", "(?<n>a)(?<n", "((a{1,9999}){1,9999}){1,9999}" * 50 + "("])
def test_a_pattern_that_is_none_is_said_before_the_run(pattern: str) -> None:
    with pytest.raises(TaskError, match="pattern"):
        build_critic("regex", {"pattern": pattern}, Path())
    assert match.regex_problem(Example(id="e", input="q", target=pattern))


@pytest.mark.parametrize(
    ("wanted", "answer", "passed"),
    [
        ({"multipleOf": 0.1}, "0.3", True), ({"multipleOf": 0.1}, "0.35", False), ({"multipleOf": 3}, "1e400", False),
        ({"multipleOf": 0.5}, "1e400", True), ({"multipleOf": 1e300}, "1e308", True), ({"multipleOf": 5e-324}, "1e308", True),
        ({"multipleOf": 0.01}, "1e400", True), ({"type": "integer"}, "1e400", True), ({"maximum": 1e308}, "1e400", False),
        ({"uniqueItems": True}, "[1, 1.0]", False), ({"uniqueItems": True}, "[1, true]", True),
        ({"uniqueItems": True}, '[{"a": 1, "b": 2}, {"b": 2, "a": 1}]', False), ({"uniqueItems": True}, "[[0], [false]]", True),
        ({"uniqueItems": True}, '["1", 1, null, "null", [], {}]', True), ({"uniqueItems": False}, "[1, 1]", True),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": {"$ref": "#/definitions/n"},
          "definitions": {"n": {"multipleOf": 0.5}}}, "[1e400]", True),
    ],
)  # fmt: skip
def test_numbers_and_unique_items_are_read_right(wanted: dict[str, Any], answer: str, passed: bool) -> None:
    said = say(json_schema.schema(wanted), answer)
    assert isinstance(said, Verdict) and said.passed is passed, said


@pytest.mark.fault(70)
def test_many_unique_items_and_numbers_without_end(seen: Seen) -> None:
    critic = json_schema.schema({"type": "array", "uniqueItems": True})
    items = [{"id": i, "tags": [i, str(i)]} for i in range(3000)]
    began = time.monotonic()
    assert say(critic, json.dumps(items)).passed
    took = time.monotonic() - began
    assert not say(critic, json.dumps([*items, items[7]])).passed
    for number in ("1e1000000", "1e999999999", "9" * 100_000, "-" + "9" * 5000, "1e-400", "1.5e400"[:3] + "1" * 500 + "e450"):
        said = say(json_schema.schema({"multipleOf": 3}), number)
        assert isinstance(said, Verdict) and not said.passed
    seen(f"uniqueItems of 3,000 items: {took:.2f} s; numbers of 1,000,000,000 digits judged")


@pytest.mark.parametrize("wanted", [{"multipleOf": float("inf")}, {"type": "numbr"}, {"multipleOf": 0}, {"minimum": [1]}])
def test_what_is_no_schema_is_said_at_once(wanted: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="not a JSON schema"):
        json_schema.schema(wanted)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(_json)
def test_strict_json_reads_what_was_written(value: Any) -> None:
    read = strict_json(json.dumps(value))
    assert read == value and json.dumps(read) == json.dumps(value)


@settings(max_examples=30)
@given(st.lists(_json, max_size=5))
def test_unique_items_as_the_library_finds_them(items: list[Any]) -> None:
    from jsonschema import Draft202012Validator

    from loopwright.critics.limited.schema import fit

    wanted = {"uniqueItems": True}
    assert (fit(json.dumps(wanted), json.dumps(items)) == ["fits"]) is Draft202012Validator(wanted).is_valid(items)


# ---- checks of users ----------------------------------------------------------------------------------------------------

CHECK = """
import os, time
def stuck(output, example):
    open(output, "w").write(str(os.getpid()))
    return sum(iter(int, 1))  # a loop of C that never gives the interpreter's lock away
def environment(output, example):
    return {"passed": output not in os.environ, "message": " ".join(os.environ.values())}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "check.py").write_text(CHECK)
    return tmp_path


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.fault(69)
def test_a_check_in_a_loop_of_c_ends_at_its_limit(folder: Path, seen: Seen) -> None:
    critic = build_critic("python", {"function": "check.py:stuck", "seconds": 1.0}, folder)
    said = say(critic, str(folder / "pid"))
    assert isinstance(said, Missing) and "took longer than 1 seconds" in said.message
    pid = int((folder / "pid").read_text())
    for _ in range(100):
        if gone(pid):
            break
        time.sleep(0.05)
    assert gone(pid)
    seen("a check in a loop of C: stopped at its limit of 1 s")


@pytest.mark.fault(69)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_check_in_a_loop_of_c_ends_with_its_parent(folder: Path, how: signal.Signals, seen: Seen) -> None:
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom loopwright.critics.worker import Function, Worker\n"
        f"file = Path({str(folder / 'check.py')!r})\n"
        "worker = Worker(Function('check.py:stuck', file, 'stuck'), seconds=600, values=2)\n"
        f"asyncio.run(worker.call({str(folder / 'pid')!r}, None))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        for _ in range(600):
            if (folder / "pid").is_file() and (folder / "pid").read_text():
                break
            time.sleep(0.05)
        pid = int((folder / "pid").read_text())
        assert not gone(pid)
        parent.send_signal(how)
        parent.wait(30)
        began = time.monotonic()
        while not gone(pid) and time.monotonic() - began < 30:
            time.sleep(0.02)
        assert gone(pid)
        seen(f"parent ended by {how.name}: the check ended {time.monotonic() - began:.1f} s later")
    finally:
        parent.kill()
        parent.wait()
        if (folder / "pid").is_file() and not gone(int((folder / "pid").read_text())):
            os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


KEYS = {
    "OPENAI_API_KEY": "zzz-1", "MISTRAL_KEY": "zzz-2", "HF_TOKEN": "zzz-3", "AWS_ACCESS_KEY_ID": "zzz-4", "PGPASSWORD": "zzz-5",
    "WHATEVER": "sk-proj-zzz6zzz6zzz6zzz6", "PROXY_OF_MINE": "http://user:zzz-7@proxy:8080", "NAMED_IN_THE_TASK": "zzz-8zzz8zzz8",
}  # fmt: skip


@pytest.mark.fault(74)
def test_a_check_is_given_no_keys(folder: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDINARY", "plain")
    secrets.remember([KEYS["NAMED_IN_THE_TASK"]])  # as a model's access does, whatever its variable is called
    critic = build_critic("python", {"function": "check.py:environment"}, folder)
    said = [say(critic, name) for name in KEYS]
    assert all(verdict.passed for verdict in said)
    assert "zzz" not in said[0].message and "plain" in said[0].message
    seen(f"{len(KEYS)} variables that hold keys: none in the check's environment")


@pytest.mark.fault(74)
def test_a_check_is_given_the_keys_that_its_task_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "zzz-1")
    monkeypatch.setenv("HF_TOKEN", "zzz-3")
    critic = build_critic("python", {"function": "check.py:environment", "environment": ["HF_TOKEN"]}, folder)
    assert "zzz-3" in say(critic, "x").message and "zzz-1" not in say(critic, "x").message
    assert critic.options["environment"] == ["HF_TOKEN"]
    assert "environment" not in build_critic("python", {"function": "check.py:environment"}, folder).options
