"""Rounds that overlap: the same in every run, whatever is done first."""

from __future__ import annotations

import asyncio

import pytest
from core_kit import BASE, Counting, ToyWorld, engine_for, jitter, new_run

from loopwright.core.context import Context
from loopwright.core.errors import BudgetExhausted, InputError
from loopwright.core.types import Budget
from loopwright.store import MemoryStore


def play(store, run, model, *, rounds=8, ahead=3, budget=None):
    """What every round saw when it began, what it was answered, and the engine."""
    engine = engine_for(store, run, model, budget=budget)
    ctx = Context(engine, "m", world=ToyWorld(), policy=BASE)
    known: list[str] = []
    log: list[tuple[int, int, str]] = []

    async def work(ctx, examples):
        seen = len(known)
        said = await ctx.answer(examples[0])
        more = await ctx.answer(examples[0], f"again {ctx.rng.random()}", after=said)
        return ctx.round, seen, more.output

    async def go():
        async for outcome in ctx.overlapping(work, 2, rounds=rounds, ahead=ahead):
            known.append(outcome[2])
            log.append(outcome)

    try:
        asyncio.run(go())
    except BudgetExhausted:
        log.append((-1, -1, "budget"))
    return log, engine


def test_what_a_round_sees_depends_on_the_order_of_rounds_alone():
    logs = []
    for seed in range(4):
        store = MemoryStore()
        log, _ = play(store, new_run(store), Counting(delay=jitter(seed)))
        logs.append(log)
    assert all(log == logs[0] for log in logs)
    assert [(number, seen) for number, seen, _ in logs[0]] == [(k, max(0, k - 3)) for k in range(1, 9)]


def test_so_many_at_once_and_no_more():
    store = MemoryStore()
    model = Counting(delay=lambda: 0.01)
    play(store, new_run(store), model)
    assert model.most_at_once == 3


@pytest.mark.parametrize("kill", range(1, 16, 2))
def test_a_killed_run_goes_on_to_the_same_end(kill):
    whole, _ = play(store := MemoryStore(), new_run(store), Counting())
    store = MemoryStore()
    run = new_run(store)
    calls = 0

    def act(requests):
        nonlocal calls
        calls += 1
        if calls == kill:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(store, run, Counting(act=act, delay=jitter(kill)))
    again = Counting(delay=jitter(99))
    log, engine = play(store, run, again)
    assert log == whole
    engine.past.finish()
    assert len(again.asked) <= 16 - (kill - 1)  # what was answered is not asked again


def test_what_the_budget_leaves_is_handed_out_before_it_is_told_of():
    store = MemoryStore()
    log, engine = play(store, new_run(store), Counting(), rounds=20, budget=Budget(calls=9))
    assert log[-1][2] == "budget" and [number for number, _, _ in log[:-1]] == [1, 2, 3, 4]
    assert engine.ledger.spent.calls == 9


def test_a_fault_is_told_when_the_others_have_ended():
    store = MemoryStore()
    engine = engine_for(store, new_run(store), model := Counting(delay=lambda: 0.01))
    ctx = Context(engine, "m", world=ToyWorld(), policy=BASE)

    async def work(ctx, examples):
        if ctx.round == 1:
            raise InputError("round 1")
        return await ctx.answer(examples[0])

    async def go():
        async for _ in ctx.overlapping(work, 1, rounds=5, ahead=3):
            pass

    with pytest.raises(InputError, match="round 1"):
        asyncio.run(go())
    assert len(model.asked) == 2 and model.busy == 0


def test_what_the_earlier_rounds_left_is_seen_by_whoever_waits_for_them():
    def once(seed):
        store = MemoryStore()
        ctx = Context(engine_for(store, new_run(store), Counting(delay=jitter(seed))), "m", world=ToyWorld(), policy=BASE)
        known: list[int] = []

        async def start():
            await ctx.answer(ctx.world.examples("train")[0])
            return 0

        async def work(ctx, examples):
            began = len(known)
            await ctx.answer(examples[0])
            await ctx.earlier()
            seen = list(known)
            await ctx.answer(examples[1])
            assert known == seen  # nobody adds to it until this round has ended
            return ctx.round, began, seen

        async def go():
            log = []
            async for outcome in ctx.overlapping(work, 2, rounds=6, ahead=3, first=start):
                known.append(outcome and outcome[0])
                log.append(outcome)
            return log

        return asyncio.run(asyncio.wait_for(go(), 20))

    logs = [once(seed) for seed in range(4)]
    assert all(log == logs[0] for log in logs)
    assert logs[0] == [0, *((n, max(0, n - 2), list(range(n))) for n in range(1, 7))]


def test_rounds_that_nobody_takes_any_more_do_not_wait_for_ever():
    store = MemoryStore()
    engine = engine_for(store, new_run(store), Counting(delay=lambda: 0.01))
    ctx = Context(engine, "m", world=ToyWorld(), policy=BASE)
    ended = []

    async def work(ctx, examples):
        await ctx.answer(examples[0])
        await ctx.earlier()
        ended.append(ctx.round)

    async def go():
        rounds = ctx.overlapping(work, 1, rounds=5, ahead=3)
        await anext(rounds)
        await engine.settled()
        return rounds

    asyncio.run(asyncio.wait_for(go(), 20))
    assert ended == [1, 2, 3]
