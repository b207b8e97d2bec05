"""Progressive networks: every task gets hidden units of its own, which later tasks may read and nobody changes again.

Rusu et al., "Progressive neural networks", arXiv:1606.04671. The representative of parameter isolation in the survey of Wang et
al. (arXiv:2302.00487). Where a question says of which task it is (``within`` in the context) nothing is ever forgotten. Where it
does not, outputs of different tasks were never compared, and which is largest says little. It needs ``task`` in the context.

How this differs: one hidden layer, so a column is a part of its units, ``columns`` of them of equal size, and what the paper
calls adapters are the weights by which a task's outputs read the columns before. The last column is shared by all tasks that
come when there is none left. Outputs start at 0.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loopwright.blocks import terms
from loopwright.blocks.incremental import Method, NetworkOptions, learner_of
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(paper="arXiv:1606.04671", improves="label", learns_from=("demonstration",))
def progressive_networks(*, columns: Annotated[int, Field(gt=0)] = 5, net: NetworkOptions = NetworkOptions()) -> Learner:
    method = Method((terms.labels(own=True),), project=terms.own_column(columns), blank=True)
    return learner_of(method, net)
