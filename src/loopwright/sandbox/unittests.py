"""Runs a candidate program against tests, so that the program cannot write its own report.

Two processes in one sandbox. The *judge* holds the tests and the nonce that marks a verdict; the *program* is asked
to call its functions and answers with data. So these change no verdict: printing a forged report, ``os._exit(0)``,
patching ``builtins`` or AssertionError, defining an own ``all``, leaving modules for the tests to import, tracing or
reading frames, an object whose ``__eq__`` says yes to everything, reading the tests from disk. The program never sees
an expected value.

What remains possible: the program sees the inputs, so it may answer them from a table; between two objects of its own
classes its own ``__eq__`` decides; truth, length and ``repr`` of its own objects are its own word; and it may spoil
its own report, by using up the time or ending the judge: tests without a verdict count as failed.

Data crosses by copy: a subclass of a built-in arrives as the built-in; coroutines do not cross; a program's name that
is also a built-in is not seen by the tests.
"""

from __future__ import annotations

import ast
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loopwright.core.errors import InputError
from loopwright.sandbox.box import Sandbox
from loopwright.sandbox.types import Limits, Status

_SHARE = 0.9  # of the wall clock, for the tests; the rest starts and ends the judge


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
    here = Path(__file__)
    wire, judge, worker = (here.with_name(f"_{name}.py").read_text("utf-8") for name in ("wire", "judge", "program"))
    spec = {
        "nonce": nonce, "program": program, "setups": setups, "tests": sources, "wire": wire, "worker": worker,
        "seconds": limits.seconds * _SHARE,
    }  # fmt: skip
    outcome = await sandbox.run(wire + judge, stdin=json.dumps(spec), limits=limits)
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


def _plan(tests: str | Sequence[str]) -> tuple[list[str], list[tuple[str, int]], list[str]]:
    """Names; (source, how many of the setups come before it); setups."""
    names: list[str] = []
    sources: list[tuple[str, int]] = []
    setups: list[str] = []
    whole = isinstance(tests, str)
    for at, text in enumerate([tests] if isinstance(tests, str) else tests, 1):
        try:
            tree = _Explain().visit(ast.parse(text))
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


class _Explain(ast.NodeTransformer):
    """Gives an assert without a message one that shows both sides."""

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        if node.msg is not None:
            return node
        told = ast.unparse(node)
        if not isinstance(node.test, ast.Compare) or len(node.test.ops) != 1:
            node.msg = ast.Constant(f"{told} failed")
            return node
        left, right = node.test.left, node.test.comparators[0]
        stored = [
            ast.NamedExpr(ast.Name(name, ast.Store()), side) for name, side in (("left_", left), ("right_", right))
        ]
        node.test = ast.Compare(stored[0], node.test.ops, [stored[1]])
        node.msg = ast.parse(
            f"{told + ': left was '!r} + repr(left_) + ', right was ' + repr(right_)", mode="eval"
        ).body
        return ast.fix_missing_locations(node)
