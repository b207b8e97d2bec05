"""UER: new examples move the angles alone, and only what is replayed moves the norms too; so new classes do not outweigh old.

Lin et al., "UER: A Heuristic Bias Addressing Approach for Online Continual Learning", arXiv:2309.04081. An output h.w is an
angle times norms. Examples of the stream are learned through cos(h, w) / ``temperature``, which their classes' norms cannot
raise; examples from the memory through h.w, which is also what answers.

How this differs: from the abstract; the authors' repository holds no program, so the temperature is another paper's of theirs
(0.09), and that outputs have a bias, learned by what is replayed, is ours. A small network, and no augmentation.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loopwright.blocks import reservoir, terms
from loopwright.blocks.incremental import Method, NetworkOptions, learner_of
from loopwright.blocks.reservoir import Size
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(paper="arXiv:2309.04081", improves="label", learns_from=("demonstration",))
def uer(
    *,
    memory: Size = 200,
    replayed: Size = 10,
    temperature: Annotated[float, Field(gt=0)] = 0.09,
    net: NetworkOptions = NetworkOptions(),
) -> Learner:
    """memory: examples kept. replayed: of them at each step."""
    both = (terms.labels(cosine=temperature), terms.labels(on="memory", number=replayed))
    return learner_of(Method(both, reservoir.random(memory)), net)
