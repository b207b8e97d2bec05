"""What became of a number of attempts: how many were answered, cut off, judged, and why others were not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from loopwright.core.feedback import Missing
from loopwright.core.gate import summarise
from loopwright.core.raised import in_one_line
from loopwright.core.types import Rollout

_LONG = 300  # characters of a reason


def tally(rollouts: Sequence[Rollout]) -> dict[str, int]:
    """Counts of attempts, for whoever is told of them.

    Args:
        rollouts: The attempts.

    Returns:
        ``attempts``; of these ``cut``, ended by their limit of tokens (judged by their text); ``unanswered``, to which the
        policy gave nothing (judged as the answer ""); ``unscored``, without a score.
    """
    return {
        "attempts": len(rollouts), "cut": sum(r.cut for r in rollouts), "unanswered": sum(r.unanswered for r in rollouts),
        "unscored": sum(r.score is None for r in rollouts),
    }  # fmt: skip


def measured(rollouts: Sequence[Rollout]) -> dict[str, Any]:
    """The mean score of attempts by example, with its interval, as ``gate.Interval`` has it.

    Attempts at one example are alike, so what is averaged are means by example: sixteen examples asked eight times are
    sixteen values and not 128.

    Args:
        rollouts: The attempts; those without a score are left out.

    Returns:
        ``score``, ``low`` and ``high``, None where none was scored; ``n`` examples with a score, ``missing`` attempts
        without one.
    """
    scores: dict[str, list[float]] = {}
    for rollout in rollouts:
        if rollout.score is not None:
            scores.setdefault(rollout.example.id, []).append(rollout.score)
    shown = summarise([math.fsum(own) / len(own) for own in scores.values()]).model_dump()
    shown["missing"] = sum(r.score is None for r in rollouts)
    return shown if shown["n"] else {**shown, "score": None, "low": None, "high": None}


def why_nothing(rollout: Rollout) -> str:
    """Why an attempt has no answer or no score, in a sentence; "" where it has both."""
    if rollout.score is None:
        said = next((f.message for f in rollout.feedback if isinstance(f, Missing) and f.message), "")
        return (said or rollout.error or "not judged")[:_LONG]
    if not rollout.unanswered:
        return ""
    if error := rollout.error.strip():
        return (in_one_line(error) if "\n" in error else error)[:_LONG]  # a stack trace, or what a model's server said
    return "the thinking was never ended" if rollout.output.strip() else "the answer is empty"


def reasons(rollouts: Iterable[Rollout]) -> list[tuple[str, int]]:
    """The reasons of ``why_nothing`` with how often each came, the commonest first."""
    return Counter(why for r in rollouts if (why := why_nothing(r))).most_common()


def quoted(found: Sequence[tuple[str, int]], most: int = 3) -> str:
    """The commonest reasons as text: ``12 times "..."; 3 times "..."``."""
    more = f"; and {len(found) - most} other reasons" if len(found) > most else ""
    return "; ".join(f'{n} times "{why}"' if n > 1 else f'once "{why}"' for why, n in found[:most]) + more
