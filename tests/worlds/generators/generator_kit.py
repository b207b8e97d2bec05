"""A recipe run on a world of generators, and the models that it offers."""

from __future__ import annotations

import asyncio
from typing import Any

from loopwright.blocks.convert import convert
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate
from loopwright.core.world import start
from loopwright.store.memory import MemoryStore


class Bench:
    """``make`` is given the blobs and gives the model."""

    def __init__(self, world: Any, make: Any, *, seed: int = 0) -> None:
        self.store = MemoryStore()
        self.model = make(self.store.blobs)
        row = self.store.create_run({}, seed=seed, budget={}, code_version="0")
        self.engine = Engine(
            store=self.store, run=row, ledger=Ledger(Budget()), models={"policy": self.model}, convert=convert, cache=False
        )
        self.world = world
        self.ctx = Context(self.engine, "t", world=world, policy=start(world))

    def run(self, slug: str, **options: Any) -> list[Candidate]:
        recipe = get_recipe(slug)
        offered: list[Candidate] = []

        async def offer(candidate: Candidate) -> bool:
            offered.append(candidate)
            return True

        asyncio.run(loop.improve(recipe, self.ctx.policy, self.ctx.at("improve", recipe=recipe), offer, options))
        return offered

    def figure(self, candidate: Candidate) -> float:
        return asyncio.run(self.world.figure(candidate, self.ctx.at(f"figure.{candidate.hash[:12]}", split="test")))

    def score(self, candidate: Candidate) -> float:
        made = asyncio.run(self.ctx.at(f"score.{candidate.hash[:12]}", split="test").evaluate(candidate))
        return sum(r.score or 0.0 for r in made) / len(made)
