"""Random choice: any arm with the same probability, or any two where two are compared; what nothing should lose to.

The reference of every comparison of bandits. Its log is the best there is for off-policy estimates, as every arm has the same
known probability.

How this differs: nothing to differ from. It learns nothing and takes any feedback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import JsonValue

from loopwright.blocks import arms
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np


class Options(NamedTuple):
    arms: int
    compared: int  # how many are shown at once


@learner(improves="choice", baseline=True)
def random_choice() -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Options:
        number = arms.number_of(spec, "arms")
        return Options(number, arms.number_of(spec, "compared", 2) if "compared" in spec else 1)

    def ask(state: Options, context: Any, rng: np.random.Generator) -> Trial:
        if state.compared == 1:
            return Trial(id="", proposal=int(rng.integers(state.arms)), propensity=1.0 / state.arms)
        shown: list[JsonValue] = [int(i) for i in rng.permutation(state.arms)[: state.compared]]
        ways = 1.0
        for i in range(len(shown)):
            ways /= state.arms - i
        return Trial(id="", proposal=shown, propensity=ways)

    def tell(state: Options, trial: Trial, feedback: Feedback) -> Options:
        return state

    def some(state: Options, places: Sequence[int]) -> Options:
        if len(places) < state.compared:
            raise InputError(f"{state.compared} arms are compared at once, got {len(places)}")
        return state._replace(arms=len(places))

    return Learner(init, ask, tell, some, lambda state, other, base: state)
