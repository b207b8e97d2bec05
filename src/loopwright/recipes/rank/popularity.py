"""Popularity: everybody gets what most users have, apart from what they have already.

The reference of every comparison of recommenders; on small data it is hard to beat by little.

How this differs: nothing to differ from. It counts what is taken on the whole, whoever was shown what, so it declares
no feedback as being about its own rankings.
"""

from __future__ import annotations

from loopwright.blocks.item_model import Refresh, item_model
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(improves="ranking", baseline=True)
def popularity(*, refresh: Refresh = 1) -> Learner:
    return item_model(None, refresh)
