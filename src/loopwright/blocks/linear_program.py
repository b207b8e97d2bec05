"""Linear and mixed-integer programs written as text, in a small part of the LP format, read into plain numbers.

    maximize 3 x + 2 y
    subject to
      wood: 2 x + y <= 40
      x >= 2 y
    bounds
      0 <= y <= 12
    integer
      x y
    end

A text is data: nothing in it is run. Variables are at least 0 unless ``bounds`` says otherwise. Only sums of numbers times
names are linear: brackets, products and quotients of names are refused by their line. A line that ends in an operator goes on in
the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from loopwright.core.errors import InputError

Sense = Literal["<=", ">=", "="]
MOST = 500  # variables, and rows
_LONGEST = 40_000  # characters

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+(?!\w))?"
_TOKEN = re.compile(rf"\s*({_NUMBER}|[A-Za-z_][\w.]*(?:\[[\w, ]+\])?|[-+*])")
_SENSES: dict[str, Sense] = {"<=": "<=", "=<": "<=", "<": "<=", ">=": ">=", "=>": ">=", ">": ">=", "=": "=", "==": "="}
_SENSE = re.compile(r"(<=|=<|>=|=>|==|<|>|=)")
_FLIPPED: dict[Sense, Sense] = {"<=": ">=", ">=": "<=", "=": "="}
_SECTIONS = (
    ("maximize", r"max(?:imi[sz]e)?\b"), ("minimize", r"min(?:imi[sz]e)?\b"),
    ("rows", r"(?:subject\s+to|such\s+that|s\.\s*t\.|st|constraints)(?![\w.])"), ("bounds", r"bounds?\b"),
    ("integer", r"(?:integers?|int|generals?|gen)\b"), ("binary", r"(?:binary|binaries|bin)\b"), ("end", r"end\b"),
)  # fmt: skip
_HEAD = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _SECTIONS), re.IGNORECASE)
_LABEL = re.compile(r"^\s*[A-Za-z_][\w. ]*:(?!=)")
_INFINITE = re.compile(r"\s*([-+]?)\s*inf(?:inity)?\s*", re.IGNORECASE)

Sum = tuple[dict[str, float], float]  # coefficients by name, and what stands alone


@dataclass
class LinearProgram:
    """rows: coefficients by name, sense and right side. upper: infinite where it has no entry; lower: 0 where it has none."""

    maximize: bool = False
    objective: dict[str, float] = field(default_factory=dict)
    constant: float = 0.0
    rows: list[tuple[dict[str, float], Sense, float]] = field(default_factory=list)
    lower: dict[str, float] = field(default_factory=dict)
    upper: dict[str, float] = field(default_factory=dict)
    integers: set[str] = field(default_factory=set)

    @property
    def names(self) -> list[str]:
        """Of all variables, in the order in which they come."""
        of_rows = (name for row in self.rows for name in row[0])
        return list(dict.fromkeys([*self.objective, *of_rows, *self.lower, *self.upper, *sorted(self.integers)]))


def read_program(text: str) -> LinearProgram:
    """Raises InputError, which names the line, for what is no such program."""
    if len(text) > _LONGEST:
        raise InputError(f"expected a program of at most {_LONGEST} characters, got {len(text)}")
    program = LinearProgram()
    section, aimed, waiting = "", False, ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.split(r"\\|//|#", raw)[0].strip().rstrip(";,")
        head = _HEAD.match(line)
        # A variable may be called end or max: a head is alone, has a colon, or opens what has none of the signs of a row.
        if head and (section != "rows" or not _SENSE.search(line[head.end() :])):
            name = str(head.lastgroup)
            _whole(waiting, number)
            section, waiting = name, ""
            line = line[head.end() :].lstrip(" :")
            if name in ("maximize", "minimize"):
                if aimed:
                    raise InputError(f"line {number}: there is an objective already; one program has one")
                program.maximize, aimed = name == "maximize", True
        if not line or section == "end":
            continue
        if not section:
            raise InputError(f"line {number}: expected maximize or minimize first, got {line[:60]!r}")
        try:
            waiting = _read(program, section, f"{waiting} {line}".strip())
        except InputError as error:
            raise InputError(f"line {number}: {error}") from None
    _whole(waiting, len(text.splitlines()))
    if not aimed or not program.objective:
        raise InputError("expected an objective: maximize or minimize, and a sum of numbers times names")
    if len(program.names) > MOST or len(program.rows) > MOST:
        raise InputError(f"expected at most {MOST} variables and {MOST} rows")
    return program


def _whole(waiting: str, number: int) -> None:
    if waiting:
        raise InputError(f"line {number}: what comes before is not complete: {waiting[-60:]!r}")


def _read(program: LinearProgram, section: str, line: str) -> str:
    """Take in one line; returns what is to be read together with the next."""
    if section in ("integer", "binary"):
        for name in re.split(r"[\s,]+", line):
            if not re.fullmatch(r"[A-Za-z_][\w.]*(?:\[[\w,]+\])?", name):
                raise InputError(f"expected names of variables, got {name!r}")
            program.integers.add(name)
            if section == "binary":
                program.lower[name], program.upper[name] = 0.0, 1.0
        return ""
    line = _LABEL.sub("", line).strip()
    if not line or re.search(r"(?:[-+*]|[<>=])\s*$", line):
        return line
    if section in ("maximize", "minimize"):
        if _SENSE.search(line):
            raise InputError(f"an objective has no {_SENSE.search(line)[0]!r}; say 'subject to' before the rows")  # type: ignore[index]
        coefficients, constant = _sum(line)
        for name, value in coefficients.items():
            program.objective[name] = program.objective.get(name, 0.0) + value
        program.constant += constant
        return ""
    if section == "bounds":
        free = re.fullmatch(r"([A-Za-z_][\w.]*(?:\[[\w, ]+\])?)\s+free", line, re.IGNORECASE)
        if free:
            program.lower[free[1]] = float("-inf")
            return ""
    parts = _SENSE.split(line)
    if len(parts) not in (3, 5):
        raise InputError(f"expected one of <=, >=, = (or two, as in 0 <= x <= 9), got {line[:60]!r}")
    for left, sense, right in [parts[:3], parts[2:]] if len(parts) == 5 else [parts]:
        (_bound if section == "bounds" else _row)(program, left, _SENSES[sense], right)
    return ""


def _row(program: LinearProgram, left: str, sense: Sense, right: str) -> None:
    (mine, one), (theirs, other) = _sum(left), _sum(right)
    coefficients = {n: mine.get(n, 0.0) - theirs.get(n, 0.0) for n in {**mine, **theirs}}
    if not coefficients:
        raise InputError(f"expected a variable in {left.strip()} {sense} {right.strip()}")
    program.rows.append((coefficients, sense, other - one))


def _bound(program: LinearProgram, left: str, sense: Sense, right: str) -> None:
    infinite = _INFINITE.fullmatch(left) or _INFINITE.fullmatch(right)
    if infinite:
        name = (right if infinite.string == left else left).strip()
        side = program.lower if infinite[1] == "-" else program.upper
        side[name] = float("-inf") if infinite[1] == "-" else float("inf")
        return
    (mine, one), (theirs, other) = _sum(left), _sum(right)
    if theirs and not mine:
        mine, one, other, sense = theirs, other, one, _FLIPPED[sense]
    if len(mine) != 1 or (theirs and mine is not theirs):
        raise InputError(f"expected a bound of one variable, got {left.strip()} {sense} {right.strip()}")
    ((name, factor),) = mine.items()
    value = (other - one) / factor if factor else 0.0
    sense = sense if factor > 0 else _FLIPPED[sense]
    if sense in ("<=", "="):
        program.upper[name] = value
    if sense in (">=", "="):
        program.lower[name] = value


def _sum(text: str) -> Sum:
    """A sum of numbers, names, and numbers times names."""
    coefficients: dict[str, float] = {}
    alone, at, text = 0.0, 0, text.strip()
    sign, number, fresh = 1.0, None, True  # fresh: nothing of the next term has come yet

    def close() -> float:
        return 0.0 if number is None else sign * number

    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            rest = text[at:].strip()
            advice = "; multiply out what is in brackets" if rest[:1] in "()" else "; only sums of numbers times names are linear"
            raise InputError(f"cannot read {rest[:40]!r}{advice}")
        at, token = found.end(), found[1]
        if token in "+-":
            if not fresh:
                alone, sign, number, fresh = alone + close(), 1.0, None, True
            sign = -sign if token == "-" else sign
        elif token == "*":
            if number is None:
                raise InputError(f"expected a number before '*' in {text[:60]!r}; only numbers times names are linear")
        elif token[0].isdigit() or token[0] == ".":
            if number is not None or not fresh:
                raise InputError(f"expected + or - before {token!r} in {text[:60]!r}")
            number, fresh = float(token), False
        else:
            if not fresh and number is None:
                raise InputError(f"expected + or - before {token!r} in {text[:60]!r}; names are not multiplied")
            coefficients[token] = coefficients.get(token, 0.0) + sign * (1.0 if number is None else number)
            sign, number, fresh = 1.0, None, False
    if fresh:
        raise InputError(f"expected a number or a name at the end of {text[-60:]!r}")
    return coefficients, alone + close()
