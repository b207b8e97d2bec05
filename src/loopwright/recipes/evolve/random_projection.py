"""Random projection: MAP-Elites over two random projections of the features, of which nobody is asked anything.

What QDHF (arXiv:2310.12103) must be above for its questions to be worth asking.

How this differs: a row of ``qdhf`` with ``metric="random"``, drawn anew in each run. With ``judgements`` it asks as many
questions as QDHF and hears no answer, for a comparison at equal evaluations.
"""

from loopwright.core.registry import row

random_projection = row(
    "loopwright.recipes.evolve.qdhf:qdhf", name="random_projection", module=__name__, paper="arXiv:2310.12103", baseline=True,
    judgements=0, metric="random",
)  # fmt: skip
