"""Frozen model: what a deployed model predicts is taken as it is, whatever happened since it was trained.

The reference of Zhu et al., arXiv:2306.08808: a model between two trainings.

How this differs: a row of ``reloop2`` that gives the memory no weight.
"""

from loopwright.core.registry import row

frozen_model = row(
    "loopwright.recipes.rank.reloop2:reloop2", name="frozen_model", module=__name__, paper="arXiv:2306.08808",
    baseline=True, learns_from=(), weight=0.0,
)  # fmt: skip
