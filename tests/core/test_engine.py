"""The engine: an effect is done once, and a run that is driven again comes to the same end whatever the timing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from core_kit import Counting, engine_for, jitter, new_run, request

from loopwright.core.engine import Engine
from loopwright.core.errors import (
    BadOutput,
    BudgetExhausted,
    Diverged,
    ModelUnavailable,
    Paused,
    QuotaExhausted,
    StoreFull,
)
from loopwright.core.feedback import FREE, Cost
from loopwright.core.model import Reply, Request
from loopwright.core.store import CacheRow, EffectRow, RunRow, Store
from loopwright.core.types import Budget
from loopwright.store import MemoryStore

Job = Callable[[Engine], Awaitable[Any]]
SHAPES = pytest.mark.parametrize("rows", [0, 4], ids=["one by one", "waves"])


def drive(job: Job, store: Store, run: RunRow, model: Any, **more: Any) -> tuple[Any, Engine]:
    """One process's worth of driving: a fresh engine on the store."""
    engine = engine_for(store, run, model, **more)

    async def whole() -> Any:
        async with asyncio.timeout(20):  # a deadlock fails here instead of hanging the suite
            result = await job(engine)
        engine.past.finish()
        return result

    return asyncio.run(whole()), engine


async def say(engine: Engine, scope: str, text: str, **more: Any) -> str:
    reply = await engine.generate(scope, "policy", request(text, **more), summary=text)
    return " ".join(turn.text for turn in reply.choices)


async def work(engine: Engine, scope: str, log: list[str] | None = None) -> bytes:
    async def perform() -> tuple[bytes, Cost]:
        if log is not None:
            log.append(scope)
        await asyncio.sleep(0.001)
        return scope.encode(), FREE

    return await engine.effect(scope, "work", scope, perform, summary=f"work in {scope}")


async def mixed(engine: Engine) -> list[Any]:
    """Several coroutines that mix model calls, direct effects and store writes, in chains of different lengths."""

    async def chain(i: int) -> list[Any]:
        scope, made = f"job/{i}", []
        for step in range(1 + i % 4):
            made.append(await say(engine, scope, f"q{i % 3}.{step}", n=1 + i % 2))
            if (i + step) % 2:
                made.append(await work(engine, f"{scope}/{step}"))
            if i % 3 == 0:
                await engine.event("note", f"{i}.{step}", i=i)
        return made

    return await asyncio.gather(*(chain(i) for i in range(9)))


# ---- replay -----------------------------------------------------------------------------------------------------------


@SHAPES
def test_replay_answers_everything_and_executes_nothing(rows: int) -> None:
    store = MemoryStore()
    run, model, again = new_run(store), Counting(batch_rows=rows), Counting(batch_rows=rows)
    first, done = drive(mixed, store, run, model)
    second, replayed = drive(mixed, store, run, again, cache=False)
    assert second == first
    assert again.asked == []
    assert (done.past.replayed, replayed.executed) == (0, 0)
    assert replayed.past.replayed == len(list(store.effects(run.id))) > 20
    assert replayed.ledger.spent.calls == done.ledger.spent.calls > 0


@SHAPES
def test_the_result_is_the_same_whatever_the_latencies(rows: int) -> None:
    def outcome(seed: int) -> tuple[Any, list[Any], list[list[str]]]:
        store = MemoryStore()
        model = Counting(batch_rows=rows, delay=jitter(seed))
        result, _ = drive(mixed, store, new_run(store), model)
        rows_ = sorted((e.key, e.status, e.result) for e in store.effects(store.runs()[0].id))
        return result, rows_, model.batches if rows else sorted(model.batches)

    first = outcome(0)
    for seed in range(1, 6):
        assert outcome(seed) == first


@SHAPES
def test_killed_anywhere_a_run_comes_to_the_same_end(rows: int) -> None:
    """Every prefix of what was written is a moment at which the process could have died."""
    whole = MemoryStore()
    written: list[tuple[Any, ...]] = []
    write = whole.write

    async def spy(batch: Sequence[Any]) -> None:
        written.append(tuple(batch))
        await write(batch)

    whole.write = spy  # type: ignore[method-assign]
    run = new_run(whole)
    model = Counting(batch_rows=rows, delay=jitter(3))
    expected, engine = drive(mixed, whole, run, model)
    for cut in random.Random(4).sample(range(len(written)), 12):
        store = MemoryStore()
        store._runs[run.id] = run
        for batch in written[:cut]:
            asyncio.run(store.write(batch))
        done = sum(len(b) for b in batches_of(written[:cut]))
        rest = Counting(batch_rows=rows, delay=jitter(cut))
        result, _ = drive(mixed, store, run, rest)
        assert result == expected
        if rows:
            assert model.batches[-len(rest.batches) :] == rest.batches or not rest.batches
        else:
            assert len(rest.asked) == len(model.asked) - done
    assert engine.past.presumed == 0


