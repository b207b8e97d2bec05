"""Caps against servers that bill and do not answer: real connections to a server that keeps its own books."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopwright.core.budget import Ledger
from loopwright.core.engine import Engine
from loopwright.core.errors import BudgetExhausted, LoopwrightError, ModelUnavailable
from loopwright.core.feedback import Cost
from loopwright.core.model import Request, Sampling
from loopwright.core.past import Past
from loopwright.core.types import Budget, Turn
from loopwright.models.openai import OpenAIModel
from loopwright.store import MemoryStore, open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.billing_server import BILLED, HARMLESS, PRICE, Billing, billing


def model_of(server: Billing, **options: Any) -> OpenAIModel:
    options = {"attempts": 3, "backoff": 0.001, "longest_wait": 0.002, "circuit": 10**6, **options}
    return OpenAIModel("toy", base_url=server.url, api_key_env="", price=PRICE, priced=True, **options)


def asked(
    store: MemoryStore, server: Billing, budget: Budget, wants: Sequence[int], **options: Any
) -> tuple[Engine, list[Exception]]:
    """So many samples each, all at once, under the budget; returns the engine and what was raised."""
    run = store.create_run({"caps": True}, seed=0, budget={}, code_version="1")
    raised: list[Exception] = []

    async def main() -> Engine:
        model = model_of(server, **options)
        engine = Engine(store=store, run=run, ledger=Ledger(budget), models={"policy": model}, cache=False)

        async def one(i: int, n: int) -> None:
            turns = (Turn(role="user", text=f"question number {i}"),)
            request = Request(turns=turns, n=n, sampling=Sampling(max_tokens=8))
            try:
                reply = await engine.generate(f"s{i}", "policy", request, summary="q")
                assert len(reply.choices) == n
                assert all(turn.text in ("fine", "") for turn in reply.choices), "something else became an answer"
            except LoopwrightError as error:
                raised.append(error)

        try:
            async with asyncio.timeout(60):
                await asyncio.gather(*(one(i, n) for i, n in enumerate(wants)))
        finally:
            await model.close()
        return engine

    engine = asyncio.run(main())
    assert not engine.ledger._held and not any(engine.ledger._promised.values())
    return engine, raised


def within(spent: Cost, budget: Budget) -> bool:
    caps = (budget.calls, budget.tokens, budget.money)
    return all(
        cap is None or amount <= cap * (1 + 1e-9)
        for cap, amount in zip(caps, (spent.calls, spent.tokens, spent.money), strict=True)
    )


@pytest.mark.fault(33, 49)
def test_whatever_a_server_does_the_caps_hold_and_what_it_billed_is_reported(seen: Callable[[str], None]) -> None:
    """One call too many, in any order of failures, is a failure here."""
    figures = {"runs": 0, "billed": 0, "reported": 0, "refused": 0}
    acts: list[str] = []

    with billing(lambda i, body: acts[i % len(acts)]) as server:

        @settings(max_examples=150, suppress_health_check=list(HealthCheck))
        @given(
            plan=st.lists(st.sampled_from((*BILLED, *HARMLESS)), min_size=1, max_size=12),
            wants=st.lists(st.integers(1, 4), min_size=1, max_size=12),
            budget=st.one_of(
                st.builds(Budget, calls=st.integers(1, 20)),
                st.builds(Budget, tokens=st.integers(300, 12_000)),
                st.builds(Budget, money=st.integers(3, 120).map(lambda i: i / 1000)),
            ),
        )
        def attack(plan: list[str], wants: list[int], budget: Budget) -> None:
            acts[:] = plan
            server.received = server.calls = server.prompt = server.tokens = 0
            store = MemoryStore()
            engine, raised = asked(store, server, budget, wants)
            spent, billed = (
                engine.ledger.spent,
                Cost(calls=server.calls, prompt_tokens=server.tokens, money=server.money),
            )
            assert within(billed, budget), (plan, wants, budget, billed)
            assert within(spent, budget), (plan, wants, budget, spent)
            assert (
                spent.calls >= server.calls
                and spent.tokens >= server.tokens
                and spent.money >= server.money * (1 - 1e-9)
            )
            assert spent.calls <= server.received
            recorded = Past(store, engine.run).spent
            assert (recorded.calls, recorded.tokens) == (spent.calls, spent.tokens), (
                "a resumed run would count otherwise"
            )
            assert recorded.money == pytest.approx(spent.money)
            figures["runs"] += 1
            figures["billed"] += server.calls
            figures["reported"] += spent.calls
            figures["refused"] += sum(isinstance(error, BudgetExhausted) for error in raised)

        attack()
    assert figures["refused"] > 10, "the caps were hardly reached, so little was tested"
    seen(
        f"{figures['runs']} orders of 23 kinds of failure, caps of calls, tokens or money: {figures['billed']} calls billed, "
        f"{figures['reported']} reported, no cap passed"
    )


def sums(folder: Path, count: int, extra: str = "") -> Path:
    """A task of additions that a server's answer may be right about."""
    folder.mkdir()
    pairs = random.Random(5).sample(list(itertools.product(range(10, 70), repeat=2)), count)
    (folder / "examples.jsonl").write_text(
        "".join(f'{{"input": "{a} + {b}", "target": "{a + b}"}}\n' for a, b in pairs)
    )
    (folder / "task.toml").write_text(
        'name = "sums"\n[examples]\nfile = "examples.jsonl"\n[answer]\nmax_tokens = 16\n[checker]\nkind = "exact"\n'
        + extra
    )
    return folder


