"""GDumb: keep a memory of as many examples of each class, and learn from it alone, from scratch.

Prabhu, Torr and Dokania, "GDumb: A simple approach that questions our progress in continual learning", ECCV 2020. Whatever the
order of the stream, the answer is the same as if it had been shuffled. A method that does not beat it has no use for what it
does between one question and the next; it pays with a fit before it can answer.

How this differs: a fit after every ``every`` answers, not before each question, so that questions cost nothing; a small network,
plain gradient descent at a constant rate, and no CutMix. Between two fits it knows nothing of what has come since.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loopwright.blocks import reservoir
from loopwright.blocks.incremental import Method, NetworkOptions, Refit, learner_of
from loopwright.blocks.reservoir import Size
from loopwright.core.learner import Learner
from loopwright.core.registry import learner

Count = Annotated[int, Field(gt=0)]


@learner(paper="doi:10.1007/978-3-030-58536-5_31", improves="label", learns_from=("demonstration",))
def gdumb(
    *, memory: Size = 200, every: Count = 10, epochs: Count = 20, batch: Count = 10, net: NetworkOptions = NetworkOptions()
) -> Learner:
    """memory: examples kept. epochs, batch: of each fit."""
    return learner_of(Method(keep=reservoir.balanced(memory), refit=Refit(every, epochs, batch)), net)
