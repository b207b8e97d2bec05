"""ReLoop2: how far a deployed model was off on cases like this one, lately, is added to what it predicts now.

Zhu, Cai, Huang, Dong, Tang and Zhang, "ReLoop2: building self-adaptive recommendation models via responsive error
compensation loop", arXiv:2306.08808. A large model is trained slowly and meets what changed since with old weights.
Beside it stands a memory of errors that needs no gradient: the prediction becomes p + ``weight`` * (mean error y - p
of remembered cases near to this one). Near is what falls into the same cell of a hash by the signs of random
projections (LSH): ``tables`` hashes of ``bits`` signs each, the mean over the tables. A cell keeps a sum of errors
and a count, so looking up and writing take the same time, and the memory the same space, however long the stream. At
every visit of a cell what it held is worth ``keep`` of before, which is how the old is forgotten; ``prior`` is added
to the count, so that a cell seen once does not count in full. With ``bits=0`` all cases share one cell, and what is
left is the mean of the latest errors.

A world tells ``dimensions``. A context is {"predicted": 0.7, "features": [...]}: the model's probability, and what it
knows of the case (its last layer, or vectors of user and item, as long as each other). The proposal is a probability.
Feedback is a Signal whose value says what happened, 1 or 0.

Costs ``tables`` * ``bits`` inner products for each prediction and again for each answer; no call of the model.

Does not help where nothing changes (there it adds noise), nor where the model's own inputs already follow what
changed: a model that reads a user's history up to now leaves little to correct. Neither does it help where features
do not tell the changed from the unchanged. Where one user's cases follow each other undisturbed, the latest errors
alone (``bits=0``) do nearly as much.

How this differs: written from the abstract and from summaries; the paper's weights of neighbours, forgetting and
settings were not at hand, so those here are ours. The paper also goes on training the model now and then; here it
stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Signal
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

EDGE = 0.01  # a sum of a probability and an error may leave [0, 1]; a prediction stays this far inside


class Memory(NamedTuple):
    planes: np.ndarray  # [tables, bits, d], through the origin
    errors: np.ndarray  # [tables, 2^bits] sum, faded
    visits: np.ndarray  # [tables, 2^bits] how many, faded alike


@learner(paper="arXiv:2306.08808", improves="prediction", learns_from=("signal",))
def reloop2(
    *,
    weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1.0,
    tables: Annotated[int, Field(gt=0)] = 64,
    bits: Annotated[int, Field(ge=0, le=20)] = 6,
    keep: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8,
    prior: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1.0,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Memory:
        d = arms.number_of(spec, "dimensions")
        # The same planes in every run: they are part of the method, as a hash function is.
        planes = np.random.default_rng(0).standard_normal((tables, bits, d))
        return Memory(planes, np.zeros((tables, 2**bits)), np.zeros((tables, 2**bits)))

    def cells(state: Memory, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(table, cell of it), [tables] each, where a case belongs."""
        signs = state.planes @ features > 0
        return np.arange(tables), signs @ (1 << np.arange(bits))

    def ask(state: Memory, context: Any, rng: np.random.Generator) -> Trial:
        predicted, features = read(context, state.planes.shape[-1])
        if weight == 0.0:
            return Trial(id="", proposal=predicted, propensity=1.0)
        at = cells(state, features)
        visits = state.visits[at] + prior
        off = float(np.mean(np.divide(state.errors[at], visits, out=np.zeros(tables), where=visits > 0)))
        return Trial(id="", proposal=min(max(predicted + weight * off, EDGE), 1.0 - EDGE), propensity=1.0)

    def tell(state: Memory, trial: Trial, feedback: Feedback) -> Memory:
        if not isinstance(feedback, Signal):
            return state
        if not 0.0 <= feedback.value <= 1.0:
            raise InputError(f"a signal's value says what happened, 1 or 0, or a share; got {feedback.value:g}")
        predicted, features = read(trial.context, state.planes.shape[-1])
        at = cells(state, features)
        errors, visits = state.errors.copy(), state.visits.copy()
        errors[at] = keep * errors[at] + feedback.value - predicted
        visits[at] = keep * visits[at] + 1.0
        return state._replace(errors=errors, visits=visits)

    return Learner(init, ask, tell)


def read(context: Any, d: int) -> tuple[float, np.ndarray]:
    """(the model's probability, features [d]). Raises InputError for what is none."""
    known = context if isinstance(context, Mapping) else {}
    predicted, given = known.get("predicted"), known.get("features")
    features = np.asarray(given if isinstance(given, list | tuple | np.ndarray) else [], dtype=float)
    if not isinstance(predicted, int | float) or not 0.0 <= predicted <= 1.0:
        raise InputError(
            f'a context is {{"predicted": 0.7, "features": [{d} numbers]}}, where predicted is the model\'s '
            f"probability, from 0 to 1; got {context!r}"
        )
    if features.shape != (d,) or not math.isfinite(np.vdot(features, features)):
        raise InputError(f"features are {d} finite numbers, got {given!r}")
    return float(predicted), features
