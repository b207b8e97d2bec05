"""Durable writes per second and CPU per write of the SQLite store: python benchmarks/store.py [--json]

A "call" is what one model call costs the store: an open effect, then a done effect with its cache row.
CPU is of the whole process: encoding, the writer thread and the event loop that drives it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import tempfile
import time
from pathlib import Path

from loopwright.core.feedback import Cost
from loopwright.core.store import CacheRow, EffectRow, Row
from loopwright.core.types import digest
from loopwright.store import SqliteStore

PAID = Cost(calls=1, prompt_tokens=200, completion_tokens=60, seconds=0.05, money=0.0001)
RESULT = json.dumps({"choices": [{"text": "an answer of a few words " * 24, "finish": "stop"}]}).encode()  # 650 bytes


def rows_of_call(run: str, i: int) -> tuple[list[Row], list[Row]]:
    key = digest(i)
    parts = (run, key, "round 1/example 17", "generate", key, i)
    opened = EffectRow(*parts, "open", "asks: What is 17 + 25?", cost=PAID)
    return [opened], [EffectRow(*parts, "done", "asks: What is 17 + 25?", RESULT, PAID), CacheRow(key, RESULT)]


async def drive(store: SqliteStore, run: str, calls: int, writers: int) -> dict[str, float]:
    rows = iter([rows_of_call(run, i) for i in range(calls)])  # made beforehand: making them is the caller's cost
    worst = 0.0
    commits = store.writer.commits

    async def worker() -> None:
        nonlocal worst
        for opened, done in rows:
            for part in (opened, done):
                start = time.perf_counter()
                await store.write(part)
                worst = max(worst, time.perf_counter() - start)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(writers)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "writers": writers,
        "writes": 2 * calls,
        "writes_per_second": round(2 * calls / wall, 1),
        "cpu_ms_per_write": round(1000 * cpu / (2 * calls), 4),
        "cpu_ms_per_call": round(1000 * cpu / calls, 4),
        "worst_wait_ms": round(1000 * worst, 2),
        "writes_per_commit": round(2 * calls / (store.writer.commits - commits), 2),
    }


def bare(folder: Path, count: int) -> float:
    """Durable single-row commits per second of bare sqlite3 on the same disk, for the ratio."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, data BLOB)")
    start = time.perf_counter()
    for _ in range(count):
        connection.execute("INSERT INTO t (data) VALUES (?)", (RESULT,))
    took = time.perf_counter() - start
    connection.close()
    return round(count / took, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--calls", type=int, default=6000, help="model calls in the grouped part")
    parser.add_argument("--folder", type=Path, help="where to put the database (default: the temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        start = time.perf_counter()
        store = SqliteStore(folder / "loopwright.db")
        created = time.perf_counter() - start
        run = store.create_run({}, seed=0, budget={}, code_version="").id
        single = asyncio.run(drive(store, run, max(1, options.calls // 20), 1))
        grouped = asyncio.run(
            drive(store, store.create_run({}, seed=0, budget={}, code_version="").id, options.calls, 64)
        )
        store.close()
        start = time.perf_counter()
        again = SqliteStore(folder / "loopwright.db")
        opened = time.perf_counter() - start
        again.close()
        result = {
            "benchmark": "store",
            "cpus": os.cpu_count(),
            "sqlite": sqlite3.sqlite_version,
            "bare_sqlite_writes_per_second": bare(folder, 300),
            "single": single,
            "grouped": grouped,
            "create_ms": round(1000 * created, 1),
            "open_ms": round(1000 * opened, 1),
        }
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
