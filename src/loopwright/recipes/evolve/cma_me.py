"""CMA-ME: several normal distributions move to where solutions enter an archive of elites, each until nothing enters any more.

Fontaine et al., "Covariance matrix adaptation for the rapid illumination of behavior space", arXiv:1912.02400, with its
improvement emitters. Each of ``emitters`` distributions (blocks.cma) ranks what was drawn from it: solutions of a new cell
first, by objective, then those better than a cell's elite, by how much; what entered the archive are its parents. Where
nothing entered, it starts anew from an elite. World and answers are those of ``map-elites``.

``population`` is how many answers an update waits for, 0 being 4 + 3 ln d. ``deviation`` is the first step. A trial proposes
``batch`` solutions of each of ``at_once`` emitters, where the world evaluates so many together.

How this differs: deviations are shares of the ranges of the box, in whose middle the first distributions start. Solutions to
try come from an emitter drawn at random (and those after it), so that many may be out at once, and count for it whenever their
answer comes; in the paper all emitters take turns. Take more emitters than trials are out: what one proposes before it hears of
the last lies in the same place.
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
    at_once: Annotated[int, Field(ge=1)] = 1,
) -> Learner:
    if at_once > emitters:
        raise InputError(f"at_once is how many of the {emitters} emitters a trial asks, so at most as many, got {at_once}")

    def init(spec: Mapping[str, JsonValue]) -> Map:
        box, ranges = space.box(spec), archives.ranges(spec)
        low, high = zip(*ranges.values(), strict=True)
        archive = archives.fresh(low, high, [cells] * len(ranges), len(box.low))
        return Map(box, tuple(ranges), archive, (begin(np.full(len(box.low), 0.5)),) * emitters)

    def begin(mean: np.ndarray) -> Emitter:
        return waiting(cma.fresh(mean, deviation))

    def ask(state: Map, context: Any, rng: np.random.Generator) -> Trial:
        box, d = state.box, len(state.box.low)
        unit, first = Box(np.zeros(d), np.ones(d)), int(rng.integers(emitters))
        asked = [(first + i) % emitters for i in range(at_once)]
        points = np.concatenate([cma.draw(state.emitters[number].strategy, unit, rng, batch) for number in asked])
        solutions = space.inside(box, box.low + (box.high - box.low) * points)
        return space.trial(solutions, parents=tuple(f"emitter {number}" for number in asked))

    def tell(state: Map, trial: Trial, feedback: Feedback) -> Map:
        box, solutions = state.box, space.proposed(trial, len(state.box.low))
        table = space.answers(feedback, (OBJECTIVE, *state.names), len(solutions))
        if table is None:
            return state
        asked = emitters_of(trial, len(state.emitters), len(solutions))
        archive, added = archives.add(state.archive, solutions, table[:, 0], table[:, 1:])
        points, each, told = (solutions - box.low) / (box.high - box.low), len(solutions) // len(asked), list(state.emitters)
        for i, number in enumerate(asked):
            part = slice(i * each, (i + 1) * each)
            told[number] = heard(told[number], points[part], Added(added.status[part], added.gain[part]))
            if len(told[number].points) >= (population or cma.population(len(box.low))):
                told[number] = advance(told[number], box, archive)
        return state._replace(archive=archive, emitters=tuple(told))

    def advance(emitter: Emitter, box: Box, archive: Archive) -> Emitter:
        order = np.lexsort((-emitter.gain, -emitter.status))
        parents = emitter.points[order[: int((emitter.status > 0).sum())]]
        if len(parents):
            strategy = cma.update(emitter.strategy, parents)
            if not cma.spent(strategy):
                return waiting(strategy)
        if not archive.filled:
            return begin(emitter.strategy.mean)
        start = archives.pick(archive, space.generator(emitter.points), 1)[0]
        return begin((start - box.low) / (box.high - box.low))

    return Learner(init, ask, tell)


def waiting(strategy: Strategy) -> Emitter:
    return Emitter(strategy, np.zeros((0, len(strategy.mean))), np.zeros(0, dtype=np.int64), np.zeros(0))


def heard(emitter: Emitter, points: np.ndarray, added: Added) -> Emitter:
    """With answers to these points; those that failed are not of the population."""
    sound = np.isfinite(added.gain)
    points, status, gain = points[sound], added.status[sound], added.gain[sound]
    return emitter._replace(
        points=np.concatenate([emitter.points, points]), status=np.concatenate([emitter.status, status]),
        gain=np.concatenate([emitter.gain, gain]),
    )  # fmt: skip


def emitters_of(trial: Trial, emitters: int, solutions: int) -> list[int]:
    """Which emitters a trial came from, each with an equal share of it. Raises InputError for a trial that came from others."""
    names = [parent.partition(" ") for parent in trial.parents]
    numbers = [int(which) for name, _, which in names if name == "emitter" and which.isdecimal() and int(which) < emitters]
    if not numbers or len(numbers) < len(names):
        raise InputError(f"the trial's parents must name each one of {emitters} emitters, as in 'emitter 0', got {trial.parents}")
    if solutions % len(numbers):
        raise InputError(f"{len(numbers)} emitters have an equal share of a trial each, got {solutions} solutions")
    return numbers
