"""Click Rocchio: a query moves towards what was clicked, wherever it stood on the list.

Rocchio's update by clicks, the reference of Zhuang, Li and Zuccon, arXiv:2204.00718: what stands on top is looked at
most, so that is where the query is pulled to.

How this differs: a row of ``corocchio`` that does not divide by the probability of being looked at.
"""

from loopwright.core.registry import row

click_rocchio = row(
    "loopwright.recipes.rank.corocchio:corocchio", name="click_rocchio", module=__name__, paper="arXiv:2204.00718",
    baseline=True, debias=False,
)  # fmt: skip
