"""Advantages: how much better an answer, or a token, was than what was to be expected.

Rewards and groups are lists of the same length; a group is the answers to one prompt, in any order. A reward that is NaN is
missing: no baseline counts it, and its advantage is NaN, to be left out rather than trained on as if it were average.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import InputError
from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

Groups = Sequence[Hashable]


def gae(
    rewards: Sequence[float], values: Sequence[float], *, gamma: float = 1.0, lam: float = 0.95, last: float = 0.0
) -> tuple[list[float], list[float]]:
    """Generalised advantage estimation over one trajectory. Schulman et al., arXiv:1506.02438, equation 16.

    rewards[t] came after token t; values[t] is the value of the state token t was chosen in; ``last`` is that of the state
    after the last token, 0 where the episode ended there. A_t = sum over k of (gamma lam)^k delta_t+k, delta_t = rewards[t]
    + gamma values[t+1] - values[t].

    Returns the advantages and the returns a value head is fitted to (advantage + value), one a token.
    Raises InputError where the lengths differ.
    """
    if len(rewards) != len(values):
        raise InputError(f"expected one value a reward, got {len(values)} values and {len(rewards)} rewards")
    out, running, following = [0.0] * len(rewards), 0.0, last
    for t in reversed(range(len(rewards))):
        running = rewards[t] + gamma * following - values[t] + gamma * lam * running
        out[t], following = running, values[t]
    return out, [a + v for a, v in zip(out, values, strict=True)]


def _members(rewards: Sequence[float], groups: Groups) -> tuple[np.ndarray[Any, Any], Iterator[list[int]]]:
    """Rewards as an array [n], and for each group the indices whose reward is there."""
    if len(rewards) != len(groups):
        raise InputError(f"expected one group a reward, got {len(groups)} groups and {len(rewards)} rewards")
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        if not math.isnan(rewards[i]):
            members.setdefault(group, []).append(i)
    return np.array(rewards, dtype=float), iter(members.values())


def _std(x: np.ndarray[Any, Any], ddof: int) -> float:
    return float(np.nanstd(x, ddof=ddof)) if np.isfinite(x).sum() > ddof else 0.0


def group_relative(
    rewards: Sequence[float], groups: Groups, *, scale: str = "group", ddof: int = 1, epsilon: float = 1e-4
) -> list[float]:
    """Reward less the mean of its group, divided by a standard deviation + epsilon.

    scale: "group" divides by the group's standard deviation (GRPO, arXiv:2402.03300), "batch" by that of all rewards
    (arXiv:2508.08221), "none" by 1 (Dr. GRPO, arXiv:2503.20783). ddof 1 is the sample's, as GRPO's implementations have it,
    0 the population's. A group of one has advantage 0. Raises InputError for an unknown scale.
    """
    if scale not in ("group", "batch", "none"):
        raise InputError(f"scale must be group, batch or none, got {scale!r}")
    x, members = _members(rewards, groups)
    out = np.full(len(x), np.nan)
    whole = _std(x, ddof)
    for at in members:
        out[at] = x[at] - x[at].mean()
        if scale != "none":
            out[at] /= (_std(x[at], ddof) if scale == "group" else whole) + epsilon
    return [float(a) for a in out]


def leave_one_out(rewards: Sequence[float], groups: Groups) -> list[float]:
    """Reward less the mean of the others of its group (RLOO). Ahmadian et al., arXiv:2402.14740, equation 8.

    A group of one has advantage 0: there is nothing to compare it with.
    """
    x, members = _members(rewards, groups)
    out = np.full(len(x), np.nan)
    for at in members:
        n = len(at)
        out[at] = (x[at] - x[at].mean()) * n / (n - 1) if n > 1 else 0.0
    return [float(a) for a in out]


def running(
    rewards: Sequence[float], groups: Groups, known: Mapping[Hashable, Sequence[float]], *, keep: int = 32, least: int = 16,
    epsilon: float = 1e-6,
) -> tuple[list[float], dict[Hashable, tuple[float, ...]]]:  # fmt: skip
    """Reward less the mean, over the standard deviation, of the last ``keep`` rewards of its group, of earlier batches too.

    Black et al., arXiv:2305.13301, as in the authors' code. known: those rewards as the last call returned them, {}
    at first. A group of which fewer than ``least`` are known takes mean and deviation of the whole batch.

    Returns the advantages and what is known now. A reward that is NaN is not kept.
    """
    x, members = _members(rewards, groups)
    out = np.full(len(x), np.nan)
    held = {group: tuple(past) for group, past in known.items()}
    for at in members:
        group = groups[at[0]]
        held[group] = (*held.get(group, ()), *(float(r) for r in x[at]))[-keep:]
        sample = np.array(held[group]) if len(held[group]) >= least else x[np.isfinite(x)]
        out[at] = (x[at] - sample.mean()) / (sample.std() + epsilon)
    return [float(a) for a in out], held


def normalised(advantages: Sequence[float], *, ddof: int = 1, epsilon: float = 1e-8) -> list[float]:
    """All of a batch to mean 0 and standard deviation 1, whatever their groups. REINFORCE++, arXiv:2501.03262."""
    x = np.array(advantages, dtype=float)
    if not np.isfinite(x).any():
        return [float(a) for a in x]
    return [float(a) for a in (x - np.nanmean(x)) / (_std(x, ddof) + epsilon)]


def plain(rewards: Sequence[float], groups: Groups) -> list[float]:
    """The rewards themselves, without a baseline."""
    return [float(a) for a in _members(rewards, groups)[0]]


def _globally(rewards: Sequence[float], groups: Groups) -> list[float]:
    return normalised(group_relative(rewards, groups, scale="none"))


ESTIMATORS: Mapping[str, Callable[[Sequence[float], Groups], list[float]]] = MappingProxyType(
    {
        "grpo": group_relative,
        "dr-grpo": partial(group_relative, scale="none"),
        "batch-std": partial(group_relative, scale="batch"),
        "rloo": leave_one_out,
        "reinforce++": _globally,  # with the group's mean as baseline
        "none": plain,
    }
)


def advantages(rewards: Sequence[float], groups: Groups, estimator: str = "grpo") -> list[float]:
    """Advantages by the name of a row of ESTIMATORS. Raises InputError for an unknown one, or lengths that differ."""
    if estimator not in ESTIMATORS:
        raise InputError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")
    return ESTIMATORS[estimator](rewards, groups)


def silent_share(advantages: Sequence[float], groups: Groups) -> float:
    """Share of the groups that teach nothing, all their advantages being 0 or missing. NaN without groups."""
    _, loud = _members(advantages, groups)
    names = set(groups)
    if not names:
        return math.nan
    return 1 - sum(any(advantages[i] != 0.0 for i in at) for at in loud) / len(names)
