"""What a fork takes over of its parent's record, and what it does anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from core_kit import BASE, Counting, ToyWorld, engine_for

from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.store import Store
from loopwright.core.types import Candidate
from loopwright.store import MemoryStore, open_store


def run_of(store: Store, parent: str = "", *, code: bool = False, seed: int = 1) -> Any:
    spec = {"parent": {"run": parent, "changed": [], "notes": [], "code": code}} if parent else {}
    return store.create_run(spec, seed=seed, budget={}, code_version="1")


async def work(engine: Engine, policy: Candidate = BASE, calls: list[str] | None = None) -> list[str]:
    """Some answers, and something that the user's own code computes."""
    made = calls if calls is not None else []
    ctx = Context(engine, "m", world=ToyWorld(), policy=policy)

    async def own() -> bytes:
        made.append("own")
        return b"own result"

    rollouts = await ctx.rollout(policy, ctx.world.examples("train"), judge=False)
    await ctx.external("check", "content", own)
    assert await ctx.more(1)
    return [r.output for r in rollouts]


@pytest.mark.parametrize("batch_rows", [0, 4])
@pytest.mark.parametrize("code", [False, True])
def test_the_same_requests_are_not_made_again(batch_rows: int, code: bool) -> None:
    store = MemoryStore()
    model = Counting(batch_rows=batch_rows)
    parent = run_of(store)
    said = asyncio.run(work(engine_for(store, parent, model, cache=False)))
    asked, own = len(model.asked), list[str]()
    fork = run_of(store, parent.id, code=code)
    engine = engine_for(store, fork, model, cache=False)
    assert asyncio.run(work(engine, calls=own)) == said
    assert len(model.asked) == asked == 8 and own == (["own"] if code else [])
    assert engine.inherited.taken == 8 + (not code) and engine.ledger.spent.calls == 0
    assert engine.origins.told()["reused"][0] == {"run": parent.id, "replies": 8, "date": "unknown date"}
    assert engine.origins.told()["fresh"] == 0
    again = engine_for(store, fork, model, cache=False)
    assert asyncio.run(work(again, calls=own)) == said and again.inherited.taken == 0, "a fork has them in its own record then"


def test_other_requests_and_other_seeds_are_made_anew() -> None:
    store = MemoryStore()
    model = Counting()
    parent = run_of(store)
    asyncio.run(work(engine_for(store, parent, model, cache=False)))
    other = Candidate(parts={"prompt": {"instruction": "be long"}})
    engine = engine_for(store, run_of(store, parent.id), model, cache=False)
    asyncio.run(work(engine, other))
    assert len(model.asked) == 16 and engine.inherited.taken == 1, "the function of its own is the same"


def test_a_fork_of_a_fork_takes_over_from_both_and_one_whose_parent_is_gone_works_on(tmp_path: Any) -> None:
    store = open_store(f"{tmp_path}/s/")
    model = Counting()
    parent = run_of(store)
    asyncio.run(work(engine_for(store, parent, model, cache=False)))
    middle = run_of(store, parent.id, code=True)
    last = run_of(store, middle.id)
    own = list[str]()
    engine = engine_for(store, last, model, cache=False)
    asyncio.run(work(engine, calls=own))
    assert len(model.asked) == 8 and engine.inherited.taken == 8
    assert own == ["own"], "code changed between the first two"
    orphan = engine_for(store, run_of(store, "0" * 20), model, cache=False)
    asyncio.run(work(orphan))
    assert len(model.asked) == 16 and orphan.inherited.taken == 0
    store.close()


def test_what_failed_is_asked_again() -> None:
    from loopwright.core.errors import BadOutput

    def refuse(requests: Any) -> None:
        raise BadOutput("nothing usable", kind="empty")

    store = MemoryStore()
    parent = run_of(store)
    said = asyncio.run(work(engine_for(store, parent, Counting(act=refuse), cache=False)))
    assert set(said) == {""}
    good = Counting()
    engine = engine_for(store, run_of(store, parent.id), good, cache=False)
    assert "" not in asyncio.run(work(engine)) and len(good.asked) == 8
