"""Learning to relax: a solver's parameter is chosen for every system, by what earlier ones took and what is known of this one.

Khodak, Chow, Balcan and Talwalkar, arXiv:2310.02246, Algorithm 2 (ChebCB). For anything that is run again and again with a
number to set (a relaxation parameter, a step, a tolerance, a cache size), where one number tells how instances differ and only
the cost is seen. For each setting of a grid a polynomial in Chebyshev's form predicts the cost from that number, and settings
are drawn by inverse gaps (SquareCB): with chance 1 / (arms + gamma * (predicted cost - least predicted cost)); the best takes
the rest.

The context is one number between -1 and 1, or outside by rounding; ``terms`` are those of the polynomial (6 in the paper's runs).
gamma grows by itself with the answers, from how far off the predictions were and what the polynomial cannot follow:
2 t sqrt(arms t / (sum of squared errors + 2 b^2 t)), b = (pi + 2/pi log(2 terms + 1)) / (2 (terms + 1)) * range of the costs.
Without a context, use ``tsallis-inf``, the paper's Algorithm 1.

How this differs: coefficients are fitted by ridge regression with a small ``ridge`` and are not held within the bounds that a
Lipschitz constant gives them, so that an answer takes the same time however many came before; the squared errors are those of the
predictions alone, from which the authors' program takes what the bounds cost the fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms
from loopwright.blocks import ridge as regression
from loopwright.blocks.ridge import Regulariser, Ridge
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Score
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Costs(NamedTuple):
    fit: Ridge
    errors: float  # sum of squares
    least: float  # of the costs; 0 before the first, as is the most
    most: float
    answers: int

    @classmethod
    def of_format(cls, values: Sequence[Any], format: int) -> Costs:
        """Of a snapshot of format 1, which began with infinite ends of the range."""
        made = cls(*values)
        return made if made.answers else made._replace(least=0.0, most=0.0)

    def seen(self, least: float, most: float) -> tuple[float, float]:
        """The range with these ends in it."""
        return (min(self.least, least), max(self.most, most)) if self.answers else (least, most)


@learner(paper="arXiv:2310.02246", improves="parameter", learns_from=("score",))
def learning_to_relax(*, terms: Annotated[int, Field(ge=1)] = 6, ridge: Regulariser = 1e-3) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Costs:
        if arms.number_of(spec, "dimensions") != 1:
            raise InputError(f"a context is one number here, got a world with dimensions={spec['dimensions']}; try lin-ucb")
        return Costs(regression.fresh(arms.number_of(spec, "arms"), terms, ridge), 0.0, 0.0, 0.0, 0)

    def features(context: Any) -> np.ndarray:
        x = np.asarray(context, dtype=float).reshape(-1)
        if x.shape != (1,) or not math.isfinite(x[0]):
            raise InputError(f"a context is one finite number between -1 and 1, got {context!r}")
        return np.asarray(np.cos(np.arange(terms) * math.acos(min(1.0, max(-1.0, float(x[0]))))))

    def ask(state: Costs, context: Any, rng: np.random.Generator) -> Trial:
        costs = regression.predict(state.fit, features(context))
        best, count, t = int(costs.argmin()), len(costs), state.answers
        bias = (math.pi + 2 / math.pi * math.log(2 * terms + 1)) / (2 * (terms + 1)) * max(0.0, state.most - state.least)
        off = state.errors + 2 * bias**2 * t
        gamma = 2 * t * math.sqrt(count * t / off) if off > 0 else 0.0
        chances = 1 / (count + gamma * (costs - costs[best]))
        chances[best] += 1 - chances.sum()
        arm, propensity = arms.draw(chances, rng)
        return Trial(id="", proposal=arm, propensity=propensity)

    def tell(state: Costs, trial: Trial, feedback: Feedback) -> Costs:
        if not isinstance(feedback, Score):
            return state
        x, arm, cost = features(trial.context), int(trial.proposal), feedback.high - feedback.value  # type: ignore[arg-type]
        off = float(regression.predict(state.fit, x)[arm]) - cost
        fit = regression.update(state.fit, arm, x, cost)
        return Costs(fit, state.errors + off**2, *state.seen(cost, cost), state.answers + 1)

    def some(state: Costs, places: Sequence[int]) -> Costs:
        return state._replace(fit=regression.some(ridge)(state.fit, places))

    def merge(state: Costs, other: Costs, base: Costs) -> Costs:
        fit = regression.merge(state.fit, other.fit, base.fit)
        errors, answers = state.errors + other.errors - base.errors, state.answers + other.answers - base.answers
        return Costs(fit, errors, *(state.seen(other.least, other.most) if other.answers else state[2:4]), answers)

    return Learner(init, ask, tell, some, merge)
