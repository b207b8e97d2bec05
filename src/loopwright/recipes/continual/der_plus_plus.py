"""DER++: what is replayed must also give the outputs that it gave when it was kept, not only the right label.

Buzzega et al., "Dark experience for general continual learning", arXiv:2004.07211; repository aimagelab/mammoth. Outputs are
those of the step in which an example came by, so nothing needs to know where tasks end.

``alpha`` weighs the mean square of the differences, ``beta`` the labels of a second draw from the memory. The paper tunes
both for each data set.

How this differs: a small network, and no augmentation. Defaults are not the paper's, which gives none.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loopwright.blocks import reservoir, terms
from loopwright.blocks.incremental import Method, NetworkOptions, learner_of
from loopwright.blocks.reservoir import Size
from loopwright.core.learner import Learner
from loopwright.core.registry import learner


@learner(paper="arXiv:2004.07211", improves="label", learns_from=("demonstration",))
def der_plus_plus(
    *,
    memory: Size = 200,
    replayed: Size = 10,
    alpha: Annotated[float, Field(ge=0)] = 0.5,
    beta: Annotated[float, Field(ge=0)] = 0.5,
    net: NetworkOptions = NetworkOptions(),
) -> Learner:
    """memory: examples kept. replayed: of them for each of the two terms at each step."""
    past = (terms.outputs(number=replayed, weight=alpha), terms.labels(on="memory", number=replayed, weight=beta))
    return learner_of(Method((terms.labels(), *past), reservoir.random(memory)), net)
