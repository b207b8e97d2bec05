"""Data replacement: each generation of a model learns from the samples of the one before, and from nothing else.

The setting in which models collapse: Shumailov et al., arXiv:2305.17493, and Dohmatob et al., arXiv:2402.07712. A row
of model-collapse, and what its claims are compared with.

How this differs: as model-collapse does.
"""

from loopwright.core.registry import row

data_replacement = row(
    "loopwright.recipes.data.model_collapse:model_collapse", name="data_replacement", module=__name__,
    paper="arXiv:2305.17493", baseline=True, keep="replace",
)  # fmt: skip
