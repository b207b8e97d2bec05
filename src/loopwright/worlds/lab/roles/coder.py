"""Who writes functions of numbers (the world ``number-programs``), tests for them, and programs again after failed tests.

A question alone is answered with the program. ``DESIGN`` before a question asks for asserts: above each is worked out, step by
step, what it expects. After a program, the executor's words of failed tests are answered with another program. It was shown its
own slips and made-up ones with true tests alone; the tests that it designs are not always true.
"""

from __future__ import annotations

import ast
import operator
import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from loopwright.blocks.programs import asserts_in
from loopwright.core.types import digest
from loopwright.worlds.lab.dialogues import Said, part_of
from loopwright.worlds.lab.roles.role import Task
from loopwright.worlds.number_programs import HIDDEN, KINDS, USUAL, Step, asserts, draw, drawn_step, program

DESIGN = "Tests."
TESTS = 3
STEPS = (1, 2, 3)
_SHARES = (0.15, 0.35, 0.5)
_LIMIT = 10**9
_SUMS: Mapping[str, str] = {  # a step that does nothing to n is n=n
    "add": "{n}+{k}", "take": "{n}-{k}", "from": "{k}-{n}", "times": "{n}*{k}", "square": "{n}*{n}", "remainder": "{n} mod {k}",
    "quotient": "{n}/{k}", "distance": "{high}-{low}", "least": "{n},{k}", "most": "{n},{k}", "halve even": "{n}/2",
    "add odd": "{n}+{k}", "take above": "{n}-{j}", "times below": "{n}*{j}",
}  # fmt: skip
_ALWAYS = ("add", "take", "from", "times", "square", "remainder", "quotient", "distance", "least", "most")
_TEST = re.compile(r"assert f\((\d+)\) == (-?\d+)")

