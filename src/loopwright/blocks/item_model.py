"""What linear models of items have in common: a user's items, times a matrix, is how much the user may want each other
item.

A world tells ``items``, how many there are, and ``shown``, how many a ranking holds. A context is what is known of the
user: ``{"history": [3, 17], "user": "ann"}``, or the list alone, or None. The proposal ranks items that are not in the
history. The feedback is a Signal whose ``items`` ("0", "1", ...) were taken, on the list or not: what the user had and
what was taken become one row of the matrix of users and items, which replaces an earlier one of the same user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms, tables
from loopwright.blocks.tables import Table
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import Feedback, Signal
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

Weights = Callable[["np.ndarray"], "np.ndarray"]  # [items, items] counts of pairs -> [items, items]
Refresh = Annotated[int, Field(gt=0)]  # after how many answers the matrix is solved anew
_AT_ONCE = 4096  # rows multiplied at a time


class Rows(NamedTuple):
    items: int
    shown: int
    answers: int
    rows: Table  # what each user has, ascending
    solved: Table  # the rows that the model is of: those of the last refresh
    popular: np.ndarray  # [items] how many rows have each
    solved_popular: np.ndarray  # [items] the same of the solved rows

    @classmethod
    def of_format(cls, values: Sequence[Any], format: int) -> Rows:
        """Of a snapshot of format 1, which did not hold the popularity."""
        items, shown, answers, rows, solved = values
        return cls(items, shown, answers, rows, solved, popularity(rows, items), popularity(solved, items))


def item_model(weights: Weights | None, refresh: int = 1) -> Learner:
    """A Learner that ranks by ``weights`` of the pairs' counts; with None, or for a user without items, by popularity.

    The matrix is solved when a ranking first needs it, and kept for as long as the rows are the same.
    """
    kept: list[tuple[Table, np.ndarray]] = []

    def init(spec: Mapping[str, JsonValue]) -> Rows:
        items = arms.number_of(spec, "items", 2)
        return Rows(items, arms.number_of(spec, "shown"), 0, {}, {}, np.zeros(items), np.zeros(items))

    def ask(state: Rows, context: Any, rng: np.random.Generator) -> Trial:
        _, history = known(context, state.items)
        scores = popular = state.solved_popular
        if weights is not None and len(history) and state.solved:
            if not kept or kept[0][0] is not state.solved:
                kept[:] = [(state.solved, weights(pairs(state.solved, state.items)))]
            scores = kept[0][1][history].sum(axis=0)
        scores = np.where(np.isin(np.arange(state.items), history), -np.inf, scores)
        order = np.lexsort((np.arange(state.items), -popular, -scores))
        shown = order[: min(state.shown, state.items - len(history))]
        return Trial(id="", proposal=[int(i) for i in shown], propensity=1.0)

    def tell(state: Rows, trial: Trial, feedback: Feedback) -> Rows:
        if not isinstance(feedback, Signal):
            raise NoConversion(f"rankings of items learn from a signal that names what was taken, got {feedback.kind}")
        if not feedback.items or feedback.value <= 0:
            return state
        user, history = known(trial.context, state.items)
        row = np.union1d(history, [number(item, state.items) for item in feedback.items]).astype(np.int32)
        name, answers, popular = user or f"answer {state.answers}", state.answers + 1, state.popular.copy()
        before = tables.get(state.rows, name)
        if before is not None:
            popular[before] -= 1.0
        popular[row] += 1.0
        rows = tables.put(state.rows, name, row)
        if answers % refresh:
            return state._replace(answers=answers, rows=rows, popular=popular)
        return state._replace(answers=answers, rows=rows, popular=popular, solved=rows, solved_popular=popular)

    return Learner(init, ask, tell)


def known(context: Any, items: int) -> tuple[str, np.ndarray]:
    """(user or "", their items) of a context. Raises InputError for one that cannot be understood."""
    given, user = context, ""
    if isinstance(context, Mapping):
        given, user = context.get("history", []), context.get("user", "")
    listed = isinstance(given, list | tuple | np.ndarray)
    if (given is not None and not listed) or not isinstance(user, str):
        raise InputError(
            f'a context is what the user has, [3, 17] or {{"history": [3, 17], "user": "ann"}}, or nothing; got {context!r}'
        )
    return user, np.array(sorted({number(item, items) for item in given} if listed else ()), dtype=np.int32)


def number(item: Any, items: int) -> int:
    """The number of an item, which may be spelled. Raises InputError where there is none."""
    value = int(item) if isinstance(item, str) and item.isdecimal() else item
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < items:
        raise InputError(f"items here are 0 to {items - 1}, got {item!r}")
    return int(value)


def popularity(rows: Table, items: int) -> np.ndarray:
    """[items] how many users have each."""
    every = np.concatenate([*tables.values(rows), np.zeros(0, dtype=np.int32)])
    return np.asarray(np.bincount(every, minlength=items).astype(float))


def pairs(rows: Table, items: int) -> np.ndarray:
    """[items, items] how many users have both: X'X of the matrix of users and items."""
    counts = np.zeros((items, items))
    for some in _batches(tables.values(rows)):
        part = np.zeros((len(some), items), dtype=np.float32)  # counts below 2^24 are exact in it
        for place, row in enumerate(some):
            part[place, row] = 1.0
        counts += part.T @ part
    return counts


def _batches(rows: Sequence[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]
