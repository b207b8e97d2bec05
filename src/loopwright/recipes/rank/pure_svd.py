"""PureSVD: a user's items are projected on the few directions in which users differ most; what comes out is ranked.

Cremonesi, Koren and Turrin, "Performance of recommender algorithms on top-N recommendation tasks", RecSys 2010. With V
the ``rank`` leading right singular vectors of the matrix of users and items, scores are the user's row times VV'.

How this differs: what users take arrives as feedback (see blocks.item_model); V is had from the counts of pairs, X'X.
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


@learner(paper="doi:10.1145/1864708.1864721", improves="ranking", learns_from=("signal",), baseline=True)
def pure_svd(*, rank: Annotated[int, Field(gt=0)] = 16, refresh: Refresh = 1) -> Learner:
    def weights(pairs: np.ndarray) -> np.ndarray:
        leading = np.linalg.eigh(pairs)[1][:, -rank:]
        return np.asarray(leading @ leading.T)

    return item_model(weights, refresh)
