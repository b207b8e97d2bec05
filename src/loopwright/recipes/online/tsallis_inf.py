"""Tsallis-INF: arms are drawn by weights that fall with the square of their estimated losses; made for luck and for malice alike.

Zimmert and Seldin, "Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits", arXiv:1807.07623: mirror descent
with Tsallis entropy of power 1/2. The chance of an arm is 4 / (eta (L - x))^2, where L is the sum of its losses, each divided
by the chance it was drawn with, eta = ``rate`` / sqrt(t), and x makes the chances sum to 1. Needs no horizon and no tuning.

How this differs: losses are counted from the best that a score can be, in units of their mean so far, as Khodak et al. do
(arXiv:2310.02246, their code): iterations or seconds have no range that is known beforehand. A score that was cut off counts
as its bound. Feedback may come late: t is the number of answers.
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


class Losses(NamedTuple):
    estimated: np.ndarray  # [arms] sums of losses over chances
    total: float  # of the losses themselves
    answers: int


def chances(losses: np.ndarray, eta: float) -> np.ndarray:
    """[arms] 4 / (eta (losses - x))^2 with the x, below all losses, for which they sum to 1."""
    x = float(losses.min()) - 2.0 / eta  # here the least alone has chance 1, so Newton's steps only ever go down
    for _ in range(100):
        p = 4.0 / (eta * (losses - x)) ** 2
        over = float(p.sum()) - 1.0
        if over < 1e-12:
            break
        x -= over / (eta * float((p**1.5).sum()))
    return np.asarray(p / p.sum())


@learner(paper="arXiv:1807.07623", improves="arm", learns_from=("score",), baseline=True)
def tsallis_inf(*, rate: Annotated[float, Field(gt=0.0)] = 2.0) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Losses:
        return Losses(np.zeros(arms.number_of(spec, "arms")), 0.0, 0)

    def ask(state: Losses, context: Any, rng: np.random.Generator) -> Trial:
        unit = state.total / state.answers if state.total else 1.0
        arm, propensity = arms.draw(chances(state.estimated / unit, rate / (state.answers + 1) ** 0.5), rng)
        return Trial(id="", proposal=arm, propensity=propensity)

    def tell(state: Losses, trial: Trial, feedback: Feedback) -> Losses:
        if not isinstance(feedback, Score):
            return state
        chance = arms.chance_of(trial, "tsallis-inf")
        loss = feedback.high - feedback.value
        estimated = state.estimated.copy()
        estimated[int(trial.proposal)] += loss / chance  # type: ignore[arg-type]
        return Losses(estimated, state.total + loss, state.answers + 1)

    def some(state: Losses, places: Sequence[int]) -> Losses:
        """A new arm begins as if it had lost what the others have on average."""
        return state._replace(estimated=arms.rearranged(state.estimated, places, state.estimated.mean()))

    return Learner(init, ask, tell, some, arms.added)
