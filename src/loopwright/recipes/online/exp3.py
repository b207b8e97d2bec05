"""Exp3: arms are drawn by weights that grow with the reward divided by the chance it had; for rewards that may change at will.

Auer, Cesa-Bianchi, Freund and Schapire, "The nonstochastic multiarmed bandit problem", SIAM Journal on Computing 32, 2002,
section 3. ``gamma`` is the share of the draws that is uniform, and the step: w *= exp(gamma * reward / p / arms).

How this differs: rewards are scores in units of their range; weights are kept as logarithms. The p that a reward is divided
by is the one the trial was asked with, so feedback may come late and in any order, to the same end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms
from loopwright.core.feedback import Feedback, Score
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Weights(NamedTuple):
    logarithm: np.ndarray  # [arms]


@learner(paper="doi:10.1137/S0097539701398375", improves="arm", learns_from=("score",), baseline=True)
def exp3(*, gamma: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Weights:
        return Weights(np.zeros(arms.number_of(spec, "arms")))

    def ask(state: Weights, context: Any, rng: np.random.Generator) -> Trial:
        weights = np.exp(state.logarithm - state.logarithm.max())
        arm, propensity = arms.draw((1.0 - gamma) * weights / weights.sum() + gamma / len(weights), rng)
        return Trial(id="", proposal=arm, propensity=propensity)

    def tell(state: Weights, trial: Trial, feedback: Feedback) -> Weights:
        if not isinstance(feedback, Score):
            return state
        chance = arms.chance_of(trial, "exp3")
        logarithm = state.logarithm.copy()
        logarithm[int(trial.proposal)] += gamma * feedback.unit / chance / len(logarithm)  # type: ignore[arg-type]
        return Weights(logarithm)

    def some(state: Weights, places: Sequence[int]) -> Weights:
        """A new arm begins as if it had earned what the others have on average."""
        return Weights(arms.rearranged(state.logarithm, places, state.logarithm.mean()))

    return Learner(init, ask, tell, some, arms.added)
