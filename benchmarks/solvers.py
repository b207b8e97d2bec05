"""Examples through a solver of five turns: python benchmarks/solvers.py [--json] [--concurrency 64 512] [--latency 0.05]

``try-again`` asks five times for each example, every time with the whole conversation so far, and its answers are judged: what
``loopwright run`` does with an example, through the engine, with a budget, the SQLite store and the cache on. The server is in
another process and answers after 50 ms, unless told otherwise. Beside it the same conversations by a bare aiohttp client that
keeps nothing; the two take turns, and ratios are of neighbours. Ideal is concurrency / latency, which at 512 and 50 ms is more
than two cores can serve, whoever asks; the ratio to aiohttp is then what says something.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from calls import ANSWER, LATENCY, MODEL

TURNS = 5


async def bare(url: str, concurrency: int, questions: list[str], again: str) -> None:
    import aiohttp

    waiting = iter(questions)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def worker() -> None:
            for question in waiting:
                turns = [{"role": "user", "content": question}]
                for _ in range(TURNS):
                    body = {"model": MODEL, "messages": turns, "max_tokens": 64, "temperature": 1.0, "top_p": 1.0, "seed": 1}
                    async with session.post(f"{url}/chat/completions", json=body) as answer:
                        said = json.loads(await answer.read())["choices"][0]["message"]["content"]
                    turns += [{"role": "assistant", "content": said}, {"role": "user", "content": again}]

        await asyncio.gather(*(worker() for _ in range(concurrency)))


async def ours(url: str, concurrency: int, questions: list[str], again: str) -> None:
    from loopwright.core.budget import Ledger
    from loopwright.core.context import Context
    from loopwright.core.engine import Engine
    from loopwright.core.feedback import Feedback, Verdict
    from loopwright.core.model import Sampling
    from loopwright.core.policy import Prompt
    from loopwright.core.types import Budget, Candidate, Example, Rollout
    from loopwright.improve.session import rarely_collected
    from loopwright.models.openai import OpenAIModel
    from loopwright.store import SqliteStore

    class World:
        name = fingerprint = "questions"
        prompt = Prompt()
        sampling = Sampling(max_tokens=64)
        critics = ()
        tools: dict[str, Any] = {}

        def examples(self, split: str) -> list[Example]:
            return []

        async def checker(self, rollout: Rollout, ctx: Context) -> Feedback:
            return Verdict(passed=rollout.output == ANSWER)

    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "loopwright.db")
        run = store.create_run({}, seed=0, budget={}, code_version="")
        model = OpenAIModel(MODEL, base_url=url, concurrency=concurrency)
        ledger = Ledger(Budget(calls=10**9, tokens=10**12))
        engine = Engine(store=store, run=run, ledger=ledger, models={"policy": model})
        solver = {"recipe": "try-again", "options": {"rounds": TURNS - 1, "revise": again}}
        candidate = Candidate(parts={"prompt": {}, "solver": solver})
        ctx = Context(engine, "bench", world=World(), policy=candidate)  # type: ignore[arg-type]
        with rarely_collected():  # as ``loopwright run`` does
            judged = await ctx.evaluate(candidate, [Example(id=str(i), input=q) for i, q in enumerate(questions)])
        assert engine.executed == TURNS * len(questions) and all(r.score == 1.0 for r in judged), "not all was asked"
        await model.close()
        store.close()


def measure(url: str, concurrency: int, examples: int, rounds: int, latency: float) -> dict[str, Any]:
    again = "That may be wrong. Answer again."
    found: dict[str, list[tuple[float, float]]] = {"aiohttp": [], "loopwright": []}
    asyncio.run(ours(url, concurrency, ["a question to load everything"], again))
    for number in range(rounds):
        for name in ("aiohttp", "loopwright") if number % 2 else ("loopwright", "aiohttp"):
            questions = [f"{name} {number} {concurrency} {i}: what is {i} + {i}?" for i in range(examples)]
            wall, cpu = time.perf_counter(), time.process_time()
            asyncio.run((ours if name == "loopwright" else bare)(url, concurrency, questions, again))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found[name].append((TURNS * examples / wall, 1000 * cpu / (TURNS * examples)))
    ideal = concurrency / latency
    rows = {
        name: {
            "calls_per_second": round(statistics.median(r for r, _ in runs), 1),
            "of_ideal": round(statistics.median(r for r, _ in runs) / ideal, 3),
            "cpu_ms_per_call": round(statistics.median(c for _, c in runs), 3),
        }
        for name, runs in found.items()
    }
    ratios = [a / b for (a, _), (b, _) in zip(found["loopwright"], found["aiohttp"], strict=True)]
    return {"ideal_calls_per_second": ideal, "ratio_to_aiohttp": round(statistics.median(ratios), 3), "clients": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, nargs="*", default=[64, 512])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds in which the server answers")
    options = parser.parse_args()
    command = [sys.executable, str(Path(__file__).with_name("calls.py")), "--serve", "--latency", str(options.latency)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        found = {str(c): measure(url, c, options.examples, options.rounds, options.latency) for c in options.concurrency}
    finally:
        server.stdin.close()
        server.wait(10)
    if options.json:
        head = {"benchmark": "solvers", "cpus": os.cpu_count(), "examples": options.examples, "turns": TURNS}
        print(json.dumps({**head, "latency_ms": 1000 * options.latency, "concurrency": found}))
        return
    print(f"{'concurrency':>11} {'client':12} {'calls/s':>9} {'of ideal':>9} {'CPU ms/call':>12} {'to aiohttp':>11}")
    for concurrency, row in found.items():
        for name, client in row["clients"].items():
            ratio = row["ratio_to_aiohttp"] if name == "loopwright" else ""
            print(f"{concurrency:>11} {name:12} {client['calls_per_second']:9} {client['of_ideal']:9} "
                  f"{client['cpu_ms_per_call']:12} {ratio:>11}")  # fmt: skip


if __name__ == "__main__":
    main()
