"""RUCB: one that may still beat all others meets the one that may best beat it.

Zoghi et al., "Relative upper confidence bound for the K-armed dueling bandit problem", arXiv:1312.3393, Algorithm 1. Learns
only from which of two is better; ``alpha`` scales the bounds and must be above 1/2 for its guarantee. Once it is sure, it
shows the winner twice, which costs nothing.

How this differs: time is the number of answers, not of questions, so that feedback may be late; the hypothesised winner is
kept up to date when an answer comes. The propensity is the true probability of the ordered pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import JsonValue

from loopwright.blocks import arms, duels
from loopwright.blocks.duels import Wins
from loopwright.core.feedback import Feedback, NotNegative
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Belief(NamedTuple):
    duels: Wins
    winner: int  # who is taken for the best, -1 where nobody


@learner(paper="arXiv:1312.3393", improves="pair", learns_from=("preference",), baseline=True)
def rucb(*, alpha: NotNegative = 0.51) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Belief:
        return Belief(duels.fresh(arms.number_of(spec, "arms", 2)), -1)

    def unbeaten(state: Wins) -> np.ndarray:
        return np.asarray((duels.upper(state, alpha) >= 0.5).all(axis=1))

    def ask(state: Belief, context: Any, rng: np.random.Generator) -> Trial:
        possible = unbeaten(state.duels)
        chance = np.zeros(len(possible))
        if not possible.any():
            chance[:] = 1.0 / len(chance)
        elif state.winner < 0 or possible.sum() == 1:
            chance[possible] = 1.0 / possible.sum()
        else:
            chance[possible] = 0.5 / (possible.sum() - 1)
            chance[state.winner] = 0.5
        first, one = arms.draw(chance, rng)
        second, other = arms.largest(duels.upper(state.duels, alpha)[:, first], rng)
        return Trial(id="", proposal=[first, second], propensity=one * other)

    def believed(known: Wins, winner: int) -> Belief:
        possible = np.flatnonzero(unbeaten(known))
        return Belief(known, int(possible[0]) if len(possible) == 1 else winner if winner in possible else -1)

    def tell(state: Belief, trial: Trial, feedback: Feedback) -> Belief:
        return believed(duels.add(state.duels, trial, feedback), state.winner)

    def some(state: Belief, places: Sequence[int]) -> Belief:
        winner = list(places).index(state.winner) if state.winner in places and state.winner >= 0 else -1
        return Belief(duels.some(state.duels, places), winner)

    def merge(state: Belief, other: Belief, base: Belief) -> Belief:
        return believed(arms.added(state.duels, other.duels, base.duels), state.winner)

    return Learner(init, ask, tell, some, merge)
