"""Learning progress: of many tasks, those are trained on next whose success changes the most.

Kanitscheider et al., "Multi-task curriculum learning in a complex, visual, hard-exploration domain", arXiv:2106.14876. What is
mastered and what is out of reach change little and are left alone. The baseline of ``omni``, of which it is a row without a
judge, with all that is said there.
"""

from loopwright.core.registry import row

learning_progress = row(
    "loopwright.recipes.evolve.omni:omni", name="learning_progress", module=__name__, paper="arXiv:2106.14876", baseline=True,
    dull=1.0,
)  # fmt: skip
