"""QDHF: people say which of two solutions is more like a third, and MAP-Elites keeps the best of every kind they can tell apart.

Ding et al., "Quality diversity through human feedback", arXiv:2310.12103. For solutions of which nobody can write down in what
they differ, such as pictures or gaits. Features of each solution (of an embedding, say) are projected to two measures such
that what was judged more alike lies nearer (blocks.likeness): hinge loss max(0, ``margin`` - y times the difference of squared
distances). A grid over the measures is the archive of ``map-elites``. An equal part of the ``judgements`` is asked for each
time that as many solutions as the next of ``stages`` says were evaluated; then the projection is learned anew from all of them,
and the elites move to a new archive, over the range that they span.

Two sorts of trial: solutions, answered by Measures with the ``objective`` and the features that the specification lists
(``{"features": ["f0", ...], "dimensions": ..., "low": ..., "high": ...}``); and ``{"triplet": [reference, first, second], ...}``,
answered by a Preference for ``"1"`` or ``"2"``, whichever of the two is more alike. Its ``features`` are a note for later.

How this differs: questions are of solutions that were evaluated before, as people must be shown something; the authors' program
draws others for the first stage. Features are standardised, and the fit ends by its loss on a held-out quarter. Not in the
paper: ``line``, as in ``map-elites``; ``hidden`` units, where it projects linearly; and ``metric="random"`` and "principal",
which hear no answer and project at random (the row ``random-projection``) or to the principal components.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import archive as archives
from loopwright.blocks import likeness, space
from loopwright.blocks.archive import Archive
from loopwright.blocks.likeness import Lens
from loopwright.blocks.space import OBJECTIVE, Batch, Box, Deviation, Line
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import Feedback, NotNegative, Positive, Preference
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Map(NamedTuple):
    box: Box
    names: tuple[str, ...]  # of the features
    answers: int  # solutions evaluated
    judged: int  # questions answered, ties among them
    triplets: np.ndarray  # [n, 3, f] features of what was compared
    second: np.ndarray  # [n] whether the second of the two was more alike
    lens: Lens
    waiting: np.ndarray  # [n, 1 + d + f] objective, solution and features of what was evaluated before there was an archive
    archive: Archive  # its pages hold solution and features


@learner(paper="arXiv:2310.12103", improves="likeness", learns_from=("measures", "preference"))
def qdhf(
    *,
    judgements: Annotated[int, Field(ge=0)] = 1000,
    stages: tuple[int, ...] = (100, 10_000, 25_000, 50_000),
    metric: Literal["learned", "random", "principal"] = "learned",
    measures: Annotated[int, Field(ge=1)] = 2,
    hidden: Annotated[int, Field(ge=0)] = 0,
    cells: Annotated[int, Field(ge=1)] = 50,
    deviation: Deviation = 0.016,
    line: Line = 0.0,
    margin: NotNegative = 0.05,
    rate: Positive = 0.001,
    epochs: Annotated[int, Field(ge=1)] = 1000,
    batch: Batch = 1,
) -> Learner:
    """deviation: 0.1 radians of the authors' arm, whose joints turn by 2 pi. batch: of solutions; questions come one by one."""
    if not stages or min(stages) < 2 or list(stages) != sorted(stages):
        raise InputError(f"stages are numbers of evaluations, rising, the first at least 2, got {stages}")
    parts = [judgements * (k + 1) // len(stages) for k in range(len(stages))]

    def init(spec: Mapping[str, JsonValue]) -> Map:
        box, names = space.box(spec), space.names(spec, "features")
        d, f = len(box.low), len(names)
        lens = Lens(np.zeros(f), np.ones(f), np.zeros(0))
        nowhere = archives.fresh([0.0] * measures, [1.0] * measures, [1] * measures, d + f)
        none = np.zeros((0, 3, f)), np.zeros(0, dtype=bool)
        return Map(box, names, 0, 0, *none, lens, np.zeros((0, 1 + d + f)), nowhere)

    def reached(answers: int) -> int:
        return sum(answers >= at for at in stages)

    def ask(state: Map, context: Any, rng: np.random.Generator) -> Trial:
        d, stage = len(state.box.low), reached(state.answers)
        if stage and state.judged < parts[stage - 1] and len(known := known_solutions(state)) >= 3:
            three = known[rng.permutation(len(known))[:3]]
            return Trial(id="", proposal={"triplet": three[:, 1 : 1 + d].tolist(), "features": three[:, 1 + d :].tolist()})
        if not state.archive.filled:
            return space.trial(space.uniform(state.box, rng, batch))
        return space.trial(archives.children(state.archive, state.box, rng, batch, deviation=deviation, line=line))

    def tell(state: Map, trial: Trial, feedback: Feedback) -> Map:
        if isinstance(trial.proposal, dict):
            return judged(state, trial.proposal, feedback)
        solutions = space.proposed(trial, len(state.box.low))
        table = space.answers(feedback, (OBJECTIVE, *state.names), len(solutions))
        if table is None:
            return state
        before, state = reached(state.answers), state._replace(answers=state.answers + len(solutions))
        rows = np.column_stack([table[:, 0], solutions, table[:, 1:]])
        if state.archive.filled:
            seen = likeness.project(state.lens, table[:, 1:], hidden, measures)
            state = state._replace(archive=archives.add(state.archive, rows[:, 1:], rows[:, 0], seen)[0])
        else:
            sound = np.isfinite(rows).all(axis=1)
            state = state._replace(waiting=np.concatenate([state.waiting, rows[sound]]))
        return look_again(state) if not judgements and reached(state.answers) > before else state

    def judged(state: Map, asked: Mapping[str, Any], feedback: Feedback) -> Map:
        if not isinstance(feedback, Preference):
            raise NoConversion(f"this trial shows a triplet, which is answered by a preference, got {feedback.kind}")
        if feedback.status != "ok":
            return state
        second = likeness.second_alike(feedback)
        if metric == "learned" and not feedback.tie:
            triplets = np.concatenate([state.triplets, np.asarray([asked["features"]], dtype=float)])
            state = state._replace(triplets=triplets, second=np.append(state.second, second))
        state = state._replace(judged=state.judged + 1)
        return look_again(state) if state.judged in parts else state

    def look_again(state: Map) -> Map:
        """Find the projection anew, and give the elites a new archive by it."""
        known, lens = known_solutions(state), state.lens
        if not len(known):
            return state
        features, rng = known[:, 1 + len(state.box.low) :], space.generator(known)
        if len(state.triplets):
            how: dict[str, Any] = {"margin": margin, "rate": rate, "batch": 32, "epochs": epochs}
            lens, _ = likeness.fit(state.triplets, state.second, hidden, measures, rng, **how)
        elif metric == "principal":
            lens = likeness.principal(features, measures)
        elif not len(lens.weights):
            lens = likeness.random(features, hidden, measures, rng)
        seen = likeness.project(lens, features, hidden, measures)
        empty = archives.spanning(seen, cells, known.shape[1] - 1)
        archive, _ = archives.add(empty, known[:, 1:], known[:, 0], seen)
        return state._replace(lens=lens, archive=archive, waiting=state.waiting[:0])

    return Learner(init, ask, tell)


def known_solutions(state: Map) -> np.ndarray:
    """[n, 1 + d + f] objective, solution and features: of the elites, or of all solutions before there are any."""
    found = archives.elites(state.archive)
    return np.column_stack([found.objective, found.kept]) if state.archive.filled else state.waiting
