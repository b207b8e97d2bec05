"""Algorithm selection that leaves out what the cap cut off: the unaware baseline of ``oas-censored``.

Tornede, Bengs and Hüllermeier, arXiv:2109.06234, section 4 ("blind"): Thompson sampling on the logarithm of the runtime,
which learns from the runs that ended and chooses the algorithm that seems fastest.

How this differs: a row of ``oas-censored``; whom it resembles in the paper is BlindUCB, with draws in place of bounds (there
one width below the mean) and a regulariser of 0.5 in place of 1.
"""

from loopwright.core.registry import row

oas_unaware = row(
    "loopwright.recipes.online.oas_censored:oas_censored", name="oas_unaware", module=__name__, paper="arXiv:2109.06234",
    baseline=True, censored="drop", loss="runtime",
)  # fmt: skip
