"""Bytes that no framework would send, from a bare socket that keeps its own books."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.budget import Ledger
from loopwright.core.engine import Engine
from loopwright.core.errors import BudgetExhausted, InputError, LoopwrightError
from loopwright.core.failing import ErrorRules
from loopwright.core.model import Request, Sampling
from loopwright.core.types import Budget, Turn
from loopwright.models.openai import OpenAIModel
from loopwright.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.billing_server import PRICE

Act = Callable[["Bare", dict[str, Any], asyncio.StreamWriter], Awaitable[None]]


class Bare:
    """calls, tokens: what was billed. Answers ``A7`` to a question that ends in 7."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.calls = self.tokens = self.received = 0
        self.url = ""

    def made(self, body: dict[str, Any], *, hidden: int = 0, thought: int = 0) -> dict[str, Any]:
        """A good reply, which is billed. hidden: tokens of the server's own prompt. thought: told in the sum alone."""
        said = "A" + body["messages"][-1]["content"].split()[-1]
        prompt = 8 + hidden
        self.calls += 1
        self.tokens += prompt + 3 + thought
        usage = {"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3 + thought}
        message = {"role": "assistant", "content": said}
        return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                self.received += 1
                await self.act(self, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def send(writer: asyncio.StreamWriter, data: dict[str, Any], status: int = 200) -> None:
    raw = json.dumps(data).encode()
    writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%s" % (status, len(raw), raw))


@contextmanager
def bare(act: Act) -> Iterator[Bare]:
    server, ready, stop = Bare(act), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await stop.wait()
        listening.close()
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10), "the server did not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def asked(
    server: Bare, folder: Path, budget: Budget, count: int, *, pause: float | None = None
) -> tuple[Engine, dict[int, str], list[Exception]]:
    """So many questions, all at once or, with ``pause``, one after another: the answers by number, and what was raised."""
    store = open_store(folder / "run.db")
    run = store.create_run({"sent": True}, seed=0, budget={}, code_version="1")
    answers: dict[int, str] = {}
    raised: list[Exception] = []

    async def main() -> Engine:
        model = OpenAIModel("toy", base_url=server.url, api_key_env="", price=PRICE, priced=True, attempts=2, backoff=0.001)
        engine = Engine(store=store, run=run, ledger=Ledger(budget), models={"policy": model}, cache=False)

        async def one(i: int) -> None:
            request = Request(turns=(Turn(role="user", text=f"question number {i}"),), sampling=Sampling(max_tokens=8))
            try:
                answers[i] = (await engine.generate(f"s{i}", "policy", request, summary="q")).choices[0].text
            except LoopwrightError as error:
                raised.append(error)

        async with asyncio.timeout(30):
            if pause is None:
                await asyncio.gather(*map(one, range(count)))
            else:
                for i in range(count):
                    await one(i)
                    await asyncio.sleep(pause)
        await model.close()
        return engine

    try:
        return asyncio.run(main()), answers, raised
    finally:
        store.close()


@pytest.mark.fault(48)
@pytest.mark.parametrize("late", [0.0, 0.03])
def test_a_reply_that_is_sent_twice_answers_no_other_question(
    late: float, tmp_path: Path, seen: Callable[[str], None]
) -> None:
    async def twice(server: Bare, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        made = server.made(body)
        send(writer, made)
        await asyncio.sleep(late)
        send(writer, made)

    with bare(twice) as server:
        engine, answers, raised = asked(server, tmp_path, Budget(calls=50), 12, pause=0.06)
    assert not raised
    assert answers == {i: f"A{i}" for i in range(12)}
    assert engine.ledger.spent.calls == server.calls == 12
    seen(f"every reply sent twice, the second {late * 1000:g} ms later: 12 of 12 answers are those to their own question")


async def _created(server: Bare, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    send(writer, server.made(body), 201)


async def _sum_alone(server: Bare, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    send(writer, server.made(body, thought=40))


async def _zeros(server: Bare, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    send(writer, server.made(body) | {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}})


async def _error_told(server: Bare, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    usage = server.made(body)["usage"]
    send(writer, {"error": {"message": "rate limit"}, "usage": usage})


async def _filtered(server: Bare, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    server.made(body)
    send(writer, {"error": {"message": "content_filter stopped the answer"}})


@pytest.mark.fault(33, 49)
@pytest.mark.parametrize("act", [_created, _sum_alone, _zeros, _error_told, _filtered])
def test_what_a_reply_took_is_counted_whatever_it_is_wrapped_in(
    act: Act, tmp_path: Path, seen: Callable[[str], None]
) -> None:
    with bare(act) as server:
        engine, _, _ = asked(server, tmp_path, Budget(calls=30, tokens=100_000), 8)
    spent = engine.ledger.spent
    assert 8 <= server.calls <= spent.calls
    assert spent.tokens >= server.tokens
    seen(f"{act.__name__[1:]}: {server.calls} calls, {server.tokens} tokens billed; {spent.calls}, {spent.tokens} reported")


@pytest.mark.fault(33, 49)
@pytest.mark.parametrize("budget", [Budget(tokens=60_000), Budget(money=0.6)])
def test_a_server_with_a_long_prompt_of_its_own_passes_no_cap_by_many_calls_at_once(
    budget: Budget, tmp_path: Path, seen: Callable[[str], None]
) -> None:
    async def hidden(server: Bare, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        made = server.made(body, hidden=3000)
        await asyncio.sleep(0.03)
        send(writer, made)

    with bare(hidden) as server:
        engine, answers, raised = asked(server, tmp_path, budget, 200)
    assert server.tokens == engine.ledger.spent.tokens <= 60_000
    assert len(answers) >= 15 and all(isinstance(error, BudgetExhausted) for error in raised)
    seen(f"{budget.model_dump(exclude_none=True)}, 3,000 tokens added to each of 200 calls at once: {server.tokens} billed")


@pytest.mark.fault(47)
def test_half_a_character_in_what_a_server_says_of_itself_ends_nothing(
    tmp_path: Path, seen: Callable[[str], None]
) -> None:
    async def half(server: Bare, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        number = int(body["messages"][-1]["content"].split()[-1])
        if number % 2:
            send(writer, {"error": {"message": "bad \ud800 thing"}}, 400)
        else:
            send(writer, server.made(body) | {"model": "toy\ud800", "system_fingerprint": "\udfff"})

    with bare(half) as server:
        _, answers, raised = asked(server, tmp_path, Budget(calls=30), 6)
    assert sorted(answers) == [0, 2, 4] and len(raised) == 3
    assert all("bad \ufffd thing" in str(error) for error in raised)
    seen("lone surrogates in model, fingerprint and messages of errors: 3 answers, 3 errors, all recorded")


@pytest.mark.parametrize("option", ["timeout", "deadline", "backoff", "longest_wait", "cooldown", "attempts", "circuit"])
@pytest.mark.parametrize("value", [float("nan"), -1, True, "3"])
def test_a_limit_that_limits_nothing_is_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(InputError, match=option):
        OpenAIModel("toy", base_url="http://127.0.0.1:1/v1", **{option: value})  # type: ignore[arg-type]


def test_any_whole_number_of_errors_may_be_borne() -> None:
    assert ErrorRules.checked(10**400).most(120) > 120
