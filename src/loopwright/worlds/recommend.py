"""Recommending: users tell what they have, come back, and are measured by what they had kept to themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import JsonValue

from loopwright.blocks.ranking import ndcg
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Signal
from loopwright.core.types import Trial
from loopwright.worlds.bandit import stream
from loopwright.worlds.baskets import VISITOR
from loopwright.worlds.ratings import ratings

_SPLIT, _ORDER = 0, 1


class Recommend:
    """A table of ratings as a stream; by default MovieLens-100k.

    What counts is who rated what, at least ``liked``. Of every user's items the seed holds back the share ``held``,
    rounded, and at least one where there are two. In the first ``users`` steps the users come one after the other, in
    an order drawn by the seed, without a history, and take all that is not held back. In the next as many they come
    back, are shown ``shown`` items that they have not, and say nothing; score: NDCG at ``shown`` of what was held back.
    Users of whom nothing could be held back teach and are not measured. ``data`` is a name or the path of a table, with
    ratings from ``low`` to ``high``.
    """

    name = "recommend"

    def __init__(
        self,
        data: str = "movielens-100k",
        liked: float = 4.0,
        held: float = 0.2,
        shown: int = 20,
        low: float = 1.0,
        high: float = 5.0,
    ) -> None:
        if not 0.0 < held < 1.0:
            raise InputError(f"held is the share of a user's items that is held back, above 0 and below 1; got {held:g}")
        self.table = ratings(data, low=low, high=high)
        self.has = self.table.matrix(liked)
        self.held, self.shown = held, shown
        if (self.has.sum(axis=1) < 2).all():
            raise InputError(f"no user in {data} has two items rated at least {liked:g}: there is nothing to measure on")
        self.users = len(self.has)
        self.steps = 2 * self.users
        self.spec: Mapping[str, JsonValue] = {"items": self.has.shape[1], "shown": shown}
        self._drawn = lru_cache(maxsize=4)(self._draw)

    def _draw(self, seed: int) -> tuple[np.ndarray, list[np.ndarray], list[frozenset[int]]]:
        """(order of the users, what each shows, what each holds back)."""
        rng = stream(seed, _SPLIT)
        shown, kept = [], []
        for row in self.has:
            items = rng.permutation(np.flatnonzero(row))
            number = max(round(self.held * len(items)), 1) if len(items) > 1 else 0
            kept.append(frozenset(items[:number].tolist()))
            shown.append(np.sort(items[number:]))
        return stream(seed, _ORDER).permutation(self.users), shown, kept

    def user(self, seed: int, t: int) -> int:
        return int(self._drawn(seed)[0][t % self.users])

    def context(self, seed: int, t: int) -> dict[str, JsonValue]:
        user = self.user(seed, t)
        history = [] if t < self.users else self._drawn(seed)[1][user].tolist()
        return {"user": self.table.user_names[user], "history": history}

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        if t >= self.users:
            return Signal(event="left", value=0.0, by=VISITOR)
        items = self._drawn(seed)[1][self.user(seed, t)]
        return Signal(event="taken", items=tuple(str(i) for i in items), by=VISITOR)

    def score(self, seed: int, t: int, trial: Trial) -> float | None:
        """NDCG of the ranking; None while users tell what they have, and of users who hold nothing back."""
        wanted = self._drawn(seed)[2][self.user(seed, t)]
        if t < self.users or not wanted:
            return None
        ranking: Any = trial.proposal
        return ndcg(ranking, wanted, self.shown)
