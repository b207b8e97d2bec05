"""EWC: a spring holds every weight where it was when the task began, as stiff as the tasks before need that weight.

Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", arXiv:1612.00796. The representative of weight
regularisation in the survey of Wang et al. (arXiv:2302.00487). Keeps no examples. It needs to know where tasks end (``task`` in
the context), and it protects what separates the classes of a task; that the classes of two tasks are told apart it cannot see.

How this differs: one spring with the stiffness of all tasks before, around the latest weights, as in online EWC (Schwarz et
al., arXiv:1805.06370, without its decay). The Fisher information, its diagonal at the labels told, is gathered from each batch
as it is learned and not in a second pass, which a stream does not give. The spring's part of a step is implicit, so that none is
too stiff for the rate.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loopwright.blocks import terms
from loopwright.blocks.incremental import Method, NetworkOptions, learner_of
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(paper="arXiv:1612.00796", improves="label", learns_from=("demonstration",))
def ewc(*, strength: Annotated[float, Field(ge=0)] = 10.0, net: NetworkOptions = NetworkOptions()) -> Learner:
    """strength: lambda of the paper, which tunes it for each problem."""
    spring = terms.sprung(strength=strength, rate=net.rate)
    return learner_of(Method((terms.labels(),), project=spring, importance=True), net)
