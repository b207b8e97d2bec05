"""Naive training: a step of gradient descent on every batch as it comes, and nothing against forgetting.

The lower reference of continual learning: on a stream of new classes it ends knowing the last task alone. On shuffled data
(``digits:tasks=1``) it is ordinary training in one pass, the usual upper reference.

How this differs: nothing to differ from.
"""

from __future__ import annotations

from loopwright.blocks import terms
from loopwright.blocks.incremental import Method, NetworkOptions, learner_of
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(improves="label", learns_from=("demonstration",), baseline=True)
def naive_sgd(*, net: NetworkOptions = NetworkOptions()) -> Learner:
    return learner_of(Method(terms=(terms.labels(),)), net)
