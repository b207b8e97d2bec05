"""Visitors who have one thing and take another of its kind: for recommenders, with a truth that is known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import JsonValue

from loopwright.core.feedback import Feedback, Rater, Signal
from loopwright.core.types import Trial
from loopwright.worlds.bandit import stream

_KINDS, _VISITOR = 0, 1
VISITOR = Rater(kind="implicit", name="visitor")


class Baskets:
    """``items`` items in ``kinds`` kinds of as many each, dealt by the seed. A visitor shows one and takes another of
    its kind, or, with chance ``noise``, any other. All kinds are as frequent, so popularity is no help.

    regret: how much less likely what is taken stands on the list than on the best one of ``shown`` items.
    """

    name = "baskets"

    def __init__(self, items: int = 24, kinds: int = 4, shown: int = 4, noise: float = 0.1) -> None:
        self.items, self.kinds, self.noise = items, kinds, noise
        self.spec: Mapping[str, JsonValue] = {"items": items, "shown": shown}
        self.shown = shown
        self._kind = lru_cache(maxsize=8)(self._deal)
        self._visit = lru_cache(maxsize=64)(self._draw)

    def _deal(self, seed: int) -> np.ndarray:
        return stream(seed, _KINDS).permutation(self.items) % self.kinds

    def _draw(self, seed: int, t: int) -> tuple[int, int]:
        """(what the visitor has, what is taken)."""
        rng = stream(seed, _VISITOR, t)
        has = int(rng.integers(self.items))
        return has, int(rng.choice(self.items, p=self._chances(seed, has)))

    def _chances(self, seed: int, has: int) -> np.ndarray:
        kind = self._kind(seed)
        alike = (kind == kind[has]).astype(float)
        alike[has] = 0.0
        every = np.ones(self.items)
        every[has] = 0.0
        return np.asarray((1.0 - self.noise) * alike / alike.sum() + self.noise * every / every.sum())

    def context(self, seed: int, t: int) -> dict[str, JsonValue]:
        return {"history": [self._visit(seed, t)[0]]}

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        return Signal(event="taken", items=(str(self._visit(seed, t)[1]),), by=VISITOR)

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        chances = self._chances(seed, self._visit(seed, t)[0])
        ranking: Any = trial.proposal
        listed = {int(i) for i in ranking}
        return float(np.sort(chances)[-self.shown :].sum() - chances[list(listed)].sum())

    def blind(self, seed: int, t: int) -> float:
        """Of a list drawn from all other items."""
        chances = self._chances(seed, self._visit(seed, t)[0])
        return float(np.sort(chances)[-self.shown :].sum() - self.shown / (self.items - 1))
