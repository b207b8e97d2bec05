"""Q-learning: the worth of an action is its reward and the worth of the best action where it leads, step by step.

Watkins and Dayan, "Q-learning", Machine Learning 8, 1992. Actions are drawn from a softmax of their worth times
``sharpness``, or with ``sharpness`` 0 at random. Worth is linear in the observation.

How this differs: where an action led is known when the next one is told, so a step is learned from then, or when the next
episode begins, as its last: of an episode that terminated nothing is ahead of it, of one that was truncated (see
``blocks.acting``) what the observation is worth that it broke off at. A step whose successor is not told next is left out. A
score is in units of its range's farther end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import acting, arms
from loopwright.core.feedback import Feedback, Score
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Worth(NamedTuple):
    weights: np.ndarray  # [actions, d]
    last: np.ndarray  # [d] the observation of the step that waits for its successor
    action: int  # -1 where none waits
    reward: float
    episode: int
    step: int


@learner(paper="doi:10.1007/BF00992698", improves="action", learns_from=("score",), baseline=True)
def q_learning(
    *,
    rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5,
    discount: Annotated[float, Field(ge=0.0, le=1.0)] = 0.99,
    sharpness: Annotated[float, Field(ge=0.0)] = 10.0,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Worth:
        actions, d = arms.number_of(spec, "arms", 2), arms.number_of(spec, "dimensions")
        return Worth(np.zeros((actions, d)), np.zeros(d), -1, 0.0, 0, 0)

    def ask(state: Worth, context: Any, rng: np.random.Generator) -> Trial:
        x = acting.seen(context, state.weights.shape[1]).observation
        action, propensity = arms.draw(acting.softmax(sharpness * (state.weights @ x)), rng)
        return Trial(id="", proposal=action, propensity=propensity)

    def tell(state: Worth, trial: Trial, feedback: Feedback) -> Worth:
        if not isinstance(feedback, Score):
            return state
        now = acting.seen(trial.context, state.weights.shape[1])
        action, reward = acting.action_of(trial, len(state.weights)), acting.praise(feedback)
        if discount == 0.0:
            return state._replace(weights=moved(state.weights, now.observation, action, reward))
        weights, follows = state.weights, now.step in (state.step + 1, -1)
        if state.action >= 0 and (begun(state, now) or (now.episode == state.episode and follows)):
            onward = now.broken_off if now.episode > state.episode else now.observation
            ahead = 0.0 if onward is None else float((weights @ onward).max())
            weights = moved(weights, state.last, state.action, state.reward + discount * ahead)
        return Worth(weights, now.observation, action, reward, now.episode, now.step)

    def begun(state: Worth, now: acting.Seen) -> bool:
        """Whether the episode after that of the step that waits begins now, so that what is said of the last one is of that."""
        if now.episode <= state.episode or now.step > 0:
            return False
        return now.broken_off is None or now.episode == state.episode + 1

    def moved(weights: np.ndarray, x: np.ndarray, action: int, target: float) -> np.ndarray:
        weights = weights.copy()
        weights[action] += rate * (target - float(weights[action] @ x)) * x / max(float(x @ x), 1.0)
        return weights

    return Learner(init, ask, tell)
