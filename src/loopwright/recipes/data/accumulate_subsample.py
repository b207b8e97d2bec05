"""Accumulate, then subsample: each generation learns from as much data as the first, drawn from all so far.

Kazdan et al., "Collapse or thrive?", arXiv:2410.16713. A row of model-collapse: real data and all samples are kept, but
the cost of a generation does not grow. Errors grow more slowly than with replacement, if more than with all data.

How this differs: as model-collapse does. Data are drawn without replacement, as in the authors' program.
"""

from loopwright.core.registry import row

accumulate_subsample = row(
    "loopwright.recipes.data.model_collapse:model_collapse", name="accumulate_subsample", module=__name__,
    paper="arXiv:2410.16713", keep="subsample",
)  # fmt: skip
