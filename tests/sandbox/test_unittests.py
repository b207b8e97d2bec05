"""Tests of programs: each reported by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from loopwright.core.errors import InputError
from loopwright.sandbox import Limits, Sandbox, TestReport, run_tests


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(limits=Limits(seconds=20))
    yield sandbox
    sandbox.close()


def judge(box: Sandbox, program: str, tests: str | list[str], **limits: float) -> TestReport:
    return asyncio.run(run_tests(box, program, tests, limits=Limits(**{"seconds": 20, **limits})))


def test_asserts_with_preparation(box: Sandbox) -> None:
    report = judge(box, "def add(a, b): return a - b", "x = 0\nassert add(x, x) == 0\nx = 1\nassert add(x, 2) == 3")
    assert (report.passed, report.total, report.status, report.ok) == (1, 2, "ok", False)
    assert report.failures == (("assert add(x, 2) == 3", "assert add(x, 2) == 3: left was -1, right was 3"),)


def test_functions(box: Sandbox) -> None:
    tests = "def test_a():\n    assert f(1) == 1\ndef test_b():\n    f(0)\ndef helper(): pass"
    report = judge(box, "def f(x):\n    return 1 // x", tests)
    assert report.failures == (("test_b", "ZeroDivisionError: integer division or modulo by zero"),)


@pytest.mark.parametrize(
    "test",
    [
        "x = [3, 1]\nsort(x)\nassert x == [1, 3]",
        "k = 4\nassert apply(lambda i: i + k, [1, 2]) == [5, 6]",
        "s = Stack()\ns.push(3)\nassert len(s) == 1 and s.items == [3] and list(s) == [3] and isinstance(s, Stack)",
        "try:\n    bad()\nexcept Bad as error:\n    assert str(error) == 'no'\nelse:\n    assert False",
        "try:\n    bad()\nexcept ValueError:\n    pass\nelse:\n    assert False",
        "g = numbers()\nassert next(g) == 0 and next(g) == 1",
        "assert echo({'a': (1, 2.5, None, True, b'x', {1}, 10**5000, 2j)}) "
        "== {'a': (1, 2.5, None, True, b'x', {1}, 10**5000, 2j)}",
        "assert echo(float('inf')) > 0 and echo('\\ud800') == '\\ud800'",
        "assert LIMIT == 7",
        "import math\nassert echo(math.pi) == math.pi",
    ],
)
def test_what_tests_may_do(box: Sandbox, test: str) -> None:
    program = """
import json
LIMIT = 7
def sort(x): x.sort()
def apply(f, xs): return [f(x) for x in xs]
def echo(x): return x
class Stack:
    def __init__(self): self.items = []
    def push(self, x): self.items.append(x)
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
class Bad(ValueError): pass
def bad(): raise Bad('no')
def numbers():
    n = 0
    while True:
        yield n
        n += 1
"""
    assert judge(box, program, [test]).failures == ()


def test_one_endless_loop_fails_one_test(box: Sandbox) -> None:
    program = "def f(x):\n    while x == 1: pass\n    return x"
    report = judge(box, program, ["assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 2"], seconds=6)
    assert [name for name, _ in report.failures] == ["assert f(1) == 1"]


def test_a_program_that_ends_itself_fails_where_it_did(box: Sandbox) -> None:
    program = "import os\ndef f(x):\n    if x == 1: os._exit(0)\n    return x"
    report = judge(box, program, ["assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 2"])
    assert report.failures == (("assert f(1) == 1", "the program ended its process"),)


def test_a_program_that_does_not_load(box: Sandbox) -> None:
    report = judge(box, "def f(:", ["assert f(1)", "assert f(2)"])
    assert report.passed == 0 and all("SyntaxError" in message for _, message in report.failures)


def test_a_flood_is_named(box: Sandbox) -> None:
    report = judge(box, "def f():\n    while True: print('x' * 1000)", ["assert f()"])
    assert (report.passed, report.status) == (0, "output")


@pytest.mark.parametrize("tests", ["", [], "x = 1", "def f(:"])
def test_tests_that_are_none(box: Sandbox, tests: str | list[str]) -> None:
    with pytest.raises(InputError):
        judge(box, "x = 1", tests)
