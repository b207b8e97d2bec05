"""Double Thompson sampling: two independent draws of who beats whom choose the two that meet.

Wu and Liu, "Double Thompson sampling for dueling bandits", arXiv:1604.07101, Algorithm 1. The first is, among those whose
upper bounds beat most others, the one that beats most of them in a draw; the second is the one that a second draw puts
highest against it, of those who do not surely beat it. ``alpha`` scales the bounds. It need not have one best arm that beats all
others: it looks for a Copeland winner, who beats most.

How this differs: time is the number of answers, so that feedback may be late. The probability of the pair has no form that
could be computed, so trials have no propensity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from loopwright.blocks import arms, duels
from loopwright.blocks.duels import Wins
from loopwright.core.feedback import NotNegative
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@learner(paper="arXiv:1604.07101", improves="pair", learns_from=("preference",), baseline=True)
def double_thompson(*, alpha: NotNegative = 0.6) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Wins:
        return duels.fresh(arms.number_of(spec, "arms", 2))

    def ask(state: Wins, context: Any, rng: np.random.Generator) -> Trial:
        upper = duels.upper(state, alpha)
        beaten = (upper > 0.5).sum(axis=1)
        drawn = rng.beta(state.wins + 1.0, state.wins.T + 1.0)
        wins = np.triu(drawn > 0.5, 1)
        wins |= np.tril(~wins.T, -1)  # one draw for both sides of a pair
        first, _ = arms.largest(np.where(beaten == beaten.max(), wins.sum(axis=1), -1), rng)
        again = rng.beta(state.wins[:, first] + 1.0, state.wins[first] + 1.0)
        again[first] = 0.5
        settled = 1.0 - upper[first] > 0.5  # who surely beats it need not meet it again
        second, _ = arms.largest(np.where(settled, -1.0, again), rng)
        return Trial(id="", proposal=[first, second])

    return Learner(init, ask, duels.add, duels.some, arms.added)
