"""DDPO-SF: policy gradients through denoising by the score function alone, one optimiser step a round.

Black et al., arXiv:2305.13301. Samples are used once, on policy, so there is no ratio and nothing to clip.

How this differs: as DDPO does.
"""

from loopwright.core.registry import row

ddpo_sf = row(
    "loopwright.recipes.diffusion.ddpo:ddpo", name="ddpo_sf", module=__name__, paper="arXiv:2305.13301",
    loss="reinforce", batch=0,
)  # fmt: skip
