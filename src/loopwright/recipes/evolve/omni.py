"""OMNI: of many tasks, those are trained on next that are being learned, and that are not more of what is done well already.

Zhang, Lehman, Stanley and Clune, "OMNI: Open-endedness via Models of human Notions of Interestingness", arXiv:2306.01711. For
whoever learns from a great many tasks, most of them too easy, too hard or alike. Learning progress is by how much a fast
moving mean of a task's success differs from a slow one (Kanitscheider et al., arXiv:2106.14876), both bent so that small rates
count more. A task's weight is the sigmoid of its progress in standard deviations, times ``dull`` if it is boring: tasks are
visited from the best done to the worst, and what a judge finds boring beside one that is visited is not visited itself.

The world tells how many tasks there are, and what the judge says: ``{"arms": 3, "boring": {"0": [1, 2]}}``, by the places of
the tasks, those that bore whoever does the first one well. Ask people or a model once for each task, with the tasks' names.
``dull`` 1 asks for no judge: ``learning-progress``.

When it does not help: it is as good as the judge, and one that is wrong is worse than none. Where all tasks differ, it is
learning progress.

How this differs: only the task that is trained on is heard of, where all tasks are to be evaluated every so often; so a share
``explore`` of the draws is even over what is not boring, and what has never succeeded is drawn there alone. A task bores others
by its success from ``well`` on. Their judge is a large model; this one has spoken beforehand, whoever it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Score
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Progress(NamedTuple):
    fast: np.ndarray  # [tasks] moving means of success
    slow: np.ndarray
    boring: np.ndarray  # [tasks, tasks] the second, for who does the first well


@learner(paper="arXiv:2306.01711", improves="task", learns_from=("score",))
def omni(
    *,
    dull: Annotated[float, Field(gt=0.0, le=1.0)] = 0.001,
    speed: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1,
    bend: Share = 0.1,
    explore: Share = 0.5,
    well: Share = 0.5,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Progress:
        count = arms.number_of(spec, "arms")
        return Progress(np.zeros(count), np.zeros(count), _boring(spec, count, needed=dull < 1.0))

    def bent(rate: np.ndarray) -> np.ndarray:
        return np.asarray((1 - bend) * rate / (rate + bend * (1 - 2 * rate) + 1e-12))

    def ask(state: Progress, context: Any, rng: np.random.Generator) -> Trial:
        interest = np.where(_bores(state, well), dull, 1.0)
        chances = interest / interest.sum()
        known = state.fast > 0
        if known.any():
            progress = np.abs(bent(state.fast) - bent(state.slow))
            off = progress - progress[known].mean()
            weights = known * interest * (1 + np.tanh(off / (progress[known].std() or 1.0) / 2))  # twice the sigmoid
            chances = explore * chances + (1 - explore) * weights / weights.sum()
        task, propensity = arms.draw(chances, rng)
        return Trial(id="", proposal=task, propensity=propensity)

    def tell(state: Progress, trial: Trial, feedback: Feedback) -> Progress:
        if not isinstance(feedback, Score):
            return state
        task = int(trial.proposal)  # type: ignore[arg-type]
        fast, slow = state.fast.copy(), state.slow.copy()
        fast[task] += speed * (feedback.unit - fast[task])
        slow[task] += speed * (fast[task] - slow[task])
        return Progress(fast, slow, state.boring)

    return Learner(init, ask, tell)


def _bores(state: Progress, well: float) -> np.ndarray:
    """[tasks] which ones are more of what is done well."""
    dull = np.zeros(len(state.fast), dtype=bool)
    for task in np.argsort(-state.fast, kind="stable"):
        if state.fast[task] < well:
            break
        if not dull[task]:
            dull |= state.boring[task]
            dull[task] = False
    return dull


def _boring(spec: Mapping[str, JsonValue], count: int, *, needed: bool) -> np.ndarray:
    said: Any = spec.get("boring", None if needed else {})
    table = np.zeros((count, count), dtype=bool)
    try:
        for task, others in said.items():
            table[int(task), [int(other) for other in others]] = True
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            'the specification must say "boring", what a judge finds boring beside each task, by their places, such as '
            f'{{"0": [1, 2]}}; got {said!r:.80}. Without a judge, use learning-progress'
        ) from error
    return table
