"""Refresh learning: every batch is first unlearned a little, then learned, so that what is outdated makes room.

Wang, Li, Shen and Huang, "A unified and general framework for continual learning", arXiv:2403.13249; repository
joey-wang123/CL-refresh-learning. A plug-in for any method of this kind; here, as in their program, on top of DER++. Before
a step the weights go ``delta`` of their own length up the loss of the batch, layer by layer, with normal noise, and less
where the Fisher information of earlier tasks says that it would harm them:

    weights += delta / (1 + shield * information) * (length * gradient / length of the gradient + noise * normal)

The step of DER++ is then taken from there. It takes one more pass over the batch, forward and back, and no more examples.

When it does not help: on a small network, as here, in one pass or ten. At the program's ``delta`` of 1e-5 no difference
shows; in one pass accuracy falls from 1e-3 on, and above 0.01 nothing more is learned. The program's own settings for CIFAR
are a ResNet and 50 passes over each task.

How this differs: a small network, and no augmentation; the information is summed along the stream, with the weights as they
were then, and not over a task's examples at its end; the rate of unlearning is not an option, as its length cancels out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from loopwright.blocks import mlp, reservoir, terms
from loopwright.blocks.incremental import Method, NetworkOptions, Refresh, Step, learner_of
from loopwright.blocks.reservoir import Size
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@learner(paper="arXiv:2403.13249", improves="label", learns_from=("demonstration",))
def refresh_learning(
    *,
    delta: Weight = 1e-5,
    noise: Weight = 1e-3,
    shield: Weight = 1e-3,
    memory: Size = 200,
    replayed: Size = 10,
    alpha: Weight = 0.5,
    beta: Weight = 0.5,
    net: NetworkOptions = NetworkOptions(),
) -> Learner:
    """delta, noise, shield: see above. The others are those of der-plus-plus."""
    past = (terms.outputs(number=replayed, weight=alpha), terms.labels(on="memory", number=replayed, weight=beta))
    refresh = unlearned(delta, noise, shield)
    return learner_of(Method((terms.labels(), *past), reservoir.random(memory), importance=True, refresh=refresh), net)


def unlearned(delta: float, noise: float, shield: float) -> Refresh:
    """[p] the weights after the step up the loss of the batch."""
    up = terms.labels()

    def refresh(step: Step) -> np.ndarray:
        weights, gradient = step.known.weights, up(step)
        way = noise * step.rng.standard_normal(len(weights))
        for own, slope, moved in zip(*(mlp.parts(v, step.shapes) for v in (weights, gradient, way)), strict=True):
            length = float(np.linalg.norm(slope))
            if length:
                moved += float(np.linalg.norm(own)) / length * slope
        return np.asarray(weights + delta * way / (1.0 + shield * step.known.importance))

    return refresh