def batches_of(written: Sequence[Sequence[Any]]) -> list[list[EffectRow]]:
    found = [[r for r in b if isinstance(r, EffectRow) and r.kind == "generate" and r.status == "done"] for b in written]
    return [batch for batch in found if batch]


def test_the_same_question_in_one_scope_is_asked_as_often_as_it_is_asked() -> None:
    async def job(engine: Engine) -> list[str]:
        return [await say(engine, "s", "again") for _ in range(3)] + [await say(engine, "t", "again")]

    store, model = MemoryStore(), Counting()
    run = new_run(store)
    first, _ = drive(job, store, run, model)
    assert len(set(first)) == 4  # each has a seed of its own
    assert len(model.asked) == 4
    assert drive(job, store, run, Counting())[0] == first


def test_greedy_calls_share_a_seed_and_the_cache() -> None:
    async def job(engine: Engine) -> list[str]:
        return [await say(engine, scope, "greedy", temperature=0.0) for scope in "ab"]

    store, model = MemoryStore(), Counting()
    (a, b), _ = drive(job, store, new_run(store), model)
    assert a == b
    assert len(model.asked) == 1


# ---- divergence -------------------------------------------------------------------------------------------------------


@SHAPES
def test_a_changed_recipe_is_found_before_anything_is_paid(rows: int) -> None:
    async def before(engine: Engine) -> None:
        await say(engine, "improve/round3/17", "what was asked")

    async def after(engine: Engine) -> None:
        await say(engine, "improve/round3/17", "what is asked now")

    store, model = MemoryStore(), Counting(batch_rows=rows)
    run = new_run(store)
    drive(before, store, run, model)
    rest = Counting(batch_rows=rows)
    with pytest.raises(Diverged) as caught:
        drive(after, store, run, rest)
    message = str(caught.value)
    assert "diverged in improve, round3, 17: recorded generate 'what was asked', asked 'what is asked now'" in message
    assert rest.asked == []


def test_an_effect_that_nobody_asks_for_any_more_is_divergence() -> None:
    async def before(engine: Engine) -> None:
        await say(engine, "s", "one")
        await say(engine, "s", "two")

    async def after(engine: Engine) -> None:
        await say(engine, "s", "one")

    store = MemoryStore()
    run = new_run(store)
    drive(before, store, run, Counting())
    with pytest.raises(Diverged, match="recorded generate 'two', asked 'nothing more'"):
        drive(after, store, run, Counting())


@SHAPES
@pytest.mark.parametrize("missing", range(5))
def test_concurrent_effects_of_one_scope_may_be_recorded_in_part(rows: int, missing: int) -> None:
    async def job(engine: Engine) -> list[str]:
        async def late(i: int) -> str:
            for _ in range(3 * i):  # asked in different turns of the event loop
                await asyncio.sleep(0)
            return await say(engine, "shared", f"q{i}")

        return await asyncio.gather(*(late(i) for i in range(5)))

    whole = MemoryStore()
    run = new_run(whole)
    expected, _ = drive(job, whole, run, Counting(batch_rows=rows))
    store = MemoryStore()
    store._runs[run.id] = run
    effects = list(whole.effects(run.id))
    asyncio.run(store.write([e for i, e in enumerate(effects) if i != missing]))
    rest = Counting(batch_rows=rows)
    assert drive(job, store, run, rest)[0] == expected
    assert len(rest.asked) == 1


# ---- failures ---------------------------------------------------------------------------------------------------------


def failing_first(error: Exception) -> Callable[[Sequence[Request]], None]:
    left = [error]

    def act(requests: Sequence[Request]) -> None:
        if left:
            raise left.pop()

    return act


@SHAPES
def test_a_lasting_failure_is_replayed_as_it_was(rows: int) -> None:
    async def job(engine: Engine) -> str:
        try:
            return await say(engine, "s", "q")
        except BadOutput as error:
            return f"{error.kind}: {error}"

    store = MemoryStore()
    run = new_run(store)
    first, _ = drive(job, store, run, Counting(batch_rows=rows, act=failing_first(BadOutput("a: b", kind="empty"))))
    assert first == "empty: a: b"
    rest = Counting(batch_rows=rows)
    assert drive(job, store, run, rest)[0] == first
    assert rest.asked == []


