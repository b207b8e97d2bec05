"""LinUCB: the arm with the highest upper confidence bound of a ridge regression on the context.

Li et al., "A contextual-bandit approach to personalized news article recommendation", arXiv:1003.0146, Algorithm 1
(disjoint linear models). ``alpha`` scales the width of the bound; ``ridge`` is the regulariser, 1 in the paper.

How this differs: the inverse Gram matrix is updated by Sherman-Morrison instead of being solved at every step.
The choice is deterministic, so its propensity is 1 (ties: 1 / number of tied arms).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from loopwright.blocks import ridge as regression
from loopwright.blocks.ridge import Ridge
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@learner(paper="arXiv:1003.0146", improves="choice", learns_from=("score",), baseline=True)
def lin_ucb(*, alpha: float = 1.0, ridge: float = 1.0) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Ridge:
        return regression.fresh(int(spec["arms"]), int(spec["dimensions"]), ridge)  # type: ignore[arg-type]

    def ask(state: Ridge, context: Any, rng: np.random.Generator) -> Trial:
        x = np.asarray(context, dtype=float)
        bound = regression.predict(state, x) + alpha * regression.width(state, x)
        best = np.flatnonzero(bound == bound.max())
        return Trial(id="", proposal=int(rng.choice(best)), propensity=1.0 / len(best))

    return Learner(init, ask, regression.tell)
