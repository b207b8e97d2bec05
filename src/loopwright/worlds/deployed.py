"""A recommender in use: it was trained once, and what people like goes on changing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Rater, Signal
from loopwright.core.types import Trial
from loopwright.worlds.bandit import on_sphere, stream
from loopwright.worlds.factors import factorise, sigmoid
from loopwright.worlds.ratings import Ratings, ratings

_TASTES, _CASE, _USERS, _ORDER, _CODES = 0, 1, 2, 3, 4
CODE = 16  # numbers in a user's code
LEAST = 1e-6  # a prediction counts as no nearer to 0 and 1 than this
VISITOR = Rater(kind="implicit", name="visitor")


class Served(NamedTuple):
    """What the model predicts and knows in every step, and what happens."""

    predicted: np.ndarray  # [steps]
    features: np.ndarray  # [steps, d]
    liked: np.ndarray  # [steps] 0 or 1


class Deployed:
    """In each step somebody meets an item, and a model that was trained before says how likely it is liked.

    data: "movielens-100k" or the path of another table of ratings with a column ``timestamp``. Each seed draws the
    share ``share`` of the users. By their earliest ratings (the share ``trained``) a logistic matrix factorisation of
    ``dimensions`` factors learns who rates what at least ``liked``; the stream is what follows, in order of time. Of
    a user who came later the model knows nothing and goes by the item. features: a code of the user, drawn by the
    seed as an embedding that was never trained, and the item's factors, each of length 1.

    together: how many users are served in turn at any time. 1 is the order of the data, in which a user rates all in
    one go; more is a simulation of a busy site: users come in the order of the data, and the next one when one has
    done. order: "shuffled" draws an order instead, in which nothing changes over time: a control.

    "drawn": cases from the unit sphere; what is liked follows a taste that the model knows and another, as strong,
    that it does not know and that turns round once in ``turn`` steps.

    score: minus the logarithmic loss of the step, in nats.
    """

    name = "deployed"

    def __init__(
        self,
        data: Literal["drawn", "movielens-100k"] | str = "movielens-100k",
        steps: int = 5000,
        share: float = 0.5,
        trained: float = 0.5,
        dimensions: int = 8,
        liked: float = 4.0,
        order: Literal["time", "shuffled"] = "time",
        together: int = 1,
        strength: float = 4.0,
        turn: int = 2000,
    ) -> None:
        if not (0.0 < share <= 1.0 and 0.0 < trained < 1.0):
            raise InputError(f"share and trained lie above 0, and trained below 1; got {share:g} and {trained:g}")
        if order not in ("time", "shuffled"):
            raise InputError(f"order is 'time' or 'shuffled', got {order!r}")
        for name, number in (("together", together), ("turn", turn), ("steps", steps), ("dimensions", dimensions)):
            if number < 1:
                raise InputError(f"{name}: expected a whole number of at least 1, got {number}")
        if not math.isfinite(strength):
            raise InputError(f"strength: expected a finite number, got {strength}")
        if data == "drawn" and dimensions < 3:
            raise InputError(f"a taste that turns beside another needs 3 dimensions or more, got {dimensions}")
        self.data, self.steps, self.share, self.trained = data, steps, share, trained
        self.dimensions, self.liked, self.order = dimensions, liked, order
        self.together, self.strength, self.turn = together, strength, turn
        self.table: Ratings | None = None if data == "drawn" else ratings(data)
        if self.table is not None and order == "time" and not len(self.table.times):
            raise InputError(f"{data} has no column 'timestamp'; add one, or say order = 'shuffled'")
        self.spec: Mapping[str, JsonValue] = {"dimensions": dimensions if data == "drawn" else CODE + dimensions}
        self._served = lru_cache(maxsize=4)(self._serve)

    def _serve(self, seed: int) -> Served:
        return self._draw(seed) if self.table is None else self._replay(seed, self.table)

    def _draw(self, seed: int) -> Served:
        tastes = np.linalg.qr(stream(seed, _TASTES).standard_normal((self.dimensions, 3)))[0]
        rng = stream(seed, _CASE)
        features = on_sphere(rng, (self.steps, self.dimensions))
        known, one, other = (self.strength * features @ tastes).T
        angle = 2 * math.pi * np.arange(self.steps) / self.turn
        true = sigmoid(known + np.cos(angle) * one + np.sin(angle) * other)
        return Served(sigmoid(known), features, (rng.random(self.steps) < true).astype(float))

    def _replay(self, seed: int, table: Ratings) -> Served:
        count = len(table.user_names)
        chosen = np.zeros(count, dtype=bool)
        chosen[stream(seed, _USERS).permutation(count)[: max(1, round(self.share * count))]] = True
        rows = np.flatnonzero(chosen[table.users])
        if self.order == "time":
            rows = rows[np.argsort(table.times[rows], kind="stable")]
        else:
            rows = stream(seed, _ORDER).permutation(rows)
        cut = round(self.trained * len(rows))
        if cut < 1 or cut + self.steps > len(rows):
            raise InputError(
                f"{len(rows)} ratings, of which {cut} are to train by, leave {len(rows) - cut} steps; "
                f"steps={self.steps} asks for more: lower steps or trained, or raise share"
            )
        if self.together > 1:
            rows[cut:] = rows[cut:][_in_turn(table.users[rows[cut:]], self.together)]
        users, items, liked = table.users[rows], table.items[rows], (table.values[rows] >= self.liked).astype(float)
        model = factorise(
            users[:cut], items[:cut], liked[:cut], (count, len(table.item_names)), dimensions=self.dimensions,
            seed=seed,
        )  # fmt: skip
        now = slice(cut, cut + self.steps)
        codes = on_sphere(stream(seed, _CODES), (count, CODE))
        length = np.linalg.norm(model.items, axis=1, keepdims=True)
        known = np.isin(np.arange(len(length)), items[:cut])[:, None]
        vectors = np.where(known, model.items / np.maximum(length, 1e-12), 0.0)
        features = np.concatenate([codes[users[now]], vectors[items[now]]], axis=1)
        return Served(model.predict(users[now], items[now]), features, liked[now])

    def context(self, seed: int, t: int) -> dict[str, JsonValue]:
        served = self._served(seed)
        return {"predicted": float(served.predicted[t]), "features": served.features[t].tolist()}

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        return Signal(event="liked", value=float(self._served(seed).liked[t]), by=VISITOR)

    def score(self, seed: int, t: int, trial: Trial) -> float:
        return -self.regret(seed, t, trial)

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        """Logarithmic loss of the prediction."""
        proposal: Any = trial.proposal
        return _loss(float(proposal), self._served(seed).liked[t])

    def blind(self, seed: int, t: int) -> float:
        """Of the model as it was trained."""
        served = self._served(seed)
        return _loss(float(served.predicted[t]), served.liked[t])


def _in_turn(users: np.ndarray, together: int) -> list[int]:
    """[n] places in ``users``, of whom so many are served in turn; each keeps the order of their own."""
    waiting: dict[int, list[int]] = {}
    for place, user in enumerate(users.tolist()):
        waiting.setdefault(user, []).append(place)
    queues = [places[::-1] for places in waiting.values()]
    order: list[int] = []
    while queues:
        for queue in queues[:together]:
            order.append(queue.pop())
        queues = [queue for queue in queues if queue]
    return order


def _loss(p: float, liked: float) -> float:
    return -math.log(min(max(p if liked else 1.0 - p, LEAST), 1.0))