@SHAPES
@pytest.mark.parametrize("error", [ModelUnavailable("down", kind="connection"), QuotaExhausted("pay first")])
def test_a_passing_failure_is_tried_again_by_the_next_process(rows: int, error: Exception) -> None:
    async def job(engine: Engine) -> str:
        return await say(engine, "s", "q")

    store = MemoryStore()
    run = new_run(store)
    with pytest.raises(type(error), match=str(error)):
        drive(job, store, run, Counting(batch_rows=rows, act=failing_first(error)))
    assert drive(job, store, run, Counting(batch_rows=rows))[0]
    assert [e.status for e in store.effects(run.id)] == ["done"]


@SHAPES
def test_after_a_dead_model_the_calls_that_wait_are_not_made(rows: int) -> None:
    def dead(requests: Sequence[Request]) -> None:
        raise ModelUnavailable("down", kind="connection")

    async def job(engine: Engine) -> list[Any]:
        return await asyncio.gather(*(say(engine, f"s{i}", "q") for i in range(40)), return_exceptions=True)

    model = Counting(batch_rows=rows, act=dead)
    store = MemoryStore()
    results, _ = drive(job, store, new_run(store), model, budget=Budget(calls=4))
    kinds = [type(r) for r in results]
    assert kinds.count(ModelUnavailable) <= 4
    assert set(kinds) == {ModelUnavailable, Paused}
    assert len(model.batches) <= 4


@SHAPES
@pytest.mark.parametrize("error", [ModelUnavailable("down"), ValueError("a bug in the model"), BadOutput("x", kind="y")])
def test_an_exception_in_the_model_reaches_every_waiter(rows: int, error: Exception) -> None:
    def always(requests: Sequence[Request]) -> None:
        raise error

    async def job(engine: Engine) -> list[Any]:
        return await asyncio.gather(*(say(engine, f"s{i}", "q") for i in range(7)), return_exceptions=True)

    store = MemoryStore()
    results, _ = drive(job, store, new_run(store), Counting(batch_rows=rows, act=always))
    assert {type(r) for r in results} <= {type(error), Paused}
    assert len(results) == 7


@SHAPES
def test_a_store_that_fails_while_a_failure_is_written_leaves_nobody_waiting(rows: int) -> None:
    def always(requests: Sequence[Request]) -> None:
        raise ModelUnavailable("down")

    async def job(engine: Engine) -> list[Any]:
        return await asyncio.gather(*(say(engine, f"s{i}", "q") for i in range(6)), return_exceptions=True)

    store = MemoryStore()
    run, write = new_run(store), store.write

    async def full(batch: Sequence[Any]) -> None:
        if any(getattr(r, "status", "") == "failed" for r in batch):
            raise StoreFull("no space left")
        await write(batch)

    store.write = full  # type: ignore[method-assign]
    results, _ = drive(job, store, run, Counting(batch_rows=rows, act=always))
    assert {type(r) for r in results} <= {StoreFull, Paused}
    assert StoreFull in {type(r) for r in results}


@SHAPES
def test_a_waiter_that_was_cancelled_does_not_disturb_the_others(rows: int) -> None:
    async def job(engine: Engine) -> str:
        first = asyncio.create_task(say(engine, "a", "qa"))
        second = asyncio.create_task(say(engine, "b", "qb"))
        await asyncio.sleep(0.002)
        first.cancel()
        return await second

    store = MemoryStore()
    model = Counting(batch_rows=rows, delay=lambda: 0.02)
    engine = engine_for(store, new_run(store), model, budget=Budget(calls=5))
    assert asyncio.run(asyncio.wait_for(job(engine), 20))
    assert engine.ledger._held == {}


# ---- what was paid ----------------------------------------------------------------------------------------------------


def test_a_call_in_flight_at_the_kill_is_presumed_spent_and_told() -> None:
    async def job(engine: Engine) -> str:
        return await say(engine, "s", "q")

    store, told = MemoryStore(), []
    run = new_run(store)
    killed = Counting()

    class Killed(BaseException):
        pass

    def die(requests: Sequence[Request]) -> None:
        raise Killed

    killed.act = die
    with pytest.raises(Killed):
        drive(job, store, run, killed)
    (row,) = store.effects(run.id)
    assert (row.status, row.cost.calls, row.cost.completion_tokens) == ("open", 1, 10)

    _, engine = drive(job, store, run, Counting(), notify=lambda type, payload: told.append(type))
    assert engine.past.presumed == 1
    assert "presumed-spent" in told
    assert engine.ledger.spent.calls == 2  # the one that may have been paid, and the one that was made again
    (row,) = store.effects(run.id)
    assert (row.status, row.attempt) == ("done", 2)
    _, later = drive(job, store, run, Counting())
    assert later.ledger.spent.calls == 2, "a later resume forgot the presumed spending"
    assert later.ledger.spent.tokens == engine.ledger.spent.tokens
    assert later.past.presumed == 1, "a later resume forgot what the report has to tell"


