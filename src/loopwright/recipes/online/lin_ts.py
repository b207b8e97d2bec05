"""Thompson sampling with linear rewards: parameters are drawn from what is believed of them, and the arm best by them tried.

Agrawal and Goyal, "Thompson sampling for contextual bandits with linear payoffs", arXiv:1209.3352, Algorithm 1.
``deviation`` scales the draws: v of the paper, whose theory wants it to grow with the dimension; a small constant does
better in practice.

How this differs: every arm has a regression of its own, as in LinUCB, instead of one that all arms share. What is drawn is
each arm's predicted reward and not its parameters, which comes to the same, since a linear function of normal parameters is
normal and the arms are independent. The probability of the choice is computed (blocks.chances) and logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from loopwright.blocks import arms
from loopwright.blocks import ridge as regression
from loopwright.blocks.chances import normal_largest
from loopwright.blocks.ridge import Regulariser, Ridge
from loopwright.core.feedback import NotNegative
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np


@learner(paper="arXiv:1209.3352", improves="choice", learns_from=("score",), baseline=True)
def lin_ts(*, deviation: NotNegative = 0.25, ridge: Regulariser = 1.0) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Ridge:
        return regression.fresh(arms.number_of(spec, "arms"), arms.number_of(spec, "dimensions"), ridge)

    def ask(state: Ridge, context: Any, rng: np.random.Generator) -> Trial:
        x = regression.features(state, context)
        means, deviations = regression.predict(state, x), deviation * regression.width(state, x)
        arm, tied = arms.largest(means + deviations * rng.standard_normal(len(means)), rng)
        return Trial(id="", proposal=arm, propensity=tied * normal_largest(arm, means, deviations))

    return Learner(init, ask, regression.tell, regression.some(ridge), regression.merge)
