"""Programs as text: what is read, what is refused and by which line, and what HiGHS makes of it."""

from __future__ import annotations

import pytest

from loopwright.blocks.linear_program import read_program
from loopwright.core.errors import InputError

WHOLE = """
Maximize profit: 3 x + 2*y - z + 5
subject to
  wood: 2x + y <= 40   \\ a remark
  x >= 2 y
  1 <= x + z <=
     9
bounds
  0 <= y <= 12
  z free
integer
  x, y
binary
  b
end
anything
"""


def test_a_program_is_read_whole() -> None:
    program = read_program(WHOLE)
    assert program.maximize and program.objective == {"x": 3, "y": 2, "z": -1} and program.constant == 5
    assert program.rows == [
        ({"x": 2, "y": 1}, "<=", 40), ({"x": 1, "y": -2}, ">=", 0), ({"x": -1, "z": -1}, "<=", -1), ({"x": 1, "z": 1}, "<=", 9),
    ]  # fmt: skip
    assert program.lower == {"y": 0, "z": float("-inf"), "b": 0} and program.upper == {"y": 12, "b": 1}
    assert program.integers == {"x", "y", "b"} and program.names == ["x", "y", "z", "b"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x + y <= 3", "line 1: expected maximize"),
        ("maximize 2 (x + y)", "line 1: cannot read '\\(x"),
        ("max x*y", "expected a number before"),
        ("max x y", "names are not multiplied"),
        ("max x\nst\n x + 3 4 <= 2", "line 3: expected \\+ or -"),
        ("max x\nst\n x + y", "line 3: expected one of <="),
        ("max x\nst\n x +", "not complete"),
        ("max x\nst\n 3 <= 4", "expected a variable"),
        ("max x <= 3", "an objective has no"),
        ("max x\nmin y", "line 2: there is an objective"),
        ("max 3", "expected an objective"),
        ("max x\nbounds\n x + y <= 3", "bound of one variable"),
        ("max x\nint\n 3x", "names of variables"),
        ("", "expected an objective"),
        ("max " + " + ".join(f"x{i}" for i in range(600)), "at most 500"),
        ("max x" * 10_000, "at most 40000 characters"),
    ],
)
def test_what_is_no_program_is_refused_by_its_line(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_program(text)


def test_bounds_may_be_written_from_either_side() -> None:
    program = read_program("min x + y + z\nbounds\n 3 >= x\n -y <= 4\n -inf <= z <= 8\n")
    assert program.upper == {"x": 3, "z": 8} and program.lower == {"y": -4, "z": float("-inf")}
