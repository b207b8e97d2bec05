"""Clicks on lists: readers look at the top more than at the rest, and click on what they see and want."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import JsonValue

from loopwright.blocks.ranking import ndcg
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Rater, Signal
from loopwright.core.types import Trial
from loopwright.worlds.bandit import on_sphere, stream
from loopwright.worlds.ratings import ratings

_DOCUMENTS, _QUERIES, _CLICKS = 0, 1, 2
READER = Rater(kind="implicit", name="reader")


class Asked(NamedTuple):
    queries: np.ndarray  # [queries, d]
    wanted: list[frozenset[int]]  # the documents that each is after


class Clicks:
    """``queries`` queries, drawn by the seed, come one after the other, ``rounds`` times; a list holds ``shown``
    documents.

    A reader looks at place r with probability r to the power of -``eta``, known to all, and clicks on what is looked at
    with probability ``right`` if wanted, else ``wrong``. score: NDCG at ``shown`` of the lists of the last round.

    data: "movielens-100k" or the path of another table of ratings: documents are items, and their vectors, of
    ``dimensions`` numbers, come from who rates what among half of the users, by a singular value decomposition, on the
    unit sphere. A query is the mean of ``clues`` items that one of the other users likes (a rating of ``liked`` at
    least); wanted is all else they like. "drawn": ``documents`` documents from the unit sphere; a query is a need from
    the sphere with ``blur`` times as much noise, wanted are the ``wanted`` documents nearest to the need.
    """

    name = "clicks"

    def __init__(
        self,
        data: Literal["drawn", "movielens-100k"] | str = "drawn",
        queries: int = 20,
        rounds: int = 50,
        shown: int = 10,
        eta: float = 1.0,
        right: float = 0.9,
        wrong: float = 0.1,
        dimensions: int = 8,
        documents: int = 100,
        wanted: int = 10,
        blur: float = 0.8,
        clues: int = 3,
        liked: float = 4.0,
    ) -> None:
        if not 0.0 <= wrong <= right <= 1.0:
            raise InputError(f"right and wrong are probabilities, and right the larger; got {right:g} and {wrong:g}")
        self.queries, self.rounds, self.shown = queries, rounds, shown
        self.right, self.wrong, self.blur, self.number = right, wrong, blur, wanted
        self.clues = clues
        self.looked_at = np.arange(1, shown + 1) ** -eta
        if data == "drawn":
            self.likes = np.zeros((0, 0), dtype=bool)
            self.documents = on_sphere(stream(0, _DOCUMENTS), (documents, dimensions))
        else:
            self.documents, self.likes = _films(data, dimensions, liked, clues)
        self.steps = queries * rounds
        self.spec: Mapping[str, JsonValue] = {"documents": self.documents.tolist(), "shown": shown}
        self._asked = lru_cache(maxsize=4)(self._draw)

    def _draw(self, seed: int) -> Asked:
        rng = stream(seed, _QUERIES)
        if not self.likes.size:
            needs = on_sphere(rng, (self.queries, self.documents.shape[1]))
            blurred = needs + self.blur * on_sphere(rng, needs.shape)
            best = np.argsort(-(needs @ self.documents.T), axis=1)[:, : self.number]
            return Asked(_unit(blurred), [frozenset(row.tolist()) for row in best])
        vectors, wanted = [], []
        for user in rng.choice(len(self.likes), self.queries, replace=len(self.likes) < self.queries):
            items = rng.permutation(np.flatnonzero(self.likes[user]))
            vectors.append(self.documents[items[: self.clues]].mean(axis=0))
            wanted.append(frozenset(items[self.clues :].tolist()))
        return Asked(_unit(np.array(vectors)), wanted)

    def context(self, seed: int, t: int) -> dict[str, JsonValue]:
        query = t % self.queries
        return {"query": self._asked(seed).queries[query].tolist(), "id": f"q{query}"}

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        """What was clicked, with the probability that its place was looked at."""
        wanted = self._asked(seed).wanted[t % self.queries]
        listed = self._listed(trial)
        chances = self.looked_at[: len(listed)] * np.where([d in wanted for d in listed], self.right, self.wrong)
        clicked = np.flatnonzero(stream(seed, _CLICKS, t).random(self.shown)[: len(listed)] < chances)
        return Signal(
            event="click", items=tuple(str(listed[place]) for place in clicked),
            propensities=tuple(float(self.looked_at[place]) for place in clicked), by=READER,
        )  # fmt: skip

    def score(self, seed: int, t: int, trial: Trial) -> float | None:
        if t < (self.rounds - 1) * self.queries:
            return None
        return 1.0 - self.regret(seed, t, trial)

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        """1 less the NDCG of the list."""
        return 1.0 - ndcg(self._listed(trial), self._asked(seed).wanted[t % self.queries], self.shown)

    def blind(self, seed: int, t: int) -> float:
        """Of the query as it came."""
        asked, query = self._asked(seed), t % self.queries
        order = np.argsort(-(self.documents @ asked.queries[query]), kind="stable")[: self.shown]
        return 1.0 - ndcg(order.tolist(), asked.wanted[query], self.shown)

    def _listed(self, trial: Trial) -> list[int]:
        ranking: Any = trial.proposal
        return [int(document) for document in ranking][: self.shown]


def _films(data: str, dimensions: int, liked: float, clues: int) -> tuple[np.ndarray, np.ndarray]:
    """(documents [items, d], likes [users, items] of the users whose ratings made no vector)."""
    table = ratings(data)
    likes = table.matrix(liked)
    maker = np.zeros(len(likes), dtype=bool)
    maker[stream(0, _DOCUMENTS).permutation(len(likes))[: len(likes) // 2]] = True
    has = likes[maker].astype(float)
    # Of length 1, or popular films would be near to every query by their length alone.
    directions = np.linalg.svd(has / np.maximum(np.linalg.norm(has, axis=0), 1.0), full_matrices=False)[2][:dimensions]
    others = likes[~maker]
    enough = others[others.sum(axis=1) > clues]
    if not len(enough):
        raise InputError(f"no user in {data} likes more than {clues} items (a rating of {liked:g} at least)")
    return _unit(directions.T), enough


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.where(length > 0, vectors / np.maximum(length, 1e-12), 0.0))
