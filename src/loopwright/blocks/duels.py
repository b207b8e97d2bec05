"""What learners share that are told which of two is better: a tally of wins, and bounds on who beats whom.

A trial proposes two places of the pool, ``[i, j]``, which may be the same: then there is nothing left to find out, and one
is shown twice. The ids of the Preference say which of the two shown was better, by their place in the proposal: "0" or "1".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from loopwright.blocks import arms
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Preference
from loopwright.core.lazy import lazy
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

PLACES = ("0", "1")


class Wins(NamedTuple):
    wins: np.ndarray  # [arms, arms] how often the first beat the second; a tie is half a win of both
    answers: int  # comparisons told, those of an arm with itself among them


def fresh(count: int) -> Wins:
    return Wins(np.zeros((count, count)), 0)


def outcome(trial: Trial, feedback: Preference) -> tuple[int, int, float]:
    """(better, worse, weight): places in the pool; the weight is a half for a tie. Raises InputError for other ids."""
    if {feedback.chosen, feedback.rejected} != set(PLACES):
        raise InputError(
            f"a duel is answered by place: chosen and rejected are '0' and '1', the first and second of the proposal; "
            f"got {feedback.chosen!r} and {feedback.rejected!r}"
        )
    pair = trial.proposal
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise InputError(f"the proposal of a duel is two places of the pool, got {pair!r}")
    first, second = (int(pair[PLACES.index(id)]) for id in (feedback.chosen, feedback.rejected))  # type: ignore[arg-type]
    return first, second, 0.5 if feedback.tie else 1.0


def add(state: Wins, trial: Trial, feedback: Feedback) -> Wins:
    """One more comparison. One that was cut short (censored) says nothing of who would have won."""
    if not isinstance(feedback, Preference) or feedback.status != "ok":
        return state
    better, worse, weight = outcome(trial, feedback)
    wins = state.wins.copy()
    if better != worse:
        wins[better, worse] += weight
        wins[worse, better] += 1.0 - weight
    return Wins(wins, state.answers + 1)


def some(state: Wins, places: Sequence[int]) -> Wins:
    """``Learner.arms``. Raises InputError for fewer than two."""
    if len(places) < 2:
        raise InputError(f"a duel needs two arms, got {len(places)}")
    return Wins(arms.rearranged(arms.rearranged(state.wins, places).T, places).T, state.answers)


def upper(state: Wins, alpha: float) -> np.ndarray:
    """[arms, arms] upper confidence bounds of the chance that the first beats the second; the lower are 1 - upper.T.

    x / 0 is 1, as in the papers of RUCB and double Thompson sampling; on the diagonal 1/2.
    """
    met = state.wins + state.wins.T
    known = np.maximum(met, 1e-300)
    radius = np.sqrt(alpha * math.log(state.answers + 1) / known)
    bound = np.where(met > 0, state.wins / known + radius, 2.0)
    np.fill_diagonal(bound, 0.5)
    return np.asarray(bound)
