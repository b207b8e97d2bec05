"""Item nearest neighbours: users get items that are near theirs, by the cosine of who has them.

Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001; for what users have and not how
they rate it, Deshpande and Karypis, "Item-based top-N recommendation algorithms", TOIS 22, 2004. An item's score is the
sum of the similarities of its ``neighbours`` nearest items among the user's. ``shrink`` is added below the cosine's
line, so that items of few users are near nothing.

How this differs: what users take arrives as feedback (see blocks.item_model).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from loopwright.blocks.item_model import Refresh, item_model
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@learner(paper="doi:10.1145/963770.963776", improves="ranking", learns_from=("signal",), baseline=True)
def item_knn(
    *,
    neighbours: Annotated[int, Field(gt=0)] = 20,
    shrink: Annotated[float, Field(ge=0.0)] = 0.0,
    refresh: Refresh = 1,
) -> Learner:
    def weights(pairs: np.ndarray) -> np.ndarray:
        size = np.sqrt(np.diag(pairs))
        matrix = pairs / np.maximum(size * size[:, None] + shrink, 1e-12)
        np.fill_diagonal(matrix, 0.0)
        if neighbours < len(matrix):
            # Of each item, the similarity of the farthest that is kept.
            least = np.partition(matrix, -neighbours, axis=0)[-neighbours]
            matrix[matrix < least] = 0.0
        return np.asarray(matrix)

    return item_model(weights, refresh)
