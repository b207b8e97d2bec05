"""A generator of arrays as a model: the part that all of them share, from requests to replies and from jobs to blobs."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from loopwright.core.errors import InputError, StoreCorrupt
from loopwright.core.extras import require
from loopwright.core.feedback import Cost
from loopwright.core.model import Blobs, FitJob, Fitted, Pair, Reading, Reply, Request, Sample
from loopwright.core.types import Turn
from loopwright.worlds.generators.arrays import Array, from_text, from_tokens, to_text, to_token

WAVE = 256  # samples that are drawn at once
ANY = (-math.inf, math.inf)


class Drawn(NamedTuple):
    """n samples: all their states [n, T, D], the last of which is the answer, and the log-density of each [n, T] or none."""

    states: Array
    logprobs: Array | None = None


class Lesson(NamedTuple):
    """What one fit learns from. states: [n][T, D], as they were drawn; of a demonstration T is 1."""

    conditions: Array  # [n, c] float32
    states: tuple[Array, ...]
    samples: tuple[Sample, ...]


class Learned(NamedTuple):
    weights: Array  # [p]
    stats: dict[str, float]
    state: bytes | None = None  # of the optimiser, where the job keeps it


class Network(Protocol):
    """What differs from one generator to another. Weights are one vector [p] of float32 or float64.

    size: D, how many numbers an answer has. conditions: c, how many a prompt has. steps: T of an answer that it drew. bounds:
    between which an answer is shown; the states that are trained on are as they were drawn.
    """

    size: int
    conditions: int
    steps: int
    bounds: tuple[float, float]

    def start(self) -> Array:
        """The weights to begin with; every call gives the same."""
        ...

    def condition(self, question: str) -> Array:
        """[c] what a question comes to. Raises InputError for one that is not understood."""
        ...

    def draw(self, weights: Array, conditions: Array, noise: Sequence[np.random.Generator]) -> Drawn:
        """A sample for each row of conditions [n, c], from noise of its own."""
        ...

    def fit(self, weights: Array, lesson: Lesson, job: FitJob, references: dict[str, Array], state: bytes | None) -> Learned:
        """Weights fitted from these on. references: by the name that the loss reads."""
        ...

    def read(self, weights: Array, lesson: Lesson, what: Reading) -> Sequence[Sequence[float]]:
        """See ``core.model.Trainable.forward``. Raises InputError for what cannot be read of this generator."""
        ...


class Generator:
    """Implements ``core.model.Model`` and ``core.model.Trainable``.

    A question is the last thing that a user said; what the system says is not heard. Temperature, stop strings and
    limits of length mean nothing here. An answer is JSON text, a list of numbers, and its tokens are the states it went
    through. Of FitOptions those of LoRA adapters have no meaning: all weights are fitted.
    """

    batch_rows = WAVE

    def __init__(self, blobs: Blobs, network: Callable[[], Network], *, name: str, fingerprint: str) -> None:
        require("torch")
        self.name = name
        self.fingerprint = fingerprint
        self._blobs = blobs
        self._make = network
        self._made: Network | None = None

    @property
    def network(self) -> Network:
        """Made on first use: some must be trained, or read from a file, first."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def weights(self, adapter: str | None) -> Array:
        """Those of a blob, or the ones to begin with. Raises StoreCorrupt for a blob of another model."""
        start = self.network.start()
        if adapter is None:
            return start
        raw = self._blobs.get(adapter)
        if len(raw) != start.nbytes:
            raise StoreCorrupt(f"the weights {adapter[:12]} have {len(raw)} bytes, those of {self.name} {start.nbytes}")
        return np.frombuffer(raw, dtype=start.dtype).copy()

    async def generate(self, requests: Sequence[Request]) -> Sequence[Reply]:
        return await asyncio.to_thread(self._generate, requests) if requests else []

    def _generate(self, requests: Sequence[Request]) -> list[Reply]:
        begun = time.perf_counter()
        prompts = [self._condition(request.turns) for request in requests]
        choices: list[list[Turn]] = [[] for _ in requests]
        for adapter in dict.fromkeys(request.adapter for request in requests):
            mine = [(i, k) for i, r in enumerate(requests) if r.adapter == adapter for k in range(r.n)]
            weights = self.weights(adapter)
            for at in range(0, len(mine), WAVE):
                part = mine[at : at + WAVE]
                noise = [np.random.default_rng([requests[i].seed % 2**64, k]) for i, k in part]
                drawn = self.network.draw(weights, np.stack([prompts[i] for i, _ in part]), noise)
                for row, (i, _) in enumerate(part):
                    choices[i].append(self._turn(prompts[i], drawn, row))
        seconds = (time.perf_counter() - begun) / len(requests)
        costs = [Cost(calls=1, prompt_tokens=1, completion_tokens=len(c) * self.network.steps, seconds=seconds) for c in choices]
        return [Reply(choices=tuple(c), cost=cost) for c, cost in zip(choices, costs, strict=True)]

    def _turn(self, condition: Array, drawn: Drawn, row: int) -> Turn:
        states = drawn.states[row]
        known = () if drawn.logprobs is None else tuple(float(x) for x in drawn.logprobs[row])
        return Turn(
            role="assistant", text=self._shown(states[-1]), prompt_ids=(to_token(condition),), finish="stop",
            token_ids=tuple(to_token(state) for state in states), logprobs=known,
        )  # fmt: skip

    def _shown(self, state: Array) -> str:
        return to_text(np.clip(state, *self.network.bounds))

    def _condition(self, turns: Sequence[Turn]) -> Array:
        asked = next((t.text for t in reversed(turns) if t.role == "user"), "")
        return self.network.condition(asked.strip())

    def estimate(self, request: Request) -> Cost:
        return Cost(calls=1, prompt_tokens=1, completion_tokens=request.n * self.network.steps)

    def prompt_ids(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        return (to_token(self._condition(turns)),)

    def answer_ids(self, text: str) -> tuple[int, ...]:
        return (to_token(from_text(text, self.network.size)),)

    def text_ends(self, token_ids: Sequence[int]) -> list[int]:
        """Only the last state is written down."""
        if not token_ids:
            return []
        last = len(self._shown(from_tokens(token_ids[-1:], self.network.size)[0]))
        return [0] * (len(token_ids) - 1) + [last]

    async def fit(self, job: FitJob) -> Fitted:
        return await asyncio.to_thread(self._fit, job)

    def _fit(self, job: FitJob) -> Fitted:
        begun = time.perf_counter()
        if isinstance(job.data[0], Pair):
            raise InputError(f"{self.name} is fitted on samples, not on pairs: take a method that learns from scores")
        lesson = self._lesson(job.data)
        names = {name: {"start": job.adapter, "base": None}.get(asked, asked) for name, asked in job.references.items()}
        references = {name: self.weights(adapter) for name, adapter in names.items()}
        state = self._blobs.get(job.state) if job.state is not None else None
        learned = self.network.fit(self.weights(job.adapter), lesson, job, references, state)
        cost = Cost(calls=1, prompt_tokens=sum(len(s) for s in lesson.states) * job.epochs, seconds=time.perf_counter() - begun)
        return Fitted(
            adapter=self._blobs.put(learned.weights.astype(self.network.start().dtype).tobytes()),
            state=self._blobs.put(learned.state) if learned.state is not None else None,
            stats={**learned.stats, "samples": float(len(job.data))}, cost=cost,
        )  # fmt: skip

    async def forward(self, samples: Sequence[Sample], what: Reading, adapter: str | None) -> Sequence[Sequence[float]]:
        if not samples:
            return []
        return await asyncio.to_thread(lambda: self.network.read(self.weights(adapter), self._lesson(samples), what))

    def _lesson(self, samples: Sequence[Sample]) -> Lesson:
        size, width = self.network.size, self.network.conditions
        prompts = [from_tokens(sample.prompt_ids[-1:] or (0,), width)[0] for sample in samples]
        return Lesson(np.stack(prompts), tuple(from_tokens(s.token_ids, size) for s in samples), tuple(samples))

    async def close(self) -> None:
        self._made = None


def cannot_read(what: str, can: str) -> InputError:
    return InputError(f"this generator cannot be asked for {what}; it tells {can}")


def named(parts: Sequence[str | int | float | Array]) -> str:
    """A fingerprint of what decides a generator's answers."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.tobytes() if isinstance(part, np.ndarray) else f"{part!r} ".encode())
    return found.hexdigest()


def batches(count: int, size: int, epochs: int, seed: int) -> list[Array]:
    """Which units each optimiser step takes: all of them once an epoch, in an order of its own. size 0: all at once."""
    size = size or count
    orders = [np.random.default_rng([seed % 2**64, epoch]).permutation(count) for epoch in range(epochs)]
    return [order[at : at + size] for order in orders for at in range(0, count, size)]