def test_an_unusable_answer_was_paid_for() -> None:
    def useless(requests: Sequence[Request]) -> None:
        raise BadOutput("nothing in it", kind="empty")

    async def job(engine: Engine) -> list[Any]:
        return [await asyncio.gather(say(engine, f"s{i}", "q"), return_exceptions=True) for i in range(8)]

    store, model = MemoryStore(), Counting(act=useless)
    results, engine = drive(job, store, new_run(store), model, budget=Budget(calls=3))
    assert len(model.asked) == 3
    assert [type(r) for (r,) in results] == [BadOutput] * 3 + [BudgetExhausted] * 5
    assert engine.ledger.spent.calls == 3


# ---- the cache --------------------------------------------------------------------------------------------------------


@SHAPES
def test_a_run_with_the_same_seed_pays_nothing_again_and_another_seed_does(rows: int) -> None:
    store = MemoryStore()
    first, _ = drive(mixed, store, new_run(store, seed=1), Counting(batch_rows=rows))
    same, other, off = (Counting(batch_rows=rows) for _ in range(3))
    assert drive(mixed, store, new_run(store, seed=1), same)[0] == first
    assert same.asked == []
    assert drive(mixed, store, new_run(store, seed=2), other)[0] != first
    assert drive(mixed, store, new_run(store, seed=1), off, cache=False)[0] == first
    assert len(off.asked) == len(other.asked) > 10


def test_the_cache_belongs_to_one_model() -> None:
    async def job(engine: Engine) -> str:
        return await say(engine, "s", "q")

    store, other = MemoryStore(), Counting()
    other.fingerprint = "counting-2"
    drive(job, store, new_run(store), Counting())
    drive(job, store, new_run(store), other)
    assert len(other.asked) == 1


# ---- waves ------------------------------------------------------------------------------------------------------------


def test_a_wave_is_sorted_by_scope_and_cut_by_rows() -> None:
    async def job(engine: Engine) -> None:
        order = [5, 2, 7, 0, 3, 6, 1, 4]
        await asyncio.gather(*(say(engine, f"s{i}", f"q{i}", n=2) for i in order), say(engine, "s8", "q8", n=9))

    store, model = MemoryStore(), Counting(batch_rows=5)
    drive(job, store, new_run(store), model)
    assert model.batches == [["q0", "q1"], ["q2", "q3"], ["q4", "q5"], ["q6", "q7"], ["q8"]]


def test_a_chunk_is_recorded_in_one_transaction() -> None:
    async def job(engine: Engine) -> None:
        await asyncio.gather(*(say(engine, f"s{i}", f"q{i}") for i in range(7)))

    store, sizes = MemoryStore(), []
    write = store.write

    async def spy(batch: Sequence[Any]) -> None:
        sizes.append((sum(isinstance(r, EffectRow) for r in batch), sum(isinstance(r, CacheRow) for r in batch)))
        await write(batch)

    store.write = spy  # type: ignore[method-assign]
    drive(job, store, new_run(store), Counting(batch_rows=3))
    assert sizes == [(3, 3), (3, 3), (1, 1)]


def test_a_cap_smaller_than_the_estimates_of_a_wave_does_not_end_the_run() -> None:
    """The estimates of a whole wave may be far above what it takes; those that do not fit wait for the others."""

    async def job(engine: Engine) -> list[str]:
        return await asyncio.gather(*(say(engine, f"s{i}", f"q{i}", max_tokens=50) for i in range(8)))

    store, model = MemoryStore(), Counting(batch_rows=8)
    results, engine = drive(job, store, new_run(store), model, budget=Budget(tokens=130))
    assert len(results) == 8
    assert engine.ledger.spent.tokens == 32
    assert max(len(b) for b in model.batches) == 2


