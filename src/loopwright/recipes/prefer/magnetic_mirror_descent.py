"""Magnetic mirror descent: one proximal step at a time in the game against oneself, held to the start and to the last policy.

Sokota et al., "A Unified Approach to Reinforcement Learning, Quantal Response Equilibria, and Two-Player Zero-Sum Games",
arXiv:2206.05825, on a game of preferences. Nash mirror prox without the step ahead: half the comparisons a round, but
in a game that goes in circles long exact steps do so too, and with a small ``beta`` only short ones (small ``eta``) end.

How this differs: steps are policy gradients on sampled answers.
"""

from loopwright.core.registry import row

magnetic_mirror_descent = row(
    "loopwright.recipes.prefer.nash_mp:nash_mp", name="magnetic_mirror_descent", module=__name__, paper="arXiv:2206.05825",
    baseline=True, extrapolate=False,
)  # fmt: skip
