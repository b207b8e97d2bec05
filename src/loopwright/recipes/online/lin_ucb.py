"""LinUCB: the arm with the highest upper confidence bound of a ridge regression on the context.

Li et al., "A contextual-bandit approach to personalized news article recommendation", arXiv:1003.0146, Algorithm 1
(disjoint linear models). ``alpha`` scales the width of the bound; ``ridge`` is the regulariser, 1 in the paper.

How this differs: the inverse Gram matrix is updated by Sherman-Morrison instead of being solved at every step.
The choice is deterministic, so its propensity is 1 (ties: 1 / number of tied arms), and while answers are pending the
same context gets the same arm again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from loopwright.blocks import arms
from loopwright.blocks import ridge as regression
from loopwright.blocks.ridge import Regulariser, Ridge
from loopwright.core.feedback import NotNegative
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np


@learner(paper="arXiv:1003.0146", improves="choice", learns_from=("score",), baseline=True)
def lin_ucb(*, alpha: NotNegative = 1.0, ridge: Regulariser = 1.0) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Ridge:
        return regression.fresh(arms.number_of(spec, "arms"), arms.number_of(spec, "dimensions"), ridge)

    def ask(state: Ridge, context: Any, rng: np.random.Generator) -> Trial:
        x = regression.features(state, context)
        bound = regression.predict(state, x) + alpha * regression.width(state, x)
        arm, propensity = arms.largest(bound, rng)
        return Trial(id="", proposal=arm, propensity=propensity)

    return Learner(init, ask, regression.tell, regression.some(ridge), regression.merge)
