"""What learners share that propose vectors of numbers: the box they search, and the answers to one proposal or to a batch.

The specification says ``dimensions``, and ``low`` and ``high``, each a number for all of them or a list. A trial proposes a
vector [d], or a batch of them, Numbers [n, d]. It is answered by Measures: a number by name, or of a batch Numbers [n] with None
for those that failed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms
from loopwright.core.arrays import Numbers
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import Feedback, Measures, Missing, Score
from loopwright.core.lazy import lazy
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

OBJECTIVE = "objective"  # its name among the measures; more is better

# How many solutions a trial proposes. More than one pays where the world evaluates many at once.
Batch = Annotated[int, Field(ge=1)]
# A standard deviation as a share of each dimension's range.
Deviation = Annotated[float, Field(gt=0.0)]
# Of a step along the way to another solution, in units of the way; 0 makes none.
Line = Annotated[float, Field(ge=0.0)]


class Box(NamedTuple):
    low: np.ndarray  # [d]
    high: np.ndarray  # [d]


def box(spec: Mapping[str, JsonValue]) -> Box:
    """Where to search. Raises InputError where the specification does not say it."""
    d = arms.number_of(spec, "dimensions")
    sides = []
    for name in ("low", "high"):
        try:
            side = np.broadcast_to(np.asarray(spec.get(name), dtype=float), (d,)).copy()
        except (TypeError, ValueError):
            side = np.full(d, np.nan)
        sides.append(side)
    if not np.isfinite(sides).all() or not (sides[0] < sides[1]).all():
        raise InputError(
            f"the specification must say 'low' and 'high', each a finite number or a list of {d}, low below high; got "
            f"{spec.get('low')!r} and {spec.get('high')!r}"
        )
    return Box(*sides)


def names(spec: Mapping[str, JsonValue], what: str) -> tuple[str, ...]:
    """Names that a specification lists. Raises InputError where it does not."""
    told = spec.get(what)
    if not isinstance(told, list | tuple) or not told or not all(isinstance(name, str) for name in told):
        raise InputError(f"the specification must say {what!r}, a list of their names in the answers, got {told!r}")
    return tuple(str(name) for name in told)


def uniform(box: Box, rng: np.random.Generator, number: int) -> np.ndarray:
    """[number, d] points, drawn evenly."""
    return np.asarray(box.low + (box.high - box.low) * rng.random((number, len(box.low))))


def generator(*seen: np.ndarray) -> np.random.Generator:
    """Random numbers that follow from data: for ``tell``, which is given none, so that runs that saw other data differ."""
    return np.random.default_rng([zlib.crc32(np.ascontiguousarray(array).tobytes()) for array in seen])


def inside(box: Box, points: np.ndarray) -> np.ndarray:
    """The points with coordinates beyond a side put on it."""
    held = np.maximum(points, box.low)
    return np.asarray(np.minimum(held, box.high, out=held))


def trial(points: np.ndarray, *, parents: tuple[str, ...] = ()) -> Trial:
    """Of points [n, d]: proposes one as a list of numbers, several as Numbers."""
    proposal = points[0].tolist() if len(points) == 1 else Numbers(points)
    return Trial.model_construct(id="", proposal=proposal, parents=parents)


def proposed(trial: Trial, dimensions: int) -> np.ndarray:
    """[n, d] points of a trial. Raises InputError for other proposals."""
    try:
        points = np.atleast_2d(np.asarray(trial.proposal, dtype=float))
    except (TypeError, ValueError):
        points = np.zeros((0, 0))
    if points.ndim != 2 or points.shape[1] != dimensions:
        raise InputError(f"a proposal here is {dimensions} numbers, or a list of such, got {str(trial.proposal)[:80]}")
    return points


def answers(feedback: Feedback, names: Sequence[str], number: int) -> np.ndarray | None:
    """[number, names] what was measured, with a row of NaN for each that failed; None where nothing was.

    A Score may stand for the objective alone; one that is censored, or measures that are, teach nothing. Raises InputError for
    a name that is not there and for a list of another length.
    """
    if isinstance(feedback, Score) and tuple(names) == (OBJECTIVE,) and number == 1:
        return np.array([[feedback.value]]) if feedback.status == "ok" else None
    if not isinstance(feedback, Measures):
        if isinstance(feedback, Missing):
            return None
        many = f"{number} numbers of each of {', '.join(names)}" if number > 1 else ", ".join(names)
        raise NoConversion(f"this trial is answered by measures ({many}), got {feedback.kind}")
    if feedback.status != "ok":
        return None
    values = feedback.values
    absent = [name for name in names if name not in values]
    if absent:
        raise InputError(f"the answer must measure {', '.join(absent)}; it has {', '.join(values)}")
    columns: list[Any] = [values[name] for name in names]
    if number == 1 and not isinstance(columns[0], Numbers):
        return np.array([columns], dtype=float)
    if any(not isinstance(column, Numbers) or column.root.shape != (number,) for column in columns):
        raise InputError(f"a batch of {number} is answered by {number} numbers of each measure, None for those that failed")
    table = np.array([column.root for column in columns]).T
    failed = np.isnan(table).any(axis=1)
    if failed.any():
        table[failed] = np.nan
    return table
