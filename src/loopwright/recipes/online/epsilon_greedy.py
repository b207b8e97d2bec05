"""Epsilon-greedy: the arm a ridge regression on the context predicts best, and any arm with probability epsilon.

The reference that contextual bandits are measured against (as in Langford & Zhang, "The epoch-greedy algorithm for
multi-armed bandits with side information", NeurIPS 2007, and in Li et al., arXiv:1003.0146). With probability
``epsilon`` the arm is drawn uniformly, else it is the one with the highest predicted reward.

How this differs: epsilon stays the same for good, and the explored rounds also teach the regression. The propensity is
the true probability of the arm, so the log can be used for off-policy estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from loopwright.blocks import arms
from loopwright.blocks import ridge as regression
from loopwright.blocks.ridge import Regulariser, Ridge
from loopwright.core.feedback import Unit
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np


@learner(improves="choice", learns_from=("score",), baseline=True)
def epsilon_greedy(*, epsilon: Unit = 0.1, ridge: Regulariser = 1.0) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Ridge:
        return regression.fresh(arms.number_of(spec, "arms"), arms.number_of(spec, "dimensions"), ridge)

    def ask(state: Ridge, context: Any, rng: np.random.Generator) -> Trial:
        predicted = regression.predict(state, regression.features(state, context))
        best = predicted == predicted.max()
        arm, propensity = arms.draw(epsilon / len(best) + (1.0 - epsilon) * best / best.sum(), rng)
        return Trial(id="", proposal=arm, propensity=propensity)

    return Learner(init, ask, regression.tell, regression.some(ridge), regression.merge)
