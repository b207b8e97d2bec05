"""Experience replay: every step also goes over some examples of a small random memory of the stream.

Chaudhry et al., "On tiny episodic memories in continual learning", arXiv:1902.10486. The representative of replay in the survey
of Wang et al. (arXiv:2302.00487). For streams in which the same may be asked again later, as long as examples may be kept;
with a memory of 0 it is naive training. The memory is a reservoir: each example that came by is kept with the same chance.

How this differs: the means over the batch and over what is replayed have the same weight however many are replayed, where the
paper averages over both together; the same direction, of twice the length, for as many from the memory as from the stream.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loopwright.blocks import reservoir, terms
from loopwright.blocks.incremental import Method, NetworkOptions, learner_of
from loopwright.blocks.reservoir import Size
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(paper="arXiv:1902.10486", improves="label", learns_from=("demonstration",))
def replay(
    *, memory: Annotated[int | None, Field(ge=0)] = 200, replayed: Size = 10, net: NetworkOptions = NetworkOptions()
) -> Learner:
    """memory: examples kept; None keeps all. replayed: of them at each step."""
    keep = reservoir.everything if memory is None else reservoir.random(memory)
    return learner_of(Method((terms.labels(), terms.labels(on="memory", number=replayed)), keep), net)
