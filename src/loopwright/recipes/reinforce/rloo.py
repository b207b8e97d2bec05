"""RLOO: REINFORCE whose baseline is the mean reward of the other answers to the same question.

Ahmadian et al., "Back to Basics", arXiv:2402.14740. A row of GRPO: another advantage, no ratio and no clipping.

How this differs: the divergence from the start is a term of the loss, where the paper subtracts it from the reward.
"""

from loopwright.core.registry import row

rloo = row(
    "loopwright.recipes.reinforce.grpo:grpo", name="rloo", module=__name__, paper="arXiv:2402.14740", baseline=True,
    estimator="rloo", loss="reinforce", aggregation="token",
)  # fmt: skip