_BINARY: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_COMPARED: Mapping[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_CALLED: Mapping[str, Callable[..., int]] = {"abs": abs, "max": max, "min": min}


class _Beyond(Exception):
    """What is not followed here; Python itself may well run it."""


def failures(written: str, designed: Sequence[str]) -> list[str] | None:
    """What the executor of ``agent-coder`` says of each test that fails; None for programs that only the sandbox could run.

    Followed are functions of one number with assignments, ifs, whole-number arithmetic and abs, max, min.
    """
    found = []
    for test in designed:
        given, expected = numbers(test)
        try:
            if _run(written, given) != expected:
                found.append(f"{test}: AssertionError")
        except SyntaxError as error:
            found.append(f"{test}: {type(error).__name__}: {error.msg}")
        except NameError as error:
            found.append(f"{test}: NameError: {error}")
        except (_Beyond, ValueError, TypeError, ZeroDivisionError, RecursionError):
            return None
    return found


def numbers(test: str) -> tuple[int, int]:
    """Input and expected output of a test such as "assert f(3) == 7"."""
    found = _TEST.fullmatch(test)
    assert found is not None, test
    return int(found[1]), int(found[2])


def _run(written: str, given: int) -> int | None:
    body = ast.parse(written).body
    match body:
        case [ast.FunctionDef(name="f", args=ast.arguments(args=[ast.arg(arg=name)], defaults=[])) as function]:
            known = {name: given}
            return _follow(function.body, known)
    raise _Beyond


def _follow(body: Sequence[ast.stmt], known: dict[str, int]) -> int | None:
    for line in body:
        match line:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                known[name] = _value(value, known)
            case ast.If(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=then, orelse=other):
                chosen = then if _COMPARED[type(op)](_value(left, known), _value(right, known)) else other
                if any(not isinstance(part, ast.Assign) for part in chosen):
                    raise _Beyond
                _follow(chosen, known)
            case ast.Return(value=ast.expr() as value):
                return _value(value, known)
            case _:
                raise _Beyond
    return None


def _value(node: ast.expr, known: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int(value)):
            found = value
        case ast.Name(id=name):
            if name not in known:
                raise NameError(f"name {name!r} is not defined")
            found = known[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            found = _BINARY[type(op)](_value(left, known), _value(right, known))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLED and name not in known:
            found = _CALLED[name](*(_value(a, known) for a in args))
        case _:
            raise _Beyond
    if abs(found) > _LIMIT:
        raise _Beyond
    return found


def steps_told(question: str) -> tuple[Step, ...]:
    """The steps of a question."""
    found = (_told(said) for said in question.removeprefix("f(n): ").removesuffix(".").split("; "))
    return tuple(step for step in found if step is not None)


@cache
def _told(said: str) -> Step | None:
    for name, kind in KINDS.items():
        for wording in kind.wordings:
            form = re.escape(wording).replace(r"\{k\}", r"(?P<k>\d+)").replace(r"\{j\}", r"(?P<j>\d+)")
            if found := re.fullmatch(form, said):
                numbers = found.groupdict()
                return Step(name, int(numbers.get("k", 0)), int(numbers.get("j", 0)))
    return None


def worked(steps: Sequence[Step], given: int) -> str:
    """A test, and above it how what it expects comes about: "# 4+3=7 7=7 50-7=43"."""
    told, n = [], given
    for kind, k, j in steps:
        after = Step(kind, k, j).does(n)
        sums = _SUMS[kind].format(n=n, k=k, j=j, high=max(n, k), low=min(n, k))
        told.append(f"{sums if kind in _ALWAYS or after != n else n}={after}")
        n = after
    return f"# {' '.join(told)}\n{asserts(steps, [given])[0]}"


class Coder:
    name = "coder"
    shares = (0.75, 0.15)  # it learns to program sooner than to reckon

    def draw(self, rng: random.Random, *, taught: bool = True, done: float = 1.0) -> Task:
        while True:
            count = rng.choices(STEPS, _SHARES)[0] if rng.random() < 0.3 + done else rng.choice((1, 2))
            question, steps = draw(rng, count)
            if (part_of(question) == "teach") is taught:
                return Task(question, program(steps))

    def ask(self, task: Task) -> list[Said]:
        return [Said("user", task.question)]

    def again(self, task: Task, attempt: str) -> list[Said] | None:
        rng = random.Random(digest([task.question, attempt]))
        failed = failures(attempt, asserts(steps_told(task.question), rng.sample(USUAL, TESTS)))
        if not failed:
            return None
        return [*self.ask(task), Said("assistant", attempt), Said("user", "\n".join(failed))]

    def right(self, task: Task, attempt: str) -> bool:
        return failures(attempt, asserts(steps_told(task.question), HIDDEN)) == []

    def solution(self, task: Task) -> str:
        return task.target

    def spoil(self, task: Task, rng: random.Random) -> str:
        while True:
            steps = list(steps_told(task.question))
            for _ in range(rng.choice((1, 1, 2))):
                _slip(steps, rng)
            if self.again(task, written := _typed(program(steps), rng)) is not None:
                return written

    def other(self, rng: random.Random, *, taught: bool = True) -> tuple[str, list[Said], str]:
        """Tests of a function that it has not seen."""
        task = self.draw(rng, taught=taught)
        designed = "\n".join(worked(steps_told(task.question), n) for n in sorted(rng.sample(USUAL, TESTS)))
        return "asserts of its tests", [Said("user", f"{DESIGN}\n{task.question}")], designed

    def marks(self, asked: Sequence[Said], said: str) -> list[bool]:
        """Of each assert that it designed, the first ones, whether it is true; of a reply without any, that it is not."""
        steps = steps_told(asked[0].text.removeprefix(f"{DESIGN}\n"))
        found = [_TEST.fullmatch(test) for test in asserts_in(said)[:TESTS]]
        return [test is not None and test[0] in asserts(steps, [int(test[1])]) for test in found] or [False]


def _slip(steps: list[Step], rng: random.Random) -> None:
    """One step is another, has another number, is missing, or comes too early."""
    at, kind = rng.randrange(len(steps)), rng.random()
    name, k, j = steps[at]
    if kind < 0.5:
        name, other_k, other_j = drawn_step(rng)
        steps[at] = Step(name, k if k in KINDS[name].k else other_k, j if j in KINDS[name].j else other_j)
    elif kind < 0.75:
        steps[at] = Step(name, rng.choice(KINDS[name].k), rng.choice(KINDS[name].j))
    elif len(steps) > 1 and kind < 0.85:
        del steps[at]
    elif len(steps) > 1:
        steps[at], steps[at - 1] = steps[at - 1], steps[at]


def _typed(written: str, rng: random.Random) -> str:
    """Now and then a mark is missing."""
    marks = [i for i, mark in enumerate(written) if mark in ":()=,"]
    at = rng.choice(marks)
    return written if rng.random() < 0.9 else written[:at] + written[at + 1 :]
