"""Bytes, seconds and memory of one store with many effects: python benchmarks/store_scale.py [--effects N] [--runs N] [--json]

A synthetic recipe asks a scripted model for N answers of some sixty words, in rounds of a thousand, each judged and recorded as
an attempt. Each part runs in a process of its own, so that its memory is its own: the run; its resume, which asks for all of it
again; its report; and the list of many runs. Memory is the most that the process held (resident set), imports included.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORDS = (
    "the of and to in is that for it as was with be by on not he this are or his from at which but have an had they you were "
    "there one all we can her has said more if when out so what up its about into than them only time new some could these two "
    "may then do first any my now such like our over man me even most made after also did many before must through back years"
).split()
ROUND = 1000  # attempts in a round
_PARTS = ("run", "resume", "report", "list")


def words(seed: str, count: int) -> str:
    """Text that is the same for the same seed and of which hardly two are alike."""
    data = hashlib.shake_128(seed.encode()).digest(count)
    return " ".join(WORDS[byte % len(WORDS)] for byte in data)


async def _drive(path: Path, effects: int, run: str | None) -> None:
    from loopwright.core.budget import Ledger
    from loopwright.core.context import Context
    from loopwright.core.engine import Engine
    from loopwright.core.feedback import Feedback, Score
    from loopwright.core.model import Request, Sampling
    from loopwright.core.policy import Prompt
    from loopwright.core.types import Budget, Candidate, Example, Rollout
    from loopwright.models.scripted import ScriptedModel
    from loopwright.store import SqliteStore

    def answer(request: Request, index: int) -> str:
        return words(f"{request.turns[-1].text} {request.seed}", 60)

    async def check(rollout: Rollout, ctx: Context) -> Feedback:
        return Score(value=float(rollout.output.count("the") % 3 == 0))

    def questions(first: int, count: int) -> list[Example]:
        numbers = range(first, first + count)
        return [Example(id=f"train-{i}", input=words(f"question {i}", 25), target=words(f"{i}", 3)) for i in numbers]

    class Questions:
        name, fingerprint, prompt, sampling = "questions", "questions-1", Prompt(), Sampling(max_tokens=200)
        checker = staticmethod(check)
        critics: Sequence[Any] = ()
        tools: dict[str, Any] = {}

        def examples(self, split: str) -> Sequence[Example]:
            return ()

    base = Candidate(parts={"prompt": {"instruction": "Answer the question in some sixty words; be polite and exact."}})
    with SqliteStore(path) as store:
        row = store.run(run) if run else store.create_run({"job": "improve"}, seed=1, budget={}, code_version="1")
        engine = Engine(
            store=store, run=row, ledger=Ledger(Budget()), models={"policy": ScriptedModel(answer)}, cache=True,
        )  # fmt: skip
        top = Context(engine, "1.bootstrap", world=Questions(), policy=base)
        for first in range(0, effects, ROUND):
            await top.at(f"round {first // ROUND}").rollout(base, questions(first, min(ROUND, effects - first)))
        engine.past.finish()
        print(json.dumps({"replayed": engine.past.replayed, "executed": engine.executed}))
        store.set_run(row.id, status="done", reason="all was asked")


def _part(part: str, path: Path, effects: int) -> None:
    if part in ("run", "resume"):
        asyncio.run(_drive(path, effects, "last" if part == "resume" else None))
        return
    from loopwright.cli.main import main

    extra = ["--json"] if part == "report" else []
    sys.argv = ["loopwright", "report" if part == "report" else "runs", *extra, "--store", str(path)]
    main()


def measure(part: str, path: Path, effects: int = 0) -> dict[str, Any]:
    """Run one part in a process of its own; its seconds, most memory, and what it printed."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--part", part, "--path", str(path), "--effects", str(effects)]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said)
        most = 0
        while process.poll() is None:
            most = max(most, _resident(process.pid))
            time.sleep(0.05)
        said.seek(0)
        told = said.read()
    if process.returncode:
        raise SystemExit(f"{part} failed with exit code {process.returncode}")
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    figures = {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(cpu, 1), "memory_mb": round(most / 1e6, 1)}
    return {**figures, **(json.loads(told) if part in ("run", "resume") else {"lines": told.count("\n")})}


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--effects", type=int, default=20_000, help="answers asked for in the one run")
    parser.add_argument("--runs", type=int, default=2_000, help="runs in the store that is listed")
    parser.add_argument("--folder", type=Path, help="where to put the stores (default: the temporary folder)")
    parser.add_argument("--keep", type=Path, help="a store to make, or to use again where it is there")
    parser.add_argument("--part", choices=_PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        _part(options.part, options.path, options.effects)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        path = options.keep or Path(name) / "scale.db"
        result: dict[str, Any] = {"benchmark": "store_scale", "effects": options.effects}
        if not path.exists():
            result["run"] = measure("run", path, options.effects)
        size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
        result |= {"bytes": size, "bytes_per_effect": round(size / options.effects, 1)}
        result["resume"] = measure("resume", path, options.effects)
        result["report"] = measure("report", path)
        many = Path(name) / "many.db"
        _many(many, options.runs)
        result["list"] = {"runs": options.runs, **measure("list", many)}
    if options.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key}: {value}")


def _many(path: Path, runs: int) -> None:
    from loopwright.store import SqliteStore

    with SqliteStore(path) as store:
        for i in range(runs):
            spec = {"job": "improve", "task": {"name": f"task {i}"}, "model": "embedded:tiny"}
            made = store.create_run(spec, seed=i, budget={}, code_version="1")
            store.set_run(made.id, status="done", reason="learned nothing: no candidate was better than the base on the gate")


if __name__ == "__main__":
    main()
