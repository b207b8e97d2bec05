"""Linear and mixed-integer programs through HiGHS: status, optimum and values.

HiGHS and OR-Tools must not be loaded into one process: both bring HiGHS, and calls may end in the other's.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from functools import lru_cache
from typing import Any, Literal

from loopwright.blocks.linear_program import LinearProgram, read_program
from loopwright.core.errors import InputError
from loopwright.core.extras import require
from loopwright.core.feedback import Frozen
from loopwright.core.lazy import lazy
from loopwright.critics.limited import Limited
from loopwright.critics.worker import CallFailed, TookTooLong

_KEPT = 512
_MEMORY_MB = 2048
Status = Literal["optimal", "infeasible", "unbounded", "limit", "unread", "error"]


class Optimum(Frozen):
    """What came of a program. said: why it could not be read (``unread``), else HiGHS's own word for the status.

    limit: no optimum was found in time. objective and values are those of the optimum, where there is one.
    """

    status: Status
    objective: float | None = None
    values: dict[str, float] = {}
    said: str = ""

    @property
    def text(self) -> str:
        if self.status == "unread":
            return f"The program could not be read: {self.said}"
        if self.status != "optimal":
            return f"HiGHS was given the program; it is {self.said.lower() or self.status}."
        found = ", ".join(f"{name} = {value:g}" for name, value in self.values.items() if abs(value) > 1e-9)
        return f"HiGHS found the optimum {self.objective:g} at {found or 'zero'}."


@lru_cache(maxsize=_KEPT)
def solved(text: str, seconds: float = 5.0) -> Optimum:
    """The optimum of a program in LP text that is trusted, in this process; the same text is solved once."""
    try:
        program = read_program(text)
    except InputError as error:
        return Optimum(status="unread", said=str(error))
    return optimum(program, seconds)


_solves: OrderedDict[str, Optimum] = OrderedDict()  # by (text, seconds)


@lru_cache(maxsize=1)
def _processes() -> Limited:
    return Limited("program", "solve", memory_mb=_MEMORY_MB)


async def solved_apart(text: str, seconds: float = 5.0) -> Optimum:
    """The same of a program that a model wrote: read and solved in a process with limits.

    Args:
        text: A program in LP text.
        seconds: Wall clock.

    Returns:
        What came of it; ``limit`` where it took too long or too much.

    Raises:
        InputError: highspy is missing.
    """
    require("highspy")
    key = f"{seconds!r} {text}"
    if key not in _solves:
        try:
            found = Optimum.model_validate(await _processes().call(text, seconds, seconds=seconds))
        except TookTooLong:
            found = Optimum(status="limit", said="Time limit reached")
        except CallFailed as error:
            found = Optimum(status="limit", said=f"stopped: {error}")
        _solves[key] = found
        while len(_solves) > _KEPT:
            _solves.popitem(last=False)
    return _solves[key]


def optimum(program: LinearProgram, seconds: float = 5.0) -> Optimum:
    """Exact (no gap) within ``seconds``. Raises InputError where highspy is missing or OR-Tools is loaded."""
    if "ortools" in sys.modules:
        raise InputError("OR-Tools is loaded in this process, and HiGHS cannot be beside it: use a process of its own")
    if any(program.lower.get(n, 0.0) > program.upper.get(n, float("inf")) for n in program.names):
        return Optimum(status="infeasible", said="Infeasible")
    highspy: Any = lazy("highspy")
    solver = highspy.Highs()
    for option, value in (("output_flag", False), ("threads", 1), ("time_limit", seconds), ("mip_rel_gap", 0.0)):
        solver.setOptionValue(option, value)
    names = program.names
    place = {name: i for i, name in enumerate(names)}
    for name in names:
        solver.addVar(program.lower.get(name, 0.0), program.upper.get(name, highspy.kHighsInf))
        solver.changeColCost(place[name], program.objective.get(name, 0.0))
        if name in program.integers:
            solver.changeColIntegrality(place[name], highspy.HighsVarType.kInteger)
    for coefficients, sense, right in program.rows:
        low = -highspy.kHighsInf if sense == "<=" else right
        high = highspy.kHighsInf if sense == ">=" else right
        solver.addRow(low, high, len(coefficients), [place[n] for n in coefficients], list(coefficients.values()))
    aim = highspy.ObjSense.kMaximize if program.maximize else highspy.ObjSense.kMinimize
    solver.changeObjectiveSense(aim)
    solver.run()
    status = solver.getModelStatus()
    said = str(solver.modelStatusToString(status))
    if said == "Optimal":
        found = [float(v) for v in solver.getSolution().col_value]
        objective = float(solver.getInfo().objective_function_value) + program.constant
        return Optimum(status="optimal", objective=objective, values=dict(zip(names, found, strict=True)), said=said)
    if "nfeasible" in said and "nbounded" not in said:
        return Optimum(status="infeasible", said=said)
    if "nbounded" in said:
        return Optimum(status="unbounded", said=said)
    return Optimum(status="limit" if "limit" in said else "error", said=said)


def same(value: float | None, expected: float) -> bool:
    """Whether two optima are the same, to a relative 1e-4."""
    return value is not None and abs(value - expected) <= 1e-4 * max(1.0, abs(expected))
