"""MAP-Elites: the best solution of every kind is kept, and new ones are made by changing a kept one at random.

Mouret and Clune, "Illuminating search spaces by mapping elites", arXiv:1504.04909. Measures say of which kind a solution is;
their ranges are cut into ``cells`` each (blocks.archive). After ``initial`` solutions drawn evenly from the box, an elite is
drawn and normal noise added to it; with ``line``, also a step along the way to another elite, of normal length (Vassiliades and
Mouret, arXiv:1804.03906), which helps where elites lie on a common surface.

The world tells where to search and what is measured (``{"dimensions": 10, "low": -1, "high": 1, "measures": {"x": [0, 5]}}``);
an answer is Measures with these and the ``objective``, more being better. Any number of solutions may be out at once.

How this differs: deviations are shares of the ranges of the box, and a child beyond it is put on its side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import archive as archives
from loopwright.blocks import space
from loopwright.blocks.archive import Archive
from loopwright.blocks.space import OBJECTIVE, Batch, Box, Deviation, Line
from loopwright.core.feedback import Feedback
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np


class Map(NamedTuple):
    box: Box
    names: tuple[str, ...]  # of the measures
    answers: int  # solutions evaluated
    archive: Archive  # its pages hold the solutions


@learner(paper="arXiv:1504.04909", improves="archive", learns_from=("measures",), baseline=True)
def map_elites(
    *,
    cells: Annotated[int, Field(ge=1)] = 50,
    deviation: Deviation = 0.02,
    line: Line = 0.0,
    initial: Annotated[int, Field(ge=0)] = 100,
    batch: Batch = 1,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Map:
        box, ranges = space.box(spec), archives.ranges(spec)
        low, high = zip(*ranges.values(), strict=True)
        return Map(box, tuple(ranges), 0, archives.fresh(low, high, [cells] * len(ranges), len(box.low)))

    def ask(state: Map, context: Any, rng: np.random.Generator) -> Trial:
        box = state.box
        if state.answers < initial or not state.archive.filled:
            return space.trial(space.uniform(box, rng, batch))
        return space.trial(archives.children(state.archive, box, rng, batch, deviation=deviation, line=line))

    def tell(state: Map, trial: Trial, feedback: Feedback) -> Map:
        solutions = space.proposed(trial, len(state.box.low))
        table = space.answers(feedback, (OBJECTIVE, *state.names), len(solutions))
        if table is None:
            return state
        archive, _ = archives.add(state.archive, solutions, table[:, 0], table[:, 1:])
        return state._replace(archive=archive, answers=state.answers + len(solutions))

    return Learner(init, ask, tell)
