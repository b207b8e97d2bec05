"""TAMER: what a person will say of each action is learned, and the action taken that promises the most praise.

Knox and Stone, "Interactively shaping agents via human reinforcement: the TAMER framework", K-CAP 2009. Praise is taken
to say all there is to say of an action, so nothing is looked ahead to.

How this differs: a row of ``q-learning`` with discount 0. TAMER takes the best action and spreads a word over the last
seconds; here actions are drawn from a softmax, and a word is of one action.
"""

from loopwright.core.registry import row

tamer = row(
    "loopwright.recipes.control.q_learning:q_learning", name="tamer", module=__name__, paper="doi:10.1145/1597735.1597738",
    baseline=True, discount=0.0,
)  # fmt: skip
