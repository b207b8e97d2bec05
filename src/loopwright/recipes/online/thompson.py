"""Thompson sampling: a mean is drawn for every arm from what is believed of it, and the arm with the largest is tried.

Agrawal and Goyal, "Analysis of Thompson sampling for the multi-armed bandit problem", arXiv:1111.1797 (Beta beliefs), and
"Further optimal regret bounds for Thompson sampling", arXiv:1209.3353 (normal beliefs, see the row ``thompson-normal``).
For arms without a context. Draws differ, so many may be asked before the first answer comes.

How this differs: a reward between 0 and 1 counts as that share of a success, where the paper tosses a coin with it. With
``discount`` below 1 older answers count less, for means that change. The probability of the choice is computed
(blocks.chances) and logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from loopwright.blocks import arms
from loopwright.blocks.arms import Discount, Tally
from loopwright.blocks.chances import beta_largest, normal_largest
from loopwright.core.feedback import Feedback, NotNegative
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@learner(paper="arXiv:1111.1797", improves="arm", learns_from=("score",), baseline=True)
def thompson(*, belief: Literal["beta", "normal"] = "beta", deviation: NotNegative = 0.5, discount: Discount = 1.0) -> Learner:
    """deviation: of a reward under normal beliefs, in units of its range."""

    def init(spec: Mapping[str, JsonValue]) -> Tally:
        return arms.fresh(arms.number_of(spec, "arms"))

    def ask(state: Tally, context: Any, rng: np.random.Generator) -> Trial:
        if belief == "beta":
            # Rounding may leave a total a hair above its count.
            won, lost = 1.0 + state.total, 1.0 + np.maximum(state.answers - state.total, 0.0)
            arm, tied = arms.largest(rng.beta(won, lost), rng)
            return Trial(id="", proposal=arm, propensity=tied * beta_largest(arm, won, lost))
        means, deviations = state.total / (1.0 + state.answers), deviation / np.sqrt(1.0 + state.answers)
        arm, tied = arms.largest(means + deviations * rng.standard_normal(len(means)), rng)
        return Trial(id="", proposal=arm, propensity=tied * normal_largest(arm, means, deviations))

    def tell(state: Tally, trial: Trial, feedback: Feedback) -> Tally:
        return arms.add(state, trial, feedback, discount)

    return Learner(init, ask, tell, arms.some, arms.added if discount == 1.0 else None)
