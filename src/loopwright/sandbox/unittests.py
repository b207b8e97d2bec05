"""Runs a candidate program against tests, so that the program cannot write its own report.

Two processes in one sandbox. The *judge* holds the tests and the nonce that marks a verdict; the *program* is asked to call
its functions and answers with data. So these change no verdict: printing a forged report, ``os._exit(0)``, patching
``builtins`` or AssertionError, defining an own ``all``, leaving modules for the tests to import, tracing or reading frames,
reading the tests from disk, raising StopIteration.

What comes back is plain data, of exact types: numbers, text, containers, Decimal, Fraction, dates, arrays, members of an
Enum. It is compared on the judge's side, so the program never sees an expected value. An object of the program's own classes
has methods called and attributes read; a test that compares it, or asks an operator or ``in`` of it, fails by name
(``_objects.py``).

What remains possible: the program sees the inputs, so it may answer them from a table; a method that answers True or False
(``isinstance`` too) is its word; and it may spoil its own report, by using up the time or ending the judge: tests without a
verdict count as failed.

Data crosses by copy: a subclass of a built-in arrives as the built-in; coroutines do not cross; a program's name that
is also a built-in is not seen by the tests; a global is what it was when the program was loaded.
"""

from __future__ import annotations

import ast
import functools
import json
import marshal
import re
import secrets
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from loopwright.core.errors import InputError
from loopwright.sandbox.box import Sandbox
from loopwright.sandbox.types import Limits, Status

