"""Dense retrieval: documents are ranked by their inner product with the query as it came, whatever is clicked.

The reference without feedback of Zhuang, Li and Zuccon, arXiv:2204.00718.

How this differs: a row of ``corocchio`` whose query does not move.
"""

from loopwright.core.registry import row

dense_retrieval = row(
    "loopwright.recipes.rank.corocchio:corocchio", name="dense_retrieval", module=__name__, paper="arXiv:2204.00718",
    baseline=True, learns_from=(), keep=1.0, move=0.0,
)  # fmt: skip
