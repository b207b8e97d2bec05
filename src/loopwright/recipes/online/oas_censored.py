"""Online algorithm selection: the algorithm for this instance is chosen by runtimes of which a cap has cut off the long ones.

Tornede, Bengs and Hüllermeier, "Machine learning for online algorithm selection under censored feedback", arXiv:2109.06234.
For solvers, planners, compilers or services, one of which is run on every instance under a cap. Each algorithm has a
regression of the logarithm of its runtime on the instance's features, parameters are drawn as in Thompson sampling, and the
one with the least expected loss is run, where being stopped at the cap C counts as 10 C (PAR10). A runtime that the cap cut
off is known to lie above C, so what the model's belief expects of it there takes its place (Buckley and James, 1979). An
algorithm that was never told of is run before all others.

The world tells a score that is minus the seconds, whose ``low`` is minus the cap; a run that was stopped is censored. With
``censored="clip"`` it counts as C, with ``"drop"`` not at all, and with ``loss="runtime"`` the cap is not punished: the
unaware baselines, see the row ``oas-unaware``. ``deviation`` is that of the noise (sigma), ``ridge`` the regulariser (lambda).

How this differs: the imputed runtime is the mean of the belief about the prediction (its width is the posterior's, not the
noise's) above the cap, where the authors' program draws from this belief until it exceeds the cap, at most 20 times, and else
takes the cap; so ``tell`` needs no luck. Parameters have the covariance sigma^2 times the inverse of the Gram matrix, in the
program sigma times it; both have sigma 1. Of several algorithms that were never told of one is drawn, where theirs takes them
in order (and books its very first run for the last of them). The expected loss is that of log PAR10 as its definition gives
it; the program adds the part below the cap with another sign and weight, and takes a variance for a deviation once; its
variants for the runtime itself, not its logarithm, are not here. Features are used as they come, not divided by their length,
and all must be there, where theirs fills in the mean so far. The probability of the choice is computed (blocks.chances) from
the losses' own order and logged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import JsonValue

from loopwright.blocks import arms
from loopwright.blocks import ridge as regression
from loopwright.blocks.chances import hazard, monotone_least, normal_cdf
from loopwright.blocks.ridge import Regulariser, Ridge
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Positive, Score
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

FASTEST = 1e-4  # seconds; clocks know no logarithm of 0


class Portfolio(NamedTuple):
    known: Ridge  # of the logarithm of each algorithm's runtime
    told: np.ndarray  # [arms] 1 where the algorithm was told of, also of a run that the cap cut off
    cap: float  # its logarithm

    @classmethod
    def of_format(cls, values: Sequence[Any], format: int) -> Portfolio:
        """Of a snapshot of format 1, which did not hold who was told of."""
        known, cap = values
        return cls(known, known.coefficients.any(axis=1).astype(float), cap)


@learner(paper="arXiv:2109.06234", improves="solver", learns_from=("score",))
def oas_censored(
    *,
    deviation: Positive = 1.0,
    ridge: Regulariser = 0.5,
    censored: Literal["impute", "clip", "drop"] = "impute",
    loss: Literal["par10", "runtime"] = "par10",
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Portfolio:
        cap = spec.get("cap")
        if not isinstance(cap, int | float) or not cap > FASTEST:
            raise InputError(f"the specification must say 'cap', the seconds after which a run is stopped; got {cap!r}")
        many = arms.number_of(spec, "arms")
        return Portfolio(regression.fresh(many, arms.number_of(spec, "dimensions"), ridge), np.zeros(many), math.log(cap))

    def losses(logarithms: np.ndarray, deviations: np.ndarray, cap: float) -> np.ndarray:
        """Expected log PAR10 of log runtimes with these means and deviations."""
        if loss == "runtime":
            return logarithms
        z = (cap - logarithms) / np.maximum(deviations, 1e-9)
        solved = normal_cdf(z)
        density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        return np.asarray(solved * logarithms - deviations * density + (1.0 - solved) * (cap + math.log(10.0)))

    def ask(state: Portfolio, context: Any, rng: np.random.Generator) -> Trial:
        known, told, cap = state
        x = regression.features(known, context)
        if not told.all():
            arm, chance = arms.largest(-told, rng)
            return Trial(id="", proposal=arm, propensity=chance)
        means, deviations = regression.predict(known, x), deviation * regression.width(known, x)
        expected = losses(means + deviations * rng.standard_normal(len(means)), deviations, cap)
        arm, tied = arms.largest(-expected, rng)
        chance = monotone_least(arm, lambda z: losses(means[:, None] + deviations[:, None] * z, deviations[:, None], cap))
        return Trial(id="", proposal=arm, propensity=tied * chance)

    def tell(state: Portfolio, trial: Trial, feedback: Feedback) -> Portfolio:
        if not isinstance(feedback, Score):
            return state
        known, told, cap = state
        x, arm = regression.features(known, trial.context), int(trial.proposal)  # type: ignore[arg-type]
        seconds = -feedback.value
        if seconds < 0.0:
            raise InputError(f"the score is minus the seconds that the run took, got {feedback.value:g}")
        logarithm = math.log(max(seconds, FASTEST))
        told = told.copy()
        told[arm] = 1.0
        if feedback.status == "censored":
            if censored == "drop":
                return Portfolio(known, told, cap)
            if censored == "impute":
                width = deviation * float(regression.width(known, x)[arm])
                logarithm = above(logarithm, float(regression.predict(known, x)[arm]), width)
        return Portfolio(regression.update(known, arm, x, logarithm), told, cap)

    def some(state: Portfolio, places: Sequence[int]) -> Portfolio:
        return Portfolio(regression.some(ridge)(state.known, places), arms.rearranged(state.told, places), state.cap)

    def merge(state: Portfolio, other: Portfolio, base: Portfolio) -> Portfolio:
        return Portfolio(regression.merge(state.known, other.known, base.known), np.maximum(state.told, other.told), state.cap)

    return Learner(init, ask, tell, some, merge)


def above(bound: float, mean: float, deviation: float) -> float:
    """Mean of a normal variable, given that it lies above the bound; without a deviation, the larger of the two."""
    return max(bound, mean + deviation * hazard((bound - mean) / deviation)) if deviation > 0.0 else max(bound, mean)
