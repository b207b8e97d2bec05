"""What learners share that act in an environment: what they read of a context, and the softmax policies they act by.

A context is {"observation": [numbers], "episode": 3, "step": 0}, or the numbers alone, which are then one long episode.
The world tells ``arms``, the number of actions, and ``dimensions``, how many numbers an observation is.

The first context of an episode may say how the one before ended, {"last": {"end": "truncated", "observation": [numbers]}}, in
Gymnasium's words: "terminated", after which there is nothing more to be had, or "truncated", by a limit of time for example,
where the observation it broke off at is worth what could still have been had from there. Without ``last`` it has terminated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from loopwright.core.errors import InputError
from loopwright.core.feedback import Score
from loopwright.core.lazy import lazy
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Seen(NamedTuple):
    observation: np.ndarray  # [d]
    episode: int
    step: int  # -1 where the context does not say
    broken_off: np.ndarray | None = None  # [d] the last observation of the episode before, where that was truncated


def seen(context: Any, d: int) -> Seen:
    """Raises InputError for a context that is missing, of another length, or not finite."""
    whole = context if isinstance(context, Mapping) else {"observation": context}
    given = whole.get("observation")
    x = _numbers(given, d)
    if x is None:
        raise InputError(f'a context is {{"observation": [{d} finite numbers], "episode": 0, "step": 0}}, got {context!r}')
    numbers = [whole.get("episode", 0), whole.get("step", -1)]
    if any(isinstance(n, bool) or not isinstance(n, int) for n in numbers):
        raise InputError(f"episode and step of a context are whole numbers, got {numbers[0]!r} and {numbers[1]!r}")
    return Seen(x, numbers[0], numbers[1], _broken_off(whole.get("last"), d))


def _numbers(given: Any, d: int) -> np.ndarray | None:
    try:
        x = np.asarray(given if isinstance(given, list | tuple | np.ndarray) else [], dtype=float)
    except (TypeError, ValueError):
        return None
    return x if x.shape == (d,) and np.isfinite(x).all() else None


def _broken_off(last: Any, d: int) -> np.ndarray | None:
    if last is None:
        return None
    end = last.get("end") if isinstance(last, Mapping) else None
    x = _numbers(last.get("observation"), d) if end == "truncated" else None
    if end not in ("terminated", "truncated") or (end == "truncated" and x is None):
        raise InputError(
            'how the last episode ended is {"end": "terminated"}, or {"end": "truncated", "observation": '
            f"[{d} finite numbers]}}; got {last!r}"
        )
    return x


def action_of(trial: Trial, actions: int) -> int:
    """Raises InputError for what is none."""
    action = trial.proposal
    if isinstance(action, bool) or not isinstance(action, int) or not 0 <= action < actions:
        raise InputError(f"an action here is a whole number from 0 to {actions - 1}, got {action!r}")
    return action


def softmax(values: np.ndarray) -> np.ndarray:
    """[actions] probabilities."""
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())


def praise(feedback: Score) -> float:
    """A score as praise above 0 or blame below it, in units of the farther end of its range: from -1 to 1."""
    return feedback.value / max(abs(feedback.low), abs(feedback.high))
