"""A-GEM: a step that would raise the loss on remembered examples loses the part of it that would.

Chaudhry et al., "Efficient lifelong learning with A-GEM", arXiv:1812.00420. The representative of optimisation-based methods in
the survey of Wang et al. (arXiv:2302.00487). What is remembered is not trained on: it only says where a step must not go, so
old classes are not pushed up again as new ones are.

How this differs: the memory is a reservoir, as in A-GEM-R of Buzzega et al. (arXiv:2004.07211), instead of a ring for each
task, so nothing needs to know where tasks end; no task descriptors.
"""

from __future__ import annotations

from loopwright.blocks import reservoir, terms
from loopwright.blocks.incremental import Method, NetworkOptions, learner_of
from loopwright.blocks.reservoir import Size
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(paper="arXiv:1812.00420", improves="label", learns_from=("demonstration",))
def a_gem(*, memory: Size = 200, replayed: Size = 64, net: NetworkOptions = NetworkOptions()) -> Learner:
    """memory: examples kept. replayed: of them asked at each step."""
    guard = terms.not_against_memory(number=replayed)
    return learner_of(Method((terms.labels(),), reservoir.random(memory), guard), net)
