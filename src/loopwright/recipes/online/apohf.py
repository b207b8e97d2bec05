"""APOHF: the best prompt of a pool is found from a person's word on which of two is better, by a neural dueling bandit.

Lin et al., "Prompt optimization with human feedback", arXiv:2405.17346. A small network scores every prompt by its features
(such as an embedding of its text) and is fitted to all comparisons so far; the prompt with the highest score meets the one
with the highest score plus ``explore`` times its uncertainty against the first. The first of the proposal is always the
prompt to deploy as things stand. The world tells the features at the start (``{"features": [[...], ...]}``); feedback names
the better by its place in the proposal, "0" or "1".

``hidden=0`` is a linear scorer (see the row ``linear-dueling``). ``explore`` is nu of the paper, ``ridge`` its lambda.

How this differs: the fit takes 100 steps of Adam at 0.01 from the same start, where the authors' program takes 1000 at
0.001, and starts at smaller weights; answers are kept as a table of wins, so they may come in any order. Of the matrix of
gradients only the diagonal is used, as in the program. Deterministic but for the first ``initial`` pairs, which are random.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms, duels, scorer
from loopwright.blocks.duels import Wins
from loopwright.blocks.ridge import Regulariser
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, NotNegative, Positive
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Pool(NamedTuple):
    features: np.ndarray  # [prompts, d]
    duels: Wins
    weights: np.ndarray  # [p] of the scorer, fitted to the duels


@learner(paper="arXiv:2405.17346", improves="pair", learns_from=("preference",))
def apohf(
    *,
    explore: NotNegative = 1.0,
    ridge: Regulariser = 0.1,
    initial: Annotated[int, Field(ge=0)] = 5,
    hidden: Annotated[int, Field(ge=0)] = 32,
    steps: Annotated[int, Field(ge=0)] = 100,
    rate: Positive = 0.01,
    start: Annotated[int, Field(ge=0)] = 0,
) -> Learner:
    """start: seed of the network's first weights."""

    def init(spec: Mapping[str, JsonValue]) -> Pool:
        features = np.asarray(spec.get("features"), dtype=float)
        if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
            raise InputError("the specification must say 'features': a list of at least two lists of as many finite numbers")
        return Pool(features, duels.fresh(len(features)), scorer.fresh(features.shape[1], hidden, start))

    def ask(state: Pool, context: Any, rng: np.random.Generator) -> Trial:
        number = len(state.features)
        if state.duels.answers < initial:
            first, second = (int(i) for i in rng.permutation(number)[:2])
            return Trial(id="", proposal=[first, second], propensity=1.0 / (number * (number - 1)))
        score = scorer.scores(state.weights, state.features, hidden)
        first, one = arms.largest(score, rng)
        slopes = scorer.gradients(state.weights, state.features, hidden)
        i, j = np.nonzero(np.triu(state.duels.wins + state.duels.wins.T))
        met = (state.duels.wins + state.duels.wins.T)[i, j]
        seen = ridge + met @ (slopes[i] - slopes[j]) ** 2
        bound = score + np.sqrt(explore * ((slopes - slopes[first]) ** 2 / seen).sum(axis=1))
        bound[first] = -math.inf
        second, other = arms.largest(bound, rng)
        return Trial(id="", proposal=[first, second], propensity=one * other)

    def tell(state: Pool, trial: Trial, feedback: Feedback) -> Pool:
        known = duels.add(state.duels, trial, feedback)
        if known is state.duels:
            return state
        return fitted(state.features, known)

    def fitted(features: np.ndarray, known: Wins) -> Pool:
        begin = scorer.fresh(features.shape[1], hidden, start)
        decay = ridge / (known.answers + 50)
        return Pool(features, known, scorer.fit(begin, features, known.wins, hidden, steps=steps, rate=rate, decay=decay))

    def some(state: Pool, places: Sequence[int]) -> Pool:
        if min(places, default=0) < 0:
            raise InputError("a new prompt has no features here, by which apohf scores it: begin a session with all of them")
        return Pool(arms.rearranged(state.features, places), duels.some(state.duels, places), state.weights)

    def merge(state: Pool, other: Pool, base: Pool) -> Pool:
        return fitted(state.features, arms.added(state.duels, other.duels, base.duels))

    return Learner(init, ask, tell, some, merge)
