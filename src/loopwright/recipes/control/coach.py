"""COACH: praise and blame are taken as the advantage of an action over how one acts now, and the policy follows it.

MacGlashan et al., "Interactive learning from policy-dependent human feedback", arXiv:1701.06049. People judge what an
actor does by how it has done so far: praise for a good action dies away once it is always taken. Taken as a reward,
that unlearns what was learned; it is the advantage A of the policy, of which the policy gradient E[grad log pi(a|s)
A(s,a)] asks. After feedback f:

    trace   <- decay * trace + grad log pi(a|s), of the action taken ``delay`` steps before f came, by the policy as it
    is now weights <- weights + rate * f * trace

Actions are drawn from a softmax of the observation times the weights. ``decay`` lets one word speak of several actions,
where words are rare; 0 is for words about each. ``delay`` is what people take to react, in steps, where words come labelled
by the step at which they came. Silence is a score of 0.

How this differs: the paper keeps several traces and the trainer chooses between them; there is one here. The trace is
cleared where an episode begins. A score is in units of its range's farther end, so that 0 stays 0. Of the paper only
excerpts were read, and Deep COACH (arXiv:1902.04257) of the update: the defaults of ``rate`` and ``decay`` are ours.
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


class Actor(NamedTuple):
    weights: np.ndarray  # [actions, d]
    trace: np.ndarray  # [actions, d]
    episode: int  # of the action that the trace heard of last
    taken: np.ndarray  # [up to delay, d + 2] observation, action and episode of the latest actions, oldest first


@learner(paper="arXiv:1701.06049", improves="action", learns_from=("score",))
def coach(
    *,
    rate: Annotated[float, Field(gt=0.0)] = 0.5,
    decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0,
    delay: Annotated[int, Field(ge=0)] = 0,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Actor:
        actions, d = arms.number_of(spec, "arms", 2), arms.number_of(spec, "dimensions")
        return Actor(np.zeros((actions, d)), np.zeros((actions, d)), 0, np.zeros((0, d + 2)))

    def ask(state: Actor, context: Any, rng: np.random.Generator) -> Trial:
        x = acting.seen(context, state.weights.shape[1]).observation
        action, propensity = arms.draw(acting.softmax(state.weights @ x), rng)
        return Trial(id="", proposal=action, propensity=propensity)

    def tell(state: Actor, trial: Trial, feedback: Feedback) -> Actor:
        if not isinstance(feedback, Score):
            return state
        actions, d = state.weights.shape
        now = acting.seen(trial.context, d)
        taken = np.vstack([state.taken, [*now.observation, acting.action_of(trial, actions), now.episode]])
        if len(taken) <= delay:
            return state._replace(taken=taken)
        x, action, episode = taken[0, :d], int(taken[0, d]), int(taken[0, d + 1])
        slope = -np.outer(acting.softmax(state.weights @ x), x)
        slope[action] += x
        trace = slope + (decay * state.trace if episode == state.episode else 0.0)
        weights = state.weights + rate * acting.praise(feedback) * trace
        return Actor(weights, trace, episode, taken[1:])

    return Learner(init, ask, tell)
