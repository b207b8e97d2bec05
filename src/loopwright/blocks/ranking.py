"""How good a ranking is, by what in it was wanted."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def ndcg(ranking: Sequence[int], wanted: Collection[int], places: int) -> float:
    """Normalised discounted cumulative gain of the first ``places``, each wanted item counting alike; 0 where none is
    wanted.

    A hit in place r, the first being 1, counts 1 / log2(r + 1), and the best possible ranking is worth 1.
    Järvelin and Kekäläinen, TOIS 20, 2002.
    """
    gained = sum(1.0 / math.log2(place + 2) for place, item in enumerate(ranking[:places]) if item in wanted)
    best = sum(1.0 / math.log2(place + 2) for place in range(min(len(wanted), places)))
    return gained / best if best else 0.0
