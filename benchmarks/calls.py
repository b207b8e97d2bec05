"""Model calls per second and CPU per call, side by side: python benchmarks/calls.py [--json] [--calls N] [--concurrency 64]

All clients run in one process against one server in another, which answers after 50 ms. The rounds are interleaved,
their order turns, and a ratio is of two clients in the same round, so that a noisy machine hurts all alike. CPU is of the
whole process: event loop, threads and store. ``loopwright`` is a call through the engine, with a budget, the SQLite store
and the cache on; ``loopwright-backend`` is the model alone. Clients that are not installed are named with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from _serving import completion, serve

LATENCY = 0.05  # seconds
MODEL = "bench"
ANSWER = "an answer of a few words " * 8

Call = Callable[[str], Awaitable[str]]
Client = Callable[[str, int], contextlib.AbstractAsyncContextManager[Call]]


def body(question: str) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 64,
        "temperature": 1.0,
        "top_p": 1.0,
        "seed": 1,
    }


@asynccontextmanager
async def bare_aiohttp(url: str, concurrency: int) -> AsyncIterator[Call]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def call(question: str) -> str:
            async with session.post(f"{url}/chat/completions", json=body(question)) as answer:
                data = json.loads(await answer.read())
            return str(data["choices"][0]["message"]["content"])

        yield call


@asynccontextmanager
async def backend(url: str, concurrency: int) -> AsyncIterator[Call]:
    from loopwright.models.openai import OpenAIModel

    model = OpenAIModel(MODEL, base_url=url, concurrency=concurrency)

    async def call(question: str) -> str:
        (reply,) = await model.generate([_request(question)])
        return reply.choices[0].text

    yield call
    await model.close()


@asynccontextmanager
async def loopwright(url: str, concurrency: int) -> AsyncIterator[Call]:
    from loopwright.core.budget import Ledger
    from loopwright.core.engine import Engine
    from loopwright.core.types import Budget
    from loopwright.models.openai import OpenAIModel
    from loopwright.store import SqliteStore

    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "loopwright.db")
        run = store.create_run({}, seed=0, budget={}, code_version="")
        ledger = Ledger(Budget(calls=10**9, tokens=10**12))
        model = OpenAIModel(MODEL, base_url=url, concurrency=concurrency)
        engine = Engine(store=store, run=run, ledger=ledger, models={"policy": model})

        async def call(question: str) -> str:
            reply = await engine.generate(question, "policy", _request(question), summary=question)
            return reply.choices[0].text

        yield call
        assert engine.executed > 0 and engine.past.replayed == 0, "the engine did not make the calls it was timed for"
        await model.close()
        store.close()


def _request(question: str) -> Any:
    from loopwright.core.model import Request, Sampling
    from loopwright.core.types import Turn

    return Request(turns=(Turn(role="user", text=question),), sampling=Sampling(max_tokens=64), seed=1)


@asynccontextmanager
async def bare_httpx(url: str, concurrency: int) -> AsyncIterator[Call]:
    import httpx

    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def call(question: str) -> str:
            answer = await client.post(f"{url}/chat/completions", json=body(question))
            return str(answer.json()["choices"][0]["message"]["content"])

        yield call


@asynccontextmanager
async def openai_client(url: str, concurrency: int) -> AsyncIterator[Call]:
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:

        async def call(question: str) -> str:
            answer = await client.chat.completions.create(**body(question))
            return answer.choices[0].message.content or ""

        yield call


@asynccontextmanager
async def litellm_client(url: str, concurrency: int) -> AsyncIterator[Call]:
    import litellm

    async def call(question: str) -> str:
        fields = {**body(question), "model": f"openai/{MODEL}"}
        answer = await litellm.acompletion(**fields, api_base=url, api_key="none")
        return answer.choices[0].message.content or ""

    yield call


@asynccontextmanager
async def dspy_client(url: str, concurrency: int) -> AsyncIterator[Call]:
    import dspy

    lm = dspy.LM(f"openai/{MODEL}", api_base=url, api_key="none", cache=False, max_tokens=64, temperature=1.0)

    async def call(question: str) -> str:
        (answer,) = await lm.acall(question)
        return answer if isinstance(answer, str) else str(answer["text"])

    yield call


# name, the package it needs, the client, and which share of the calls it makes: slow clients need fewer for the same time
CLIENTS: tuple[tuple[str, str, Client, float], ...] = (
    ("aiohttp", "aiohttp", bare_aiohttp, 1.0),
    ("loopwright", "aiohttp", loopwright, 1.0),
    ("loopwright-backend", "aiohttp", backend, 1.0),
    ("httpx", "httpx", bare_httpx, 0.25),
    ("openai", "openai", openai_client, 0.25),
    ("litellm", "litellm", litellm_client, 0.25),
    ("dspy", "dspy", dspy_client, 0.25),
)


async def timed(client: Client, url: str, concurrency: int, calls: int, mark: str) -> tuple[float, float]:
    """Calls per second, and CPU milliseconds per call. Every question is new, so no cache can answer it."""
    async with client(url, concurrency) as call:
        await asyncio.gather(*(call(f"{mark} warm {i}") for i in range(concurrency)))
        questions = iter([f"{mark} {i}: what is {i} + {i}?" for i in range(calls)])

        async def worker() -> None:
            for question in questions:
                if await call(question) != ANSWER:
                    raise AssertionError("a client lost the answer")

        gc.collect()
        # The backend itself keeps to ``concurrency`` connections. The engine, as in any run, has more effects than that
        # under way, so that one's result is made durable while another's request is out.
        workers = concurrency * (2 if client is loopwright else 1)
        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(workers)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return calls / wall, 1000 * cpu / calls


async def measure(url: str, calls: int, concurrency: int, rounds: int, only: list[str]) -> dict[str, Any]:
    skipped: dict[str, str] = {}
    running = []
    for name, package, client, share in CLIENTS:
        if only and name not in only and name != "aiohttp":
            continue
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            skipped[name] = f"{package} is not installed"
            continue
        running.append((name, client, max(concurrency * 2, int(calls * share))))
    results: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in running}
    for number in range(rounds):
        turn = number % len(running)
        for name, client, count in running[turn:] + running[:turn]:
            if name in skipped:
                continue
            try:
                results[name].append(await timed(client, url, concurrency, count, f"{name} {number}"))
            except AssertionError:
                raise
            except Exception as error:
                if name in ("aiohttp", "loopwright", "loopwright-backend"):
                    raise
                skipped[name] = f"{type(error).__name__}: {str(error)[:200]}"
    clients = {}
    for name, found in results.items():
        if name in skipped:
            continue
        ratios = [mine[0] / base[0] for mine, base in zip(found, results["aiohttp"], strict=True)]
        clients[name] = {
            "calls_per_second": round(statistics.median(rate for rate, _ in found), 1),
            "cpu_ms_per_call": round(statistics.median(cpu for _, cpu in found), 3),
            "ratio_to_aiohttp": round(statistics.median(ratios), 3),
        }
    return {"clients": clients, "skipped": skipped}


def serve_calls(latency: float) -> None:
    """The server: prints its port and answers every POST after so many seconds, until its standard input closes."""
    answer = json.dumps(completion(MODEL, ANSWER, 20, 48)).encode()
    serve(lambda body: answer, latency)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--calls", type=int, default=2000, help="calls a round of the fast clients")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], help="these clients, and bare aiohttp")
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds in which the server answers")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_calls(options.latency)
        return
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or litellm and dspy fetch a file from the network
    command = [sys.executable, __file__, "--serve", "--latency", str(options.latency)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        found = asyncio.run(measure(url, options.calls, options.concurrency, options.rounds, options.only))
    finally:
        server.stdin.close()
        server.wait(10)
    ours = found["clients"].get("loopwright", {})
    result = {
        "benchmark": "calls",
        "cpus": os.cpu_count(),
        "concurrency": options.concurrency,
        "latency_ms": 1000 * options.latency,
        "ceiling_calls_per_second": options.concurrency / options.latency,
        "ratio_to_aiohttp": ours.get("ratio_to_aiohttp"),
        "cpu_ms_per_call": ours.get("cpu_ms_per_call"),
        **found,
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{'client':20} {'calls/s':>9} {'CPU ms/call':>12} {'to aiohttp':>11}")
    for name, row in found["clients"].items():
        print(f"{name:20} {row['calls_per_second']:9} {row['cpu_ms_per_call']:12} {row['ratio_to_aiohttp']:11}")
    for name, reason in found["skipped"].items():
        print(f"{name:20} skipped: {reason}")


if __name__ == "__main__":
    main()
