"""Sparse reward-weighted regression: the model imitates the best tenth of its samples, again and again.

Black et al., arXiv:2305.13301 (RWR-sparse): the weight is 1 above a threshold of the reward, 0 below.

How this differs: the threshold is a share of the round, as in the authors' program, whose rounds are 1,024 samples and
50 epochs on the best 102.
"""

from loopwright.core.registry import row

rwr_sparse = row(
    "loopwright.recipes.diffusion.rwr:rwr", name="rwr_sparse", module=__name__, paper="arXiv:2305.13301", baseline=True,
    top=0.1, epochs=50,
)  # fmt: skip
