"""Lifelong-learning metrics: what stays, what carries over, and how fast a task is learned beside one who learns nothing else.

Baker et al., "A domain-agnostic approach for characterization of lifelong learning systems", arXiv:2301.07799;
repository lifelong-learning-systems/l2metrics, whose program has the formulas. Means over tasks, or pairs of tasks, of

    performance maintenance: evaluations of a task after others were trained, less that after its own latest training
    forward transfer, of task A to B, not trained yet: (after A's training - before) / (after + before), the first time
    backward transfer: the same, B having been trained already
    relative performance: sum of the learning curve over that of an expert, who learns this task alone, as far as both go
    sample efficiency: (height / expert's height) * (expert's time / time) of the highest places of moving averages; 0
        where the height is below a fifth of the expert's, or the curve falls
    performance recovery: minus the slope (Theil-Sen) of how many evaluations a task takes, each time it comes back,
        to be where it was; needs a task that was trained three times
    mean evaluation and mean training performance

A block is what is trained without a change of task. Its evaluations are the task's learning curve; the last of them,
and those outside of all training, make the other figures. What happens in between is told by ``stability-gap``, whose
BWT and FWT are differences where transfer here is a ratio.

When to use it: as ``stability-gap``, which says what a record must tell; an expert's records have "expert" in ``meta``.
``loopwright watch replay --world digits:permuted=true --steps 1890 --every 3 --measure lifelong-metrics`` tells all
figures, in three passes. With few evaluations a block curves are too coarse for those made of them.

How this differs: scores are taken as they are, not stretched to each task's range, so maintenance is on their scale,
and a task at 0 before and after has no transfer; experts of one task are averaged to one curve; intervals, by the
jackknife over questions, rough for sample efficiency and recovery, since they jump. ``smooth``, the program's default:
curves are averaged over a fifth of a block, at most 100 evaluations, at least 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from loopwright.blocks import evaluations
from loopwright.blocks.evaluations import Block, Curves
from loopwright.core.lazy import lazy
from loopwright.core.measure import Record, Table
from loopwright.core.registry import measure

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

SAME = 1e-9  # scores that differ by less are equal: sums round, and a perfect score is often reached again

@measure(paper="arXiv:2301.07799", learns_from=("score", "verdict"))
def lifelong_metrics(records: Sequence[Record], *, smooth: bool = True) -> Table:
    return evaluations.table(records, lambda log: partial(figures, blocks=evaluations.blocks(log), smooth=smooth))


def figures(curves: Curves, experts: Curves, *, blocks: Sequence[Block], smooth: bool) -> dict[str, float]:
    """All by name, of [evaluations] mean scores of each task and of each expert; NaN where they do not tell."""
    level = smoothed if smooth else np.asarray
    rows = [[np.arange(b.first, b.last + 1) for b in blocks if b.task == i] for i in range(len(curves))]
    learning = [[level(curve[block]) for block in own] for curve, own in zip(curves, rows, strict=True)]
    sides = zip(learning, experts, rows, strict=True)
    beside = [(np.concatenate(own), level(one), np.concatenate(when)) for own, one, when in sides if own and len(one)]
    forward, backward = transfers(curves, blocks)
    return {
        "performance maintenance": _mean([maintenance(curve, i, blocks) for i, curve in enumerate(curves)]),
        "forward transfer": _mean(forward),
        "backward transfer": _mean(backward),
        "relative performance": _mean([relative(own, alone) for own, alone, _ in beside]),
        "sample efficiency": _mean([efficiency(*curve) for curve in beside]),
        "performance recovery": _mean([recovery(own) for own in learning]),
        "mean evaluation performance": _mean([float(curve[[b.last for b in blocks]].mean()) for curve in curves]),
        "mean training performance": _mean([_mean([float(block.mean()) for block in own]) for own in learning]),
    }


def maintenance(curve: np.ndarray, task: int, blocks: Sequence[Block]) -> float:
    kept, reference = [], math.nan
    for block in blocks:
        if block.task == task:
            reference = curve[block.last]
        elif not math.isnan(reference):
            kept.append(float(curve[block.last] - reference))
    return _mean(kept)


def transfers(curves: Curves, blocks: Sequence[Block]) -> tuple[list[float], list[float]]:
    """Forward and backward, of each pair of tasks that has them."""
    found: tuple[dict[tuple[int, int], float], dict[tuple[int, int], float]] = ({}, {})
    seen: set[int | None] = set()
    for before, block in pairwise(blocks):
        seen.add(before.task)
        for other, curve in enumerate(curves):
            if block.task is not None and other != block.task:
                now, then = curve[block.last], curve[before.last]
                if now + then != 0:
                    found[other in seen].setdefault((block.task, other), float((now - then) / (now + then)))
    return list(found[0].values()), list(found[1].values())


def relative(own: np.ndarray, alone: np.ndarray) -> float:
    n = min(len(own), len(alone))
    return float(own[:n].sum() / alone[:n].sum()) if alone[:n].sum() else math.nan


def efficiency(own: np.ndarray, alone: np.ndarray, when: np.ndarray) -> float:
    """when: the evaluations that make the learning curve; other tasks may have been trained in between."""
    (mine, at), (theirs, other) = top(smoothed(own)), top(smoothed(alone))
    if not at or not other or not theirs:  # at its highest from the start: nothing was learned that takes time
        return math.nan
    falls = (when - when.mean()) @ own < 0  # the sign of a fitted line's slope
    return 0.0 if falls or mine < 0.2 * theirs else mine / theirs * (other / at)


def top(curve: np.ndarray) -> tuple[float, int]:
    """The highest value and its first place."""
    return float(curve.max()), int(np.argmax(curve >= curve.max() - SAME))


def recovery(own: Sequence[np.ndarray]) -> float:
    times = []
    for before, block in pairwise(own):
        back = np.flatnonzero(block >= before[int(0.9 * len(before)) :].mean() - SAME)
        times.append(int(back[0]) if len(back) else len(block) + 1)
    slopes = [(times[j] - times[i]) / (j - i) for i, j in combinations(range(len(times)), 2)]
    return -float(np.median(slopes)) if slopes else math.nan


def smoothed(curve: np.ndarray) -> np.ndarray:
    """The moving average of the authors' program, mirrored at both ends; its window reaches further back than ahead."""
    n, window = len(curve), min(len(curve) // 5, 100)
    if window < 3:
        return curve
    wide = np.pad(curve, window - 1, mode="reflect")
    return np.convolve(wide, np.full(window, 1 / window), "valid")[window // 2 - 1 :][:n]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
