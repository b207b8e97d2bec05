"""CMA-ME: several normal distributions move to where solutions enter an archive of elites, each until nothing enters any more.

Fontaine et al., "Covariance matrix adaptation for the rapid illumination of behavior space", arXiv:1912.02400, with its
improvement emitters. Each of ``emitters`` distributions (blocks.cma) ranks what was drawn from it: solutions of a new cell
first, by objective, then those better than a cell's elite, by how much; what entered the archive are its parents. Where
nothing entered, it starts anew from an elite. World and answers are those of ``map-elites``.

``population`` is how many answers an update waits for, 0 being 4 + 3 ln d. ``deviation`` is the first step.

How this differs: deviations are shares of the ranges of the box, in whose middle the first distributions start. A solution to
try comes from an emitter drawn at random, so that many may be out at once, and counts for it whenever its answer comes. Take
more emitters than trials are out: what one proposes before it hears of the last lies in the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import archive as archives
from loopwright.blocks import cma, space
from loopwright.blocks.archive import Added, Archive
from loopwright.blocks.cma import Strategy
from loopwright.blocks.space import OBJECTIVE, Batch, Box, Deviation
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Emitter(NamedTuple):
    strategy: Strategy  # in units of the box: 0 to 1 in every dimension
    points: np.ndarray  # [n, d] answered since the last update, in the same units
    status: np.ndarray  # [n] what became of them
    gain: np.ndarray  # [n]


class Map(NamedTuple):
    box: Box
    names: tuple[str, ...]  # of the measures
    archive: Archive  # its pages hold the solutions
    emitters: tuple[Emitter, ...]


@learner(paper="arXiv:1912.02400", improves="archive", learns_from=("measures",), baseline=True)
def cma_me(
    *,
    cells: Annotated[int, Field(ge=1)] = 50,
    emitters: Annotated[int, Field(ge=1)] = 15,
    population: Annotated[int, Field(ge=0)] = 0,
    deviation: Deviation = 0.02,
    batch: Batch = 1,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Map:
        box, ranges = space.box(spec), archives.ranges(spec)
        low, high = zip(*ranges.values(), strict=True)
        archive = archives.fresh(low, high, [cells] * len(ranges), len(box.low))
        return Map(box, tuple(ranges), archive, (begin(np.full(len(box.low), 0.5)),) * emitters)

    def begin(mean: np.ndarray) -> Emitter:
        return Emitter(cma.fresh(mean, deviation), np.zeros((0, len(mean))), np.zeros(0, dtype=np.int64), np.zeros(0))

    def ask(state: Map, context: Any, rng: np.random.Generator) -> Trial:
        box, d = state.box, len(state.box.low)
        number = int(rng.integers(len(state.emitters)))
        points = cma.draw(state.emitters[number].strategy, Box(np.zeros(d), np.ones(d)), rng, batch)
        solutions = space.inside(box, box.low + (box.high - box.low) * points)
        return space.trial(solutions, parents=(f"emitter {number}",))

    def tell(state: Map, trial: Trial, feedback: Feedback) -> Map:
        box, solutions = state.box, space.proposed(trial, len(state.box.low))
        table = space.answers(feedback, (OBJECTIVE, *state.names), len(solutions))
        if table is None:
            return state
        number = emitter_of(trial, len(state.emitters))
        archive, added = archives.add(state.archive, solutions, table[:, 0], table[:, 1:])
        emitter = heard(state.emitters[number], (solutions - box.low) / (box.high - box.low), added)
        if len(emitter.points) >= (population or cma.population(len(box.low))):
            emitter = advance(emitter, box, archive)
        all_ = (*state.emitters[:number], emitter, *state.emitters[number + 1 :])
        return state._replace(archive=archive, emitters=all_)

    def advance(emitter: Emitter, box: Box, archive: Archive) -> Emitter:
        order = np.lexsort((-emitter.gain, -emitter.status))
        parents = emitter.points[order[: int((emitter.status > 0).sum())]]
        if len(parents):
            strategy = cma.update(emitter.strategy, parents)
            if not cma.spent(strategy):
                return begin(strategy.mean)._replace(strategy=strategy)
        if not archive.filled:
            return begin(emitter.strategy.mean)
        start = archives.pick(archive, space.generator(emitter.points), 1)[0]
        return begin((start - box.low) / (box.high - box.low))

    return Learner(init, ask, tell)


def heard(emitter: Emitter, points: np.ndarray, added: Added) -> Emitter:
    """With answers to these points; those that failed are not of the population."""
    sound = np.isfinite(added.gain)
    points, status, gain = points[sound], added.status[sound], added.gain[sound]
    return emitter._replace(
        points=np.concatenate([emitter.points, points]), status=np.concatenate([emitter.status, status]),
        gain=np.concatenate([emitter.gain, gain]),
    )  # fmt: skip


def emitter_of(trial: Trial, number: int) -> int:
    """Which emitter a trial came from. Raises InputError for a trial that came from none of them."""
    for parent in trial.parents:
        name, _, which = parent.partition(" ")
        if name == "emitter" and which.isdecimal() and int(which) < number:
            return int(which)
    raise InputError(f"the trial's parents must name one of {number} emitters, such as 'emitter 0', got {trial.parents}")
