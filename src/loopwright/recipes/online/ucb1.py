"""UCB1: the arm whose mean reward could be the highest, as far as its number of trials allows.

Auer, Cesa-Bianchi and Fischer, "Finite-time analysis of the multiarmed bandit problem", Machine Learning 47, 2002: mean +
sqrt(2 ln t / n), for rewards in [0, 1]. ``width`` is the 2. For arms without a context whose means stay as they are.

How this differs: rewards are scores in units of their range. With ``discount`` below 1 older answers count less (discounted
UCB of Garivier and Moulines, arXiv:0805.3415), for means that change. While answers are pending it proposes the same arm
again, as nothing that it knows has changed: where many are asked at once, use ``thompson``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from loopwright.blocks import arms
from loopwright.blocks.arms import Discount, Tally
from loopwright.core.feedback import Feedback, NotNegative
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@learner(paper="doi:10.1023/A:1013689704352", improves="arm", learns_from=("score",), baseline=True)
def ucb1(*, width: NotNegative = 2.0, discount: Discount = 1.0) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Tally:
        return arms.fresh(arms.number_of(spec, "arms"))

    def ask(state: Tally, context: Any, rng: np.random.Generator) -> Trial:
        tried = np.maximum(state.answers, 1e-12)
        radius = np.sqrt(width * math.log(max(float(state.answers.sum()), 1.0)) / tried)
        bound = np.where(state.answers > 0, state.total / tried + radius, np.inf)
        arm, propensity = arms.largest(bound, rng)
        return Trial(id="", proposal=arm, propensity=propensity)

    def tell(state: Tally, trial: Trial, feedback: Feedback) -> Tally:
        return arms.add(state, trial, feedback, discount)

    return Learner(init, ask, tell, arms.some, arms.added if discount == 1.0 else None)