def improve(folder: Path, server: Billing, budget: Budget, **more: Any) -> dict[str, Any]:
    from loopwright.improve.job import run_improve

    model = {
        "backend": "openai",
        "model": "toy",
        "base_url": server.url,
        "api_key_env": "",
        "backoff": 0.001,
        **more.pop("model", {}),
    }
    out, store = folder.parent / "out", folder.parent / "store.db"
    return asyncio.run(run_improve(folder, model=model, budget=budget, out=out, store_path=store, **more))


@pytest.mark.fault(33, 49)
def test_one_connection_in_three_is_cut_after_billing_and_calls_700_are_700(
    tmp_path: Path, seen: Callable[[str], None]
) -> None:
    with billing(lambda i, body: "cut" if i % 3 == 2 else "ok") as server:
        result = improve(sums(tmp_path / "task", 200), server, Budget(calls=700), change=("prompt", "answers"))
    assert server.calls <= 700
    assert result["calls"] == server.calls
    assert server.calls > 500, "the cap was not tried"
    assert result["replies"]["bound"] > 0, "what was cut off is counted with the most, which must be said"
    seen(f"calls=700, one connection in three cut after billing: {server.calls} billed, {result['calls']} reported")


@pytest.mark.fault(33, 49)
@pytest.mark.parametrize(("what", "billed"), [("one-choice", 700), ("more-choices", 200)])
def test_a_server_that_ignores_n_is_counted_by_what_it_bills(
    what: str, billed: int, seen: Callable[[str], None]
) -> None:
    with billing(lambda i, body: what) as server:
        engine, raised = asked(MemoryStore(), server, Budget(calls=700), [8] * 200)
    assert server.calls == engine.ledger.spent.calls == billed
    assert engine.ledger.spent.tokens == server.tokens
    assert all(isinstance(error, BudgetExhausted) for error in raised)
    seen(
        f"calls=700, 200 requests for n=8, answered with {what}: {server.calls} billed, {engine.ledger.spent.calls} reported"
    )


_KILLED = """
import asyncio, sys
from loopwright.core.budget import Ledger
from loopwright.core.engine import Engine
from loopwright.core.model import Request, Sampling
from loopwright.core.types import Budget, Turn
from loopwright.models.openai import OpenAIModel
from loopwright.store import open_store

async def main():
    model = OpenAIModel("toy", base_url=sys.argv[1], api_key_env="", attempts=1000, backoff=0.001, longest_wait=0.002)
    store = open_store(sys.argv[2])
    run = store.create_run({}, seed=0, budget={}, code_version="1")
    engine = Engine(store=store, run=run, ledger=Ledger(Budget(calls=10000)), models={"policy": model}, cache=False)
    ask = lambda i: engine.generate(
        f"s{i}", "policy", Request(turns=(Turn(role="user", text=f"q{i}"),), n=3, sampling=Sampling(max_tokens=8)), summary="q")
    await asyncio.gather(*map(ask, range(4)))

asyncio.run(main())
"""


