"""Small worlds, models and runs for the tests of the core."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.feedback import Cost, Feedback, Score
from loopwright.core.model import Reply, Request, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.store import RunRow, Store
from loopwright.core.types import Budget, Candidate, Example, Rollout, Turn, digest
from loopwright.store import MemoryStore

BASE = Candidate(parts={"prompt": {"instruction": "be brief"}})


def request(text: str, *, n: int = 1, temperature: float = 1.0, max_tokens: int = 8) -> Request:
    return Request(
        turns=(Turn(role="user", text=text),), n=n, sampling=Sampling(temperature=temperature, max_tokens=max_tokens)
    )


class Counting:
    """Answers with a digest of the request and its seed, after a delay; counts every sequence it is asked for.

    act: called with each batch before it is answered; may raise.
    """

    name = "counting"
    fingerprint = "counting-1"

    def __init__(
        self,
        *,
        batch_rows: int = 0,
        delay: Callable[[], float] = lambda: 0.0,
        act: Callable[[Sequence[Request]], None] = lambda requests: None,
        say: Callable[[Request, int], str] | None = None,
        cost: Cost | None = None,
    ) -> None:
        self.batch_rows = batch_rows
        self.delay = delay
        self.act = act
        self.say = say or (lambda request, i: digest([request.turns[-1].text, request.seed, i])[:8])
        self.price = cost or Cost(calls=1, prompt_tokens=2, completion_tokens=2, money=0.25)
        self.asked: list[Request] = []
        self.batches: list[list[str]] = []
        self.busy = 0
        self.most_at_once = 0

    async def generate(self, requests: Sequence[Request]) -> list[Reply]:
        self.batches.append([r.turns[-1].text for r in requests])
        self.asked += requests
        self.busy += 1
        self.most_at_once = max(self.most_at_once, self.busy)
        try:
            await asyncio.sleep(self.delay())
            self.act(requests)
            return [
                Reply(
                    choices=tuple(Turn(role="assistant", text=self.say(r, i), finish="stop") for i in range(r.n)),
                    cost=self.price,
                )
                for r in requests
            ]
        finally:
            self.busy -= 1

    def estimate(self, request: Request) -> Cost:
        price = self.price
        return price.model_copy(update={"completion_tokens": price.completion_tokens + request.sampling.max_tokens})

    async def close(self) -> None:
        return None


def jitter(seed: int, most: float = 0.004) -> Callable[[], float]:
    rng = random.Random(seed)
    return lambda: rng.uniform(0.0, most)


def new_run(store: Store, *, seed: int = 0, budget: dict[str, Any] | None = None) -> RunRow:
    return store.create_run({"test": True}, seed=seed, budget=budget or {}, code_version="1")


def engine_for(store: Store, run: RunRow, model: Any, *, budget: Budget | None = None, **more: Any) -> Engine:
    ledger = Ledger(budget or Budget())
    return Engine(store=store, run=run, ledger=ledger, models={"policy": model}, **more)


async def exact(rollout: Rollout, ctx: Context) -> Feedback:
    return Score(value=float(rollout.output == rollout.example.target))


@dataclass
class ToyWorld:
    """Questions whose answer is the question doubled."""

    name: str = "toy"
    fingerprint: str = "toy-1"
    prompt: Prompt = field(default_factory=Prompt)
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=8))
    checker: Any = exact
    critics: Sequence[Any] = ()
    tools: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=lambda: {"train": 8, "gate": 6, "test": 4})

    def examples(self, split: str) -> list[Example]:
        return [
            Example(id=f"{split}{i}", input=f"{split} {i}", target=f"{split} {i}" * 2) for i in range(self.sizes.get(split, 0))
        ]


def context(
    engine: Engine | None = None, *, model: Any = None, world: Any = None, scope: str = "top", **more: Any
) -> Context:
    if engine is None:
        store = MemoryStore()
        engine = engine_for(store, new_run(store), model or Counting())
    return Context(engine, scope, world=world or ToyWorld(), policy=more.pop("policy", BASE), **more)