_SHARE = 0.9  # of the wall clock, for the tests; the rest starts and ends the judge
_NAN = re.compile(r"(?<![a-z])(is_?)?nan(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TestReport:
    """Verdicts on one program.

    failures: (test, message), in the order of the tests; a test that was never reached is one. status: ``ok`` when
    every test was judged, else what ended the run early. seconds: wall clock of the whole run.
    """

    __test__ = False  # pytest: not a test class

    passed: int
    total: int
    failures: tuple[tuple[str, str], ...]
    status: Status
    seconds: float

    @property
    def ok(self) -> bool:
        return self.passed == self.total


async def run_tests(
    sandbox: Sandbox, program: str, tests: str | Sequence[str], *, limits: Limits | None = None
) -> TestReport:
    """Judges each test by itself and reports it.

    tests: a text with ``test_*`` functions (each is a test) or with top-level asserts (each is a test; other
    statements prepare), or a list of such texts, each of which is one test unless it has ``test_*`` functions. The
    program's public names are there for them. Time is shared out among the tests, so one endless loop fails one test.

    Raises InputError for tests that are no Python or contain none; what the program does is in the report.
    """
    names, sources, setups = _plan(tests)
    limits = limits or sandbox.limits
    nonce = secrets.token_hex(16)
    spec = {
        "nonce": nonce, "program": program, "setups": setups, "tests": sources, "seconds": limits.seconds * _SHARE,
        "nan": [any(map(_NAN.search, (source, *setups[:upto]))) for source, upto in sources],
    }  # fmt: skip
    outcome = await sandbox.run(_judge(), stdin=json.dumps(spec), limits=limits)
    verdicts: dict[int, str | None] = {}
    for line in outcome.stdout.splitlines():
        mark, _, body = line.partition(" ")
        if secrets.compare_digest(mark.encode(), nonce.encode()):
            at, message = json.loads(body)
            verdicts[at] = message
    status: Status = "ok" if len(verdicts) == len(names) else "killed" if outcome.ok else outcome.status
    unreached = f"not judged: the run ended early ({status})"
    failures = [
        (name, message)
        for at, name in enumerate(names)
        if (message := verdicts.get(at, unreached)) is not None
    ]  # fmt: skip
    return TestReport(len(names) - len(failures), len(names), tuple(failures), status, outcome.seconds)


@functools.cache
def _judge() -> str:
    """What runs inside. Compiled here, once: the interpreter inside is the same."""
    texts = {name: Path(__file__).with_name(f"_{name}.py").read_text("utf-8") for name in ("wire", "objects", "judge", "program")}
    compiled = {name: f"marshal.loads({marshal.dumps(compile(text, name, 'exec'))!r})" for name, text in texts.items()}
    program = f"import marshal\nexec({compiled['wire']})\nexec({compiled['program']})"
    constants = f"import marshal\n_PLAIN_METHODS = frozenset({sorted(_plain_methods())!r})\n_PROGRAM = {program!r}\n"
    constants += f"_PROGRAM_CODE = {compiled['program']}\n"
    return constants + "".join(f"exec({compiled[name]})\n" for name in ("wire", "objects", "judge"))


def _plain_methods() -> set[str]:
    """What a test may call on the answer of a function that should be plain data; of arrays what decides or searches."""
    kinds = (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset, range, slice, Decimal, Fraction)
    found = {name for kind in (*kinds, Counter, deque, datetime, time, timedelta) for name in dir(kind)}
    found |= {"all", "any", "sum", "min", "max", "mean", "round", "item", "tolist", "equals", "isclose", "searchsorted"}
    return found - {"__init__", "__new__", "__class__", "__call__"}


def _plan(tests: str | Sequence[str]) -> tuple[list[str], list[tuple[str, int]], list[str]]:
    """Names; (source, how many of the setups come before it); setups."""
    names: list[str] = []
    sources: list[tuple[str, int]] = []
    setups: list[str] = []
    whole = isinstance(tests, str)
    for at, text in enumerate([tests] if isinstance(tests, str) else tests, 1):
        try:
            tree = ast.fix_missing_locations(_Rewrite().visit(ast.parse(text)))
        except (SyntaxError, ValueError) as error:
            raise InputError(f"tests: item {at} is not Python: {error}") from error
        functions = [
            node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
        ]
        if functions:
            setups.append(ast.unparse(tree))
            names += functions
            sources += [(f"{name}()", len(setups)) for name in functions]
        elif whole:
            for node in tree.body:
                if _is_hook(node):
                    continue
                if isinstance(node, ast.Assert):
                    names.append(ast.get_source_segment(text, node) or f"line {node.lineno}")
                    sources.append((ast.unparse(node), len(setups)))
                else:
                    setups.append(ast.unparse(node))
        else:
            names.append(text.strip())
            sources.append((ast.unparse(tree), len(setups)))
    if not names:
        raise InputError("tests: found neither a test_* function nor an assert")
    return names, sources, setups


def _hook(name: str, *args: ast.expr) -> ast.Call:
    """A call of ``_judge._Hooks``."""
    judge = ast.Name("__judge__", ast.Load())
    return ast.Call(ast.Attribute(judge, name, ast.Load()), list(args), [])


def _is_hook(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and ast.unparse(node) == "__judge__.settle()"


def _calls(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Call) for part in ast.walk(node))


_ORDERS: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


class _Rewrite(ast.NodeTransformer):
    """Gives an assert without a message one that shows both sides; asks the judge about ``is``; says where the test may see
    what calls changed in their arguments: from one statement, operand of ``and`` or item of a tuple or list to the next.
    """

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if node.msg is None:
            told = ast.unparse(node)
            if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
                sides = [node.test.left, node.test.comparators[0]]
                names = ("left_", "right_")
                stored = [ast.NamedExpr(ast.Name(name, ast.Store()), side) for name, side in zip(names, sides, strict=True)]
                node.test = ast.copy_location(ast.Compare(stored[0], node.test.ops, [stored[1]]), node)
                shown = [ast.Constant(told), ast.Name("left_", ast.Load()), ast.Name("right_", ast.Load())]
                node.msg = _hook("shown", *shown)
            else:
                node.msg = ast.Constant(f"{told} failed")
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) != 1:
            for at, operator in enumerate(node.ops):  # each operand by itself: a chain ends early
                if type(operator) in _ORDERS:
                    sign = ast.Constant(_ORDERS[type(operator)])
                    sides = [node.left, *node.comparators]
                    sides[at : at + 2] = [_hook("ordered", sign, side) for side in sides[at : at + 2]]
                    node.left, *node.comparators = sides
            return node
        operator, left, right = node.ops[0], node.left, node.comparators[0]
        if type(operator) in _ORDERS:
            return _hook("order", ast.Constant(_ORDERS[type(operator)]), left, right)
        if not isinstance(operator, ast.Is | ast.IsNot) or isinstance(right, ast.Constant):
            return node
        same = _hook("same", left, right)
        return same if isinstance(operator, ast.Is) else ast.UnaryOp(ast.Not(), same)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "sort":
            node.func = _hook("sort", node.func.value)
        return _hook("made", node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return _hook("made", node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        node.values = [_hook("settled", value) if _calls(value) else value for value in node.values]
        return node

    def _display(self, node: ast.Tuple | ast.List) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.elts = [_hook("settled", e) if _calls(e) and not isinstance(e, ast.Starred) else e for e in node.elts]
        return node

    visit_Tuple = visit_List = _display

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            lines = getattr(node, field, None)
            if isinstance(lines, list):
                setattr(node, field, [part for line in lines for part in self._settled(line)])
        return node

    def _settled(self, line: ast.stmt) -> list[ast.stmt]:
        text = isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)  # before "from __future__", too
        if text or isinstance(line, ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            return [line]
        lines: list[ast.stmt] = [ast.Expr(_hook("settle")), line]
        if isinstance(line, ast.AugAssign) and isinstance(line.target, ast.Name):
            lines.append(ast.Expr(_hook("made", ast.Name(line.target.id, ast.Load()))))
        return lines
