"""Linear and integer programs of models, in a process with limits."""

from __future__ import annotations

from typing import Any

from loopwright.critics.milp import solved


def solve(text: str, seconds: float) -> dict[str, Any]:
    """The optimum of a program in LP text, as plain data."""
    return solved(text, seconds).model_dump(mode="json")


if __name__ == "program":  # in its own process: loaded before the clock of the first call runs
    solved("min x\nst\n x >= 1")
