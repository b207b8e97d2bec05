"""A cap is never passed, however many calls are made at once and whatever they turn out to cost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from core_kit import Counting, engine_for, jitter, new_run, request
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.budget import Ledger
from loopwright.core.errors import BadOutput, BudgetExhausted, ModelError, ModelUnavailable
from loopwright.core.feedback import FREE, Cost
from loopwright.core.model import Reply, Request
from loopwright.core.types import Budget, Turn
from loopwright.store import MemoryStore

costs = st.builds(
    Cost,
    calls=st.integers(0, 3),
    prompt_tokens=st.integers(0, 40),
    completion_tokens=st.integers(0, 40),
    money=st.integers(0, 128).map(lambda cents: cents / 64),  # exact in binary, so that sums can be compared
)


def within(ledger: Ledger, spent: Cost) -> bool:
    cap = ledger.budget
    return (
        spent.calls <= (cap.calls or 10**9)
        and spent.tokens <= (cap.tokens or 10**9)
        and spent.money <= (cap.money or 1e9)
    )


@given(
    budget=st.builds(
        Budget,
        calls=st.none() | st.integers(1, 12),
        tokens=st.none() | st.integers(1, 300),
        money=st.integers(6, 600).map(lambda i: i / 64),
    ),
    steps=st.lists(st.tuples(costs, st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), max_size=40),
)
def test_no_order_of_reserving_and_settling_passes_a_cap(
    budget: Budget, steps: list[tuple[Cost, float, bool]]
) -> None:
    ledger, held = Ledger(budget), list[tuple[int, Cost]]()
    for estimate, share, settle in steps:
        if settle and held:
            number, promised = held.pop(0)
            actual = promised.model_copy(
                update={"prompt_tokens": int(promised.prompt_tokens * share), "money": promised.money * share}
            )
            asyncio.run(ledger.settle(number, actual))
        else:
            taken = sum((c for _, c in held), ledger.spent)
            if within(ledger, taken + estimate):
                held.append((ledger.hold(estimate), estimate))
            elif not within(ledger, taken + estimate + estimate):  # well beyond the cap, not by rounding alone
                with pytest.raises(BudgetExhausted):
                    ledger.hold(estimate)
        assert within(ledger, sum((c for _, c in held), ledger.spent)), "promises alone may not pass a cap"
    assert ledger.exceeded == 0


@settings(max_examples=40)
@given(calls=st.integers(1, 9), wanted=st.integers(1, 30), seed=st.integers(0, 99))
def test_reserve_waits_for_promises_and_refuses_what_is_spent(calls: int, wanted: int, seed: int) -> None:
    """Each call is estimated at twice what it takes, so all that fit in the end must get their turn."""
    rng = random.Random(seed)
    ledger = Ledger(Budget(tokens=10 * calls))
    done = 0

    async def one() -> None:
        nonlocal done
        number = await ledger.reserve(Cost(prompt_tokens=10))
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)
        await ledger.settle(number, Cost(prompt_tokens=5))
        done += 1

    async def all_of_them() -> list[Any]:
        async with asyncio.timeout(20):
            return await asyncio.gather(*(one() for _ in range(wanted)), return_exceptions=True)

    results = asyncio.run(all_of_them())
    assert all(r is None or isinstance(r, BudgetExhausted) for r in results)
    assert ledger.spent.tokens == 5 * done <= 10 * calls
    assert done == min(wanted, 2 * calls - 1)  # the last 5 tokens are not enough for an estimate of 10


def test_a_cancelled_wait_reserves_nothing() -> None:
    async def story() -> Ledger:
        ledger = Ledger(Budget(calls=1))
        number = await ledger.reserve(Cost(calls=1))
        waiting = asyncio.create_task(ledger.reserve(Cost(calls=1)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await ledger.settle(number, FREE)
        await ledger.settle(await asyncio.wait_for(ledger.reserve(Cost(calls=1)), 20), Cost(calls=1))
        return ledger

    ledger = asyncio.run(story())
    assert (ledger.spent.calls, ledger.left("calls")) == (1, 0)


def test_what_is_set_aside_is_not_spent() -> None:
    ledger = Ledger(Budget(calls=10))
    ledger.aside = Cost(calls=4)
    assert ledger.left("calls") == 6
    with pytest.raises(BudgetExhausted, match="calls is capped at 10; 4 spent or reserved"):
        ledger.hold(Cost(calls=7))
    ledger.aside = FREE
    ledger.hold(Cost(calls=10))


def test_time_counts_over_all_resumes() -> None:
    now = [100.0]
    ledger = Ledger(Budget(seconds=10), seconds=7.0, clock=lambda: now[0])
    ledger.hold(FREE)
    now[0] += 2.5
    assert (ledger.seconds, ledger.left("seconds")) == (9.5, 0.5)
    now[0] += 1
    with pytest.raises(BudgetExhausted, match=r"its 10 seconds are used up: 10\.5 have passed"):
        ledger.hold(FREE)


def test_what_costs_more_than_its_estimate_is_counted() -> None:
    ledger = Ledger(Budget(tokens=100))
    asyncio.run(ledger.settle(ledger.hold(Cost(prompt_tokens=5)), Cost(prompt_tokens=9)))
    assert (ledger.exceeded, ledger.spent.tokens) == (1, 9)


class Metered(Counting):
    """Costs vary below the estimate, some calls fail, and the model itself adds up what it gave."""

    def __init__(self, seed: int, rows: int) -> None:
        super().__init__(batch_rows=rows, delay=jitter(seed, 0.002))
        self.rng = random.Random(seed)
        self.given = FREE

    def estimate(self, request: Request) -> Cost:
        return Cost(calls=1, prompt_tokens=6, completion_tokens=8 * request.n, money=0.05 * request.n)

    async def generate(self, requests: Sequence[Request]) -> list[Reply]:
        made = []
        await asyncio.sleep(self.delay())
        if self.batch_rows == 0 and self.rng.random() < 0.1:
            self.given += self.estimate(requests[0])  # an unusable answer costs up to the estimate
            raise BadOutput("cut off", kind="length")
        for r in requests:
            cost = Cost(calls=1, prompt_tokens=6, completion_tokens=self.rng.randrange(8) * r.n, money=0.03 * r.n)
            self.given += cost
            made.append(Reply(choices=(Turn(role="assistant", text="x"),) * r.n, cost=cost))
        return made


@pytest.mark.fault(33)
@pytest.mark.parametrize("rows", [0, 8], ids=["one by one", "waves"])
@pytest.mark.parametrize("budget", [Budget(calls=23), Budget(tokens=400), Budget(money=1.0)], ids=["calls", "tokens", "money"])
@pytest.mark.parametrize("seed", range(4))
def test_the_model_is_never_asked_for_more_than_the_cap(rows: int, budget: Budget, seed: int) -> None:
    store, model = MemoryStore(), Metered(seed, rows)
    engine = engine_for(store, new_run(store, seed=seed), model, budget=budget)
    refused = 0

    async def chain(i: int) -> None:
        nonlocal refused
        for j in range(5):
            try:
                await engine.generate(f"s{i}", "policy", request(f"{i}.{j}", n=1 + i % 3), summary="q")
            except BudgetExhausted:
                refused += 1
            except ModelError:
                pass

    async def everything() -> None:
        async with asyncio.timeout(20):
            await asyncio.gather(*(chain(i) for i in range(20)))

    asyncio.run(everything())
    given = model.given
    assert given.calls <= (budget.calls or 10**9)
    assert given.tokens <= (budget.tokens or 10**9)
    assert given.money <= (budget.money or 1e9) + 1e-9
    assert refused > 0, "the cap was never reached, so nothing was tested"
    resource = next(iter(budget.model_dump(exclude_none=True)))
    largest = {"calls": 1, "tokens": 30, "money": 0.15}[resource]
    assert getattr(given, resource) + largest >= getattr(budget, resource), "most of the cap was left unused"
    assert engine.ledger._held == {}
    assert engine.ledger.exceeded == 0


def test_a_timeout_is_presumed_paid_and_a_refused_connection_is_not() -> None:
    def spent_after(kind: str) -> int:
        def fail(requests: Sequence[Request]) -> None:
            raise ModelUnavailable("gone", kind=kind)

        store = MemoryStore()
        engine = engine_for(store, new_run(store), Counting(act=fail), budget=Budget(calls=9))
        with pytest.raises(ModelUnavailable):
            asyncio.run(engine.generate("s", "policy", request("q"), summary="q"))
        return engine.ledger.spent.calls

    # Of one that timed out a second call asks whether the model is there; that one was not answered in time either.
    assert (spent_after("timeout"), spent_after("connection")) == (2, 0)
