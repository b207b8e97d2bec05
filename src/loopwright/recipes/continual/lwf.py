"""LwF: on new examples the network must go on saying of old classes what it said before the task began.

Li and Hoiem, "Learning without forgetting", arXiv:1606.09282. The representative of distillation, regularisation of what a
network does, in the survey of Wang et al. (arXiv:2302.00487). Keeps no examples, but a copy of the network. It needs to know
where tasks end (``task`` in the context).

How this differs: one head for all classes, and the divergence as De Lange et al. take it (arXiv:2205.13452): softmax over all
outputs at ``temperature``, summed over the classes known when the task began. No warm-up of the new outputs alone.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loopwright.blocks import terms
from loopwright.blocks.incremental import Method, NetworkOptions, learner_of
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(paper="arXiv:1606.09282", improves="label", learns_from=("demonstration",))
def lwf(
    *,
    weight: Annotated[float, Field(ge=0)] = 1.0,
    temperature: Annotated[float, Field(gt=0)] = 2.0,
    net: NetworkOptions = NetworkOptions(),
) -> Learner:
    return learner_of(Method((terms.labels(), terms.teacher(weight=weight, temperature=temperature))), net)
