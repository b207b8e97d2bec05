"""Stores of many effects, small beside those that are promised for: what grows with them, and what does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FEW, MANY = 1_000, 21_000

# A million effects would take minutes; what is held for each shows in twenty thousand.
PROGRAM = """
import asyncio, sys
from pathlib import Path
from loopwright.core.budget import Ledger
from loopwright.core.engine import Engine
from loopwright.core.feedback import FREE, Cost
from loopwright.core.identity import tuple_hash
from loopwright.core.store import CacheRow, EffectRow, RolloutRow
from loopwright.core.types import Budget
from loopwright.models.scripted import ScriptedModel
from loopwright.store import SqliteStore

part, path, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
words = lambda i: " ".join(f"{tuple_hash(i, j)[:5]}" for j in range(60))

async def never():
    raise SystemExit("asked again")

async def main():
    with SqliteStore(path) as store:
        if part == "fill":
            run = store.create_run({"job": "improve"}, seed=1, budget={}, code_version="1")
            for start in range(0, count, 500):
                rows = []
                for i in range(start, start + 500):
                    scope, content = f"1.method/round {i // 500}/{i % 500}", tuple_hash(str(i))
                    key = tuple_hash(scope, "generate", content, 0)
                    reply = f'{{"choices":[{{"role":"assistant","text":"{words(i)}","finish":"stop"}}]}}'.encode()
                    attempt = f'{{"id":"{key}","turns":[{{"role":"assistant","text":"{words(i)}","finish":"stop"}}]}}'.encode()
                    cost = Cost(calls=1, prompt_tokens=9, completion_tokens=9, seconds=0.5)
                    rows.append(EffectRow(run.id, key, scope, "generate", content, 0, "done", f"question {i}", reply, cost))
                    rows.append(CacheRow(tuple_hash(key), reply, run.id, time=1.0))
                    rows.append(RolloutRow(run.id, key[:16], content, f"e{i}", "train", i // 500, 0, 0.5, attempt))
                await store.write(rows)
            return
        engine = Engine(store=store, run=store.run("last"), ledger=Ledger(Budget()), models={"policy": ScriptedModel("x")})
        for i in range(count):
            await engine.effect(f"1.method/round {i // 500}/{i % 500}", "generate", str(i), never, summary="asks")
        engine.past.finish()
        assert (engine.past.replayed, engine.executed, engine.past.spent.calls) == (count, 0, count)
        print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))

asyncio.run(main())
"""


def part(name: str, path: Path, count: int) -> str:
    command = [sys.executable, "-c", PROGRAM, name, str(path), str(count)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.fault(77)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="how much memory was used is read from /proc")
def test_a_resume_holds_hardly_more_for_many_effects(tmp_path: Path, seen: Callable[[str], None]) -> None:
    held = {}
    for count in (FEW, MANY):
        path = tmp_path / f"{count}.db"
        part("fill", path, count)
        held[count] = 1024 * int(part("resume", path, count))
    each = (held[MANY] - held[FEW]) / (MANY - FEW)
    taken = path.stat().st_size / MANY
    assert each < 500  # all of their rows took 3,000
    assert taken < 1_150  # with each reply three times it was 2,000
    seen(f"{MANY:,} effects: {each:.0f} bytes of memory each when resumed, {taken:.0f} on the disk with their attempts")
