"""EASE: one ridge regression predicts each item from all others, in closed form, and users get what theirs predict.

Steck, "Embarrassingly shallow autoencoders for sparse data", arXiv:1905.03375. X is the matrix of users and items, 1
where a user has the item. B minimises ||X - XB||^2 + ridge ||B||^2 where no item may predict itself: with P the inverse
of X'X + ridge I, B_ij = -P_ij / P_jj and 0 on the diagonal. An item's score is the user's row times B.

How this differs: the paper fits once to all that is known. Here what users take arrives as feedback (see
blocks.item_model), and the matrix is solved anew when a ranking needs it, at most once in ``refresh`` answers; for
thousands of items choose it large, as a solve takes a time that grows with the cube of their number. Users without
items get what is most popular. ``ridge`` has no default in the paper, which searches for it; it grows with the number
of users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopwright.blocks.item_model import Refresh, item_model
from loopwright.blocks.ridge import Regulariser
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@learner(paper="arXiv:1905.03375", improves="ranking", learns_from=("signal",))
def ease(*, ridge: Regulariser = 200.0, refresh: Refresh = 1) -> Learner:
    def weights(pairs: np.ndarray) -> np.ndarray:
        inverse = np.linalg.inv(pairs + ridge * np.eye(len(pairs)))
        matrix = inverse / -np.diag(inverse)
        np.fill_diagonal(matrix, 0.0)
        return np.asarray(matrix)

    return item_model(weights, refresh)
