"""Confidence and critique: how often correcting itself keeps a right answer right (CL), and turns a wrong one right (CS).

Yang et al., "Confidence v.s. Critique: A Decomposition of Self-Correction Capability for LLMs", arXiv:2412.19513; repository
Zhe-Young/SelfCorrectDecompose. With P(a) the chance that a question's first answer is right and P(b|a), P(b|not a) that the
answer after correction is, given that the first was right or wrong:

    Acc1 = mean P(a)                          Acc2 = mean of P(a) P(b|a) + (1 - P(a)) P(b|not a)
    CL = sum P(a) P(b|a) / sum P(a)           CS = sum (1 - P(a)) P(b|not a) / sum (1 - P(a))
    RSS = (Acc2 - Acc1^2) / (2 Acc1 (1 - Acc1))

so that Acc2 = Acc1 CL + (1 - Acc1) CS. RSS is 1/2 where correction changes nothing on balance, above where it helps.

When to use it: after a run in which answers were gone on from (a Solver of several turns, or a method that trains on such turns),
to see whether a gain comes of correcting more or of spoiling less; most changes of a prompt trade one for the other. Nothing
is called. A Solver's first answers are found among the plain model's where both were sampled greedily.

How this differs: intervals, which the paper has none of: of CL and CS Wilson's over questions that had a right (wrong) first
answer, of RSS the jackknife over questions. CL, CS or RSS is empty where no first answer was right, or wrong. Shares of samples
alone; the paper reads probabilities of labels in tasks of classification.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import JsonValue

from loopwright.blocks.corrections import corrections
from loopwright.core.measure import Record, Table
from loopwright.core.registry import measure
from loopwright.core.statistics import t_interval, wilson
from loopwright.core.world import Split

COLUMNS = (
    "split", "round", "before", "after", "acc1", "acc2", "CL", "CL low", "CL high", "CS", "CS low", "CS high", "RSS", "RSS low",
    "RSS high", "examples", "pairs",
)  # fmt: skip


class Question(NamedTuple):
    """Of one question: P(a), and the share of its pairs that stayed right, and that became right."""

    right: float
    kept: float
    corrected: float


def decompose(questions: Sequence[Question]) -> tuple[float, float, float | None, float | None, float | None]:
    """Acc1, Acc2, CL, CS and RSS."""
    n = len(questions)
    right, kept, corrected = (math.fsum(values) for values in zip(*questions, strict=True))
    acc1, acc2 = right / n, (kept + corrected) / n
    confident = kept / right if right else None
    critical = corrected / (n - right) if n - right > 1e-12 else None
    rss = None if confident is None or critical is None else (acc2 - acc1**2) / (2 * acc1 * (1 - acc1))
    return acc1, acc2, confident, critical, rss


def _rss_bounds(questions: Sequence[Question], rss: float) -> tuple[float, float] | None:
    n = len(questions)
    without = [decompose([*questions[:i], *questions[i + 1 :]])[4] if n > 1 else None for i in range(n)]
    known = [r for r in without if r is not None]
    if len(known) < n:  # it hangs on one question whether there is a figure at all
        return None
    low, high = t_interval([n * rss - (n - 1) * r for r in known])
    if math.isinf(high):  # questions that are all alike
        return None
    return rss - (high - low) / 2, rss + (high - low) / 2


@measure(paper="arXiv:2412.19513", learns_from=("score", "verdict"))
def confidence_critique(records: Sequence[Record], *, threshold: float = 1.0) -> Table:
    """``threshold``: the least score of a right answer."""
    groups: dict[tuple[Split, int, str, str], dict[str, list[tuple[bool, bool]]]] = defaultdict(lambda: defaultdict(list))
    for before, after in corrections(records):
        first, second = before.rollout.score, after.rollout.score
        if first is not None and second is not None:
            key = (after.split, after.round, before.rollout.candidate[:8], after.rollout.candidate[:8])
            groups[key][after.rollout.example.id].append((first >= threshold, second >= threshold))
    rows: list[tuple[JsonValue, ...]] = []
    for key, examples in groups.items():
        questions = [
            Question(sum(a for a, _ in p) / len(p), sum(a and b for a, b in p) / len(p), sum(b and not a for a, b in p) / len(p))
            for _, p in sorted(examples.items())
        ]
        acc1, acc2, confident, critical, rss = decompose(questions)
        cells: list[JsonValue] = [*key, acc1, acc2]
        for share, of in ((confident, [q.right > 0 for q in questions]), (critical, [q.right < 1 for q in questions])):
            cells += [None] * 3 if share is None else [share, *wilson(share * sum(of), sum(of))]
        bounds = _rss_bounds(questions, rss) if rss is not None else None
        cells += [rss, *(bounds or (None, None))]
        rows.append((*cells, len(questions), sum(map(len, examples.values()))))
    return Table(columns=COLUMNS, rows=tuple(rows))