def test_effects_that_take_long_hold_the_wave_back() -> None:
    async def job(engine: Engine) -> None:
        async def slow(i: int) -> None:
            async def perform() -> tuple[bytes, Cost]:
                await asyncio.sleep(0.01 * i)
                return b"", FREE

            await engine.effect(f"s{i}", "slow", i, perform, summary="slow")
            await say(engine, f"s{i}", f"q{i}")

        await asyncio.gather(*(slow(i) for i in range(4)))

    store, model = MemoryStore(), Counting(batch_rows=16)
    drive(job, store, new_run(store), model)
    assert model.batches == [["q0", "q1", "q2", "q3"]]


@SHAPES
def test_random_mixtures_end(rows: int) -> None:
    """No deadlock, whatever mixes waves, direct effects, writes and reservations that have to wait."""
    for seed in range(12):
        rng = random.Random(seed)
        plan = [[rng.choice("gwer") for _ in range(rng.randrange(1, 6))] for _ in range(rng.randrange(2, 12))]

        async def chain(engine: Engine, i: int, steps: Sequence[str]) -> None:
            async def pay() -> tuple[bytes, Cost]:
                await asyncio.sleep(0.0005)
                return b"x", Cost(calls=1)

            for j, step in enumerate(steps):
                if step == "g":
                    await say(engine, f"c{i}", f"{i}.{j}")
                elif step == "w":
                    await work(engine, f"c{i}/{j}")
                elif step == "e":
                    await engine.event("e", f"{i}.{j}")
                else:
                    scope, estimate = f"c{i}/r{j}", Cost(calls=1, prompt_tokens=30)
                    await engine.effect(scope, "pay", j, pay, summary="pay", estimate=estimate, paid=True)

        async def job(engine: Engine, plan: list[list[str]] = plan) -> None:
            await asyncio.gather(*(chain(engine, i, steps) for i, steps in enumerate(plan)))

        store = MemoryStore()
        run = new_run(store)
        budget = Budget(calls=200, tokens=1200)
        drive(job, store, run, Counting(batch_rows=rows, delay=jitter(seed, 0.001)), budget=budget)
        rest = Counting(batch_rows=rows)
        drive(job, store, run, rest, budget=budget)
        assert rest.asked == []


# ---- stopping ---------------------------------------------------------------------------------------------------------


@SHAPES
def test_stop_finishes_what_is_in_flight_and_starts_nothing(rows: int) -> None:
    """What was paid for is recorded, and the rest is done by the next process."""

    async def chain(engine: Engine, i: int) -> list[str]:
        return [await say(engine, f"s{i}", f"{i}.{j}") for j in range(5)]

    async def job(engine: Engine) -> list[list[str]]:
        return await asyncio.gather(*(chain(engine, i) for i in range(4)))

    async def stopped(engine: Engine) -> list[Any]:
        def stop(requests: Sequence[Request]) -> None:
            if len(model.asked) >= 7:
                engine.stop("interrupted")

        model.act = stop
        return await asyncio.gather(*(chain(engine, i) for i in range(4)), return_exceptions=True)

    store = MemoryStore()
    run = new_run(store)
    model = Counting(batch_rows=rows, delay=jitter(1))
    results, _ = drive(stopped, store, run, model)
    assert {(type(r), str(r)) for r in results} == {(Paused, "interrupted")}
    done = [e for e in store.effects(run.id) if e.status == "done"]
    assert len(done) == len(model.asked) < 20
    assert all(e.status != "open" for e in store.effects(run.id))
    rest = Counting(batch_rows=rows)
    result, engine = drive(job, store, run, rest)
    assert len(rest.asked) == 20 - len(done)
    assert engine.past.presumed == 0
    clean = MemoryStore()
    assert result == drive(job, clean, new_run(clean), Counting(batch_rows=rows))[0]


def test_replay_goes_on_after_a_stop_but_nothing_new_begins() -> None:
    async def job(engine: Engine) -> str:
        engine.stop("interrupted")
        return await say(engine, "s", "q")

    async def before(engine: Engine) -> str:
        return await say(engine, "s", "q")

    store = MemoryStore()
    run = new_run(store)
    expected, _ = drive(before, store, run, Counting())
    assert drive(job, store, run, Counting())[0] == expected
    with pytest.raises(Paused):
        drive(job, store, new_run(store, seed=9), Counting())


def test_a_reply_comes_back_whole() -> None:
    kept: list[Reply] = []

    async def job(engine: Engine) -> Reply:
        return await engine.generate("s", "judge", request("q", n=3), summary="q")

    store = MemoryStore()
    run = new_run(store)
    for _ in range(2):
        reply, _ = drive(job, store, run, Counting())
        kept.append(reply)
    assert kept[0] == kept[1]
    assert len(kept[0].choices) == 3
