"""Monitors of a round and stop rules: told with the round, decided once, the same after a resume."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from core_kit import BASE, Counting, context, engine_for, new_run

from loopwright.core import loop
from loopwright.core.context import Context
from loopwright.core.registry import improver
from loopwright.core.types import Candidate
from loopwright.store import MemoryStore


@improver(improves="prompt", needs=("model", "critic"), learns_from=("score",))
async def steady(base: Candidate, ctx: Context, *, rounds: int = 5) -> AsyncGenerator[Candidate, bool]:
    """Two rollouts a round, and an offer at the end."""
    begun = 0
    async for examples in ctx.batches(2, rounds=rounds):
        begun += 1
        await ctx.rollout(base, examples)
        await ctx.rollout(base, examples, n=3)
    yield base.child(note=f"{begun} rounds", program=str(begun))


def drive(store: MemoryStore, row: Any, **hooks: Any) -> str:
    """The note of what was offered."""
    engine = engine_for(store, row, Counting(), **hooks)
    offered: list[Candidate] = []

    async def offer(candidate: Candidate) -> bool:
        offered.append(candidate)
        return False

    asyncio.run(loop.improve(steady, BASE, context(engine, recipe=steady), offer, {}))
    engine.past.finish()
    return offered[-1].note


def test_without_hooks_nothing_is_watched_and_nothing_stops() -> None:
    store = MemoryStore()
    row = new_run(store)
    assert drive(store, row) == "5 rounds"
    events = store.events(row.id)
    assert [e.payload["monitors"] for e in events if e.type == "round"] == [{}] * 10
    assert not [e for e in events if e.type == "stop"]


def test_a_rule_ends_the_rounds_and_a_resume_agrees() -> None:
    store = MemoryStore()
    row = new_run(store)
    seen: list[Mapping[str, float]] = []

    def halt(figures: Mapping[str, float]) -> str:
        seen.append(dict(figures))
        return "too many" if len(seen) == 3 else ""

    assert drive(store, row, watch=lambda rollouts: {"n": len(rollouts)}, halt=halt) == "2 rounds"
    assert seen == [{}, {"n": 4.0}, {"n": 4.0}]  # before the first round there is nothing; then the mean of 2 and 6
    (stop,) = [e.payload for e in store.events(row.id) if e.type == "stop"]
    assert stop == {"by": "steady", "round": 2, "reason": "too many"}

    def never(figures: Mapping[str, float]) -> str:
        pytest.fail("a recorded decision was made again")

    assert drive(store, row, halt=never) == "2 rounds"
    assert len([e for e in store.events(row.id) if e.type == "stop"]) == 1
