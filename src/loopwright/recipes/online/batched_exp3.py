"""Exp3 in blocks: an arm is played for some steps before the next is drawn, as changing it costs.

Arora, Dekel and Tewari, "Online bandit learning against an adaptive adversary", arXiv:1206.6400: with blocks of about T^(1/3)
steps the regret grows as T^(2/3), changes of arm included, where Exp3's own changes may cost T.

How this differs: a row of ``switching-cost-feedback`` without looks, with all that is said there; no share of the draws is
uniform.
"""

from loopwright.core.registry import row

batched_exp3 = row(
    "loopwright.recipes.online.switching_cost_feedback:switching_cost_feedback", name="batched_exp3", module=__name__,
    paper="arXiv:1206.6400", baseline=True, learns_from=("score",), extra=0,
)  # fmt: skip
