"""Switching costs and looks: an arm is played for a block of steps, as changing costs; what others pay is looked up now and then.

Cheng, Zhou and Ji, "Understanding the Role of Feedback in Online Learning with Switching Costs", arXiv:2306.09588. For choices
that cost something to change (a server to move, a supplier, a dose) when there are ``extra`` looks at what was not chosen.
T is ``horizon``, K the number of arms, and the order of the regret, price of the changes in it, is

    extra below K^(1/3) T^(2/3): (K ln K)^(1/3) T^(2/3), as if there were no looks
    extra above: T sqrt(K ln K / extra)

Above, one round of each block, drawn at random, shows what all arms pay (K - 1 looks and the one that is played); weights fall
as exp(-step * loss), and from block to block the arm stays with chance exp(-step * its loss), else it is drawn anew by the
weights (shrinking dartboard). Below, it is Exp3 in blocks, each of whose losses is divided by the chance of its arm (Arora,
Dekel and Tewari, arXiv:1206.6400), and looks are not made. ``price`` of a change is in units of the range of a reward.

The world tells ``{"arms": 5, "looks": true}``. A trial proposes an arm, or {"play": arm, "look": [arms]} in a round that shows
all. That is answered by Measures: the reward of each from 0 to 1, by its number as text; with the Score of its arm alone, the
look has failed. Where trials are asked before earlier ones are answered, a block may begin with several arms and look more
than once.

How this differs: lengths and steps are made here, as those with which the bounds are least, constants and ``price`` included;
the paper's orders were read, not its own constants. Without looks a block's estimate takes all its rounds.

When it does not help: it guards against rewards that may change at will. Where the means stand still and there are no looks,
``ucb1`` and ``thompson`` come to rest sooner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import Feedback, Measures, Score
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Blocks(NamedTuple):
    losses: np.ndarray  # [arms] sum over blocks of estimated mean losses
    last: np.ndarray  # [arms] what the block before added
    heard: np.ndarray  # [arms] sum of this block's losses
    looks: int  # in this block
    answers: int  # in this block
    arm: int  # played in this block, or before it where it has no answers; -1 before the first
    left: int  # rounds that may still show all


class Plan(NamedTuple):
    length: int  # of a block
    step: float
    rounds: int  # that show all; 0 does without


def planned(count: int, horizon: int, extra: int, price: float) -> Plan:
    """Lengths and steps for ``count`` arms; see above."""
    if count == 1:
        return Plan(horizon, 1.0, 0)
    much = math.log(count)
    if extra >= count ** (1 / 3) * horizon ** (2 / 3):
        blocks = min(extra // (count - 1), horizon)
        length = math.ceil(horizon / blocks)
        return Plan(length, math.sqrt(much * length / (horizon / length * (length / 2 + price))), blocks)
    length = min(max(1, round((2 * price**2 * horizon / (count * much)) ** (1 / 3))), horizon)
    return Plan(length, math.sqrt(2 * much * length / (horizon * count)), 0)


@learner(paper="arXiv:2306.09588", improves="arm", learns_from=("score", "measures"))
def switching_cost_feedback(
    *,
    horizon: Annotated[int, Field(ge=1)] = 8000,
    extra: Annotated[int, Field(ge=0)] = 4000,
    price: Annotated[float, Field(ge=0.0)] = 1.0,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Blocks:
        count = arms.number_of(spec, "arms")
        plan, none = planned(count, horizon, extra, price), np.zeros(count)
        if plan.rounds and spec.get("looks") is not True:
            raise InputError(
                f'extra={extra} looks are to be made, but the specification does not say "looks": true, that a trial may ask '
                "what other arms pay; use extra=0, which is batched-exp3"
            )
        return Blocks(none, none, none, 0, 0, -1, plan.rounds)

    def ask(state: Blocks, context: Any, rng: np.random.Generator) -> Trial:
        count = len(state.losses)
        plan = planned(count, horizon, extra, price)
        weights = np.exp(-plan.step * (state.losses - state.losses.min()))
        chances = weights / weights.sum()
        arm = state.arm
        # The dartboard leaves the chances as they are only where no loss it has seen depends on what was drawn before. Looks
        # at all arms do not; losses of the played arm alone do, and then each block needs a draw of its own.
        if state.answers == 0:
            stays = plan.rounds > 0 and arm >= 0 and rng.random() < math.exp(-plan.step * state.last[arm])
            arm = arm if stays else arms.draw(chances, rng)[0]
        shown = plan.rounds > 0 and state.left > 0 and not state.looks
        if shown and rng.random() * (plan.length - state.answers) < 1.0:  # so each round of the block is as likely
            proposal: JsonValue = {"play": arm, "look": [other for other in range(count) if other != arm]}
        else:
            proposal = arm
        return Trial(id="", proposal=proposal, propensity=min(float(chances[arm]), 1.0))

    def tell(state: Blocks, trial: Trial, feedback: Feedback) -> Blocks:
        if not isinstance(feedback, Score | Measures):
            return state
        plan = planned(len(state.losses), horizon, extra, price)
        asked: Any = trial.proposal
        arm, looked = (asked["play"], True) if isinstance(asked, dict) else (int(asked), False)
        heard, looks = state.heard.copy(), state.looks
        if not looked and isinstance(feedback, Measures):
            raise NoConversion("this trial plays one arm and looks at no other, so it is answered by a score, got measures")
        if looked and isinstance(feedback, Measures):
            heard += [1.0 - _reward(feedback, other) for other in range(len(heard))]
            looks += 1
        elif not plan.rounds and isinstance(feedback, Score):
            heard[arm] += (1.0 - feedback.unit) / arms.chance_of(trial, "switching-cost-feedback")
        answers, left = state.answers + 1, state.left - looked
        if answers < plan.length:
            return Blocks(state.losses, state.last, heard, looks, answers, arm, left)
        mean = heard / (max(looks, 1) if plan.rounds else plan.length)
        return Blocks(state.losses + mean, mean, np.zeros(len(mean)), 0, 0, arm, left)

    return Learner(
        init, ask, tell,
        fixed="it plays one arm for a whole block, and in a round with looks shows all of them; use exp3 or thompson",
    )  # fmt: skip


def _reward(feedback: Measures, arm: int) -> float:
    value: Any = feedback.values.get(str(arm))
    if not isinstance(value, float | int) or not 0.0 <= value <= 1.0:
        raise InputError(f'a look at all arms is answered by {{"0": reward, "1": ...}} from 0 to 1, got {value!r} for "{arm}"')
    return float(value)
