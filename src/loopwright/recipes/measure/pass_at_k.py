"""pass@k: the chance that at least one of k attempts at an example passes, by round, with its interval.

Chen et al., arXiv:2107.03374, section 2.1: from n attempts of which c pass, 1 - C(n-c, k) / C(n, k) is unbiased; the mean
over examples is the figure, and the interval is over examples.

How this differs: rounds and splits are told apart, so the table shows what training does to the first attempt (k = 1) and
to the reach of many (large k). An attempt without a score is not counted; an example with fewer than k is left out.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import comb

from loopwright.core.gate import summarise
from loopwright.core.measure import Record, Table
from loopwright.core.registry import measure


@measure(paper="arXiv:2107.03374", learns_from=("score", "verdict"), baseline=True)
def pass_at_k(records: Sequence[Record], *, k: tuple[int, ...] = (1, 4, 16), threshold: float = 1.0) -> Table:
    groups: dict[tuple[str, int, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        score = record.rollout.score
        if score is not None:
            group = groups[record.split, record.round, record.rollout.candidate[:8]]
            group[record.rollout.example.id].append(score >= threshold)
    rows = []
    for (split, number, candidate), examples in groups.items():
        for size in k:
            chances = [
                1 - comb(len(passed) - sum(passed), size) / comb(len(passed), size)
                for passed in examples.values()
                if len(passed) >= size
            ]
            if chances:
                found = summarise(chances)
                rows.append((split, number, candidate, size, found.score, found.low, found.high, found.n))
    return Table(columns=("split", "round", "candidate", "k", "pass@k", "low", "high", "examples"), rows=tuple(rows))