@pytest.mark.fault(2, 49)
def test_killed_between_two_tries_what_they_may_have_taken_stays_counted(
    tmp_path: Path, seen: Callable[[str], None]
) -> None:
    """A process that is killed with SIGKILL while it tries again and again leaves every try in its record."""
    with billing(lambda i, body: "cut" if i % 5 else "one-choice") as server:
        process = subprocess.Popen([sys.executable, "-c", _KILLED, server.url, str(tmp_path / "s.db")])
        try:
            until = time.monotonic() + 60
            while server.calls < 40 and process.poll() is None and time.monotonic() < until:
                time.sleep(0.002)
            assert process.poll() is None, "it ended before it could be killed"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    store = open_store(str(tmp_path / "s.db"))
    spent = Past(store, store.runs()[0]).spent
    store.close()
    assert server.calls <= spent.calls <= server.calls + 12, "at most what was about to be sent is counted on top"
    seen(f"SIGKILL while four calls were tried again: {server.calls} billed, {spent.calls} counted by the resumed run")


@pytest.mark.fault(30, 33)
def test_seconds_bound_the_wait_that_a_server_asks_for(tmp_path: Path, seen: Callable[[str], None]) -> None:
    """Every fourth request is told to come back in 20 seconds; nothing of that was billed."""
    with billing(lambda i, body: "429" if i % 4 == 3 else "ok") as server:
        server.retry_after = "20"
        began = time.monotonic()
        try:
            told = str(improve(sums(tmp_path / "task", 60), server, Budget(seconds=5))["calls"])
        except LoopwrightError as error:
            told = type(error).__name__
        took = time.monotonic() - began
        after = server.received
        time.sleep(0.5)
        assert server.received == after, "something was still asked when the run had ended"
    # In seconds of the server's clock, which no load of this machine changes: nothing was sent long after the cap.
    assert max(server.arrived) - min(server.arrived) < 15, "the wait of 20 s was waited out"
    seen(f"seconds=5, Retry-After: 20 to one request in four: the run ended after {took:.1f} s ({told})")


@pytest.mark.fault(33)
def test_a_server_that_hangs_cannot_hold_a_run_beyond_its_seconds(seen: Callable[[str], None]) -> None:
    with billing(lambda i, body: "ok") as server:
        server.latency = 30.0
        store = MemoryStore()
        began = time.monotonic()
        engine, raised = asked(store, server, Budget(seconds=1), [1] * 6)
        took = time.monotonic() - began
        assert {type(error).__name__ for error in raised} == {"OutOfTime"}
        assert took < 25
        assert engine.ledger.spent.calls == 6  # what was under way may be billed
    seen(f"seconds=1, six calls that hang for 30 s: ended after {took:.1f} s, 6 counted as paid")


@pytest.mark.fault(50)
@pytest.mark.parametrize("what", ["usage-1e30", "usage-negative", "usage-text", "usage-nan"])
def test_impossible_usage_is_refused_by_name_and_the_most_is_counted(what: str, seen: Callable[[str], None]) -> None:
    with billing(lambda i, body: what) as server:
        store = MemoryStore()
        run = store.create_run({}, seed=0, budget={}, code_version="1")

        async def main() -> tuple[Engine, Cost, Cost]:
            model = model_of(server)
            engine = Engine(store=store, run=run, ledger=Ledger(Budget(tokens=10_000)), models={"policy": model})
            request = Request(turns=(Turn(role="user", text="hello"),), sampling=Sampling(max_tokens=8))
            reply = await engine.generate("s", "policy", request, summary="q")
            await model.close()
            return engine, model.estimate(request), reply.cost

        engine, most, cost = asyncio.run(main())
    (notice,) = [event.payload["message"] for event in store.events(run.id) if event.type == "server-notice"]
    assert "usage.completion_tokens" in notice and "refused" in notice
    assert engine.ledger.spent.tokens == cost.tokens == most.tokens
    assert b"000000000000" not in b"".join(row.result for row in store.effects(run.id))
    seen(f'{what}: "{notice.split(": ", 1)[1][:90]}"; {cost.tokens} tokens counted')


@pytest.mark.fault(41)
def test_calls_that_end_in_failure_are_counted_with_every_try(seen: Callable[[str], None]) -> None:
    with billing(lambda i, body: "500") as server:
        engine, raised = asked(MemoryStore(), server, Budget(calls=100), [1], attempts=4)
        assert isinstance(raised[0], ModelUnavailable)
        # four tries, and as many of the question whether the server answers anything at all
        assert engine.ledger.spent.calls == server.calls == 8
    spent = engine.ledger.spent.calls
    seen(f"a server that bills and answers 500: {server.calls} billed, {spent} reported, then {type(raised[0]).__name__}")
