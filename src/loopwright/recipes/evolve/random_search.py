"""Random search: solutions drawn evenly from the box, whatever came of the ones before; what nothing should lose to.

How this differs: nothing to differ from. It learns nothing and takes any feedback.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from loopwright.blocks import space
from loopwright.blocks.space import Batch, Box
from loopwright.core.feedback import Feedback
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np


@learner(improves="vector", baseline=True)
def random_search(*, batch: Batch = 1) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Box:
        return space.box(spec)

    def ask(state: Box, context: Any, rng: np.random.Generator) -> Trial:
        return space.trial(space.uniform(state, rng, batch))

    def tell(state: Box, trial: Trial, feedback: Feedback) -> Box:
        return state

    return Learner(init, ask, tell)
