"""CMA-ES: solutions are drawn from a normal distribution, which moves and reshapes itself towards the better half of them.

Hansen, "The CMA evolution strategy: a tutorial", arXiv:1604.00772 (blocks.cma). For an objective of some to some hundred
numbers of which no gradient is to be had, noisy and rugged ones among them. Needs no measures; a Score may stand for the
objective, more being better. Between two updates any number of solutions may be out.

``population`` is lambda, 0 being 4 + 3 ln d; ``deviation`` is the first step as a share of each range. When a distribution has
shrunk to nothing a new one starts elsewhere, with ``growth`` times the population (Auger and Hansen, 2005: 2; 1 keeps it).

How this differs: an update is made after as many answers as the population has, whoever was asked for them and when, so that
one who fails or is late holds nobody up (arXiv:1110.4181). A new start goes from the best of a population drawn evenly from
the box. Negative weights, which are the tutorial's latest default, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import cma, space
from loopwright.blocks.cma import Strategy
from loopwright.blocks.space import OBJECTIVE, Batch, Box, Deviation
from loopwright.core.feedback import Feedback
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Search(NamedTuple):
    box: Box
    strategy: Strategy  # in units of the box: 0 to 1 in every dimension
    searching: bool  # False while a start is looked for
    population: int
    points: np.ndarray  # [n, d] answered since the last update, in units of the box
    values: np.ndarray  # [n]
    best: np.ndarray  # [d] the best solution so far
    best_value: float | None


@learner(paper="arXiv:1604.00772", improves="vector", learns_from=("measures", "score"), baseline=True)
def cma_es(
    *,
    population: Annotated[int, Field(ge=0)] = 0,
    deviation: Deviation = 0.3,
    growth: Annotated[float, Field(ge=1.0)] = 2.0,
    batch: Batch = 1,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Search:
        box = space.box(spec)
        d = len(box.low)
        middle = cma.fresh(np.full(d, 0.5), deviation)
        size = max(population or cma.population(d), 2)
        return Search(box, middle, True, size, np.zeros((0, d)), np.zeros(0), (box.low + box.high) / 2, None)

    def ask(state: Search, context: Any, rng: np.random.Generator) -> Trial:
        box, d = state.box, len(state.box.low)
        unit = Box(np.zeros(d), np.ones(d))
        points = cma.draw(state.strategy, unit, rng, batch) if state.searching else space.uniform(unit, rng, batch)
        return space.trial(space.inside(box, box.low + (box.high - box.low) * points))

    def tell(state: Search, trial: Trial, feedback: Feedback) -> Search:
        box, solutions = state.box, space.proposed(trial, len(state.box.low))
        table = space.answers(feedback, (OBJECTIVE,), len(solutions))
        if table is None:
            return state
        sound = np.isfinite(table[:, 0])
        solutions, values = solutions[sound], table[sound, 0]
        if len(values) and (state.best_value is None or values.max() > state.best_value):
            state = state._replace(best=solutions[values.argmax()], best_value=float(values.max()))
        points = (solutions - box.low) / (box.high - box.low)
        while len(values):  # a batch may be the end of one population and the beginning of the next
            room = state.population - len(state.points)
            state = state._replace(
                points=np.concatenate([state.points, points[:room]]), values=np.concatenate([state.values, values[:room]])
            )
            points, values = points[room:], values[room:]
            if len(state.points) >= state.population:
                state = advance(state)
        return state

    def advance(state: Search) -> Search:
        ranked = state.points[np.argsort(-state.values, kind="stable")]
        flat = state.values.max() == state.values.min()
        state = state._replace(points=state.points[:0], values=state.values[:0])
        if not state.searching:
            return state._replace(strategy=cma.fresh(ranked[0], deviation), searching=True)
        strategy = cma.update(state.strategy, ranked[: len(ranked) // 2])
        if flat or cma.spent(strategy):
            return state._replace(searching=False, population=int(state.population * growth))
        return state._replace(strategy=strategy)

    return Learner(init, ask, tell)
