"""A critic for programs: takes the program out of the answer and runs unit tests on it in the sandbox."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from loopwright.blocks.programs import program_of
from loopwright.core.errors import CheckerError, SandboxMissing
from loopwright.core.feedback import Feedback, Rater, Score, Verdict
from loopwright.core.source import parse_python
from loopwright.core.types import Example, Rollout
from loopwright.core.world import Critic

if TYPE_CHECKING:
    from loopwright.core.context import Context

Source = Literal["target", "visible"]

_MESSAGE_CHARS = 1000


def tests_of(example: Example, source: Source) -> str | list[str]:
    """The tests of an example. Raises ValueError that says what is expected where."""
    field = "target" if source == "target" else "meta.visible"
    found: Any = example.target if source == "target" else example.meta.get("visible")
    if found is None:
        raise ValueError(f'{field}: missing; {_expected(found)}')
    if isinstance(found, str):
        texts = [found]
    elif isinstance(found, list) and found and all(isinstance(t, str) for t in found):
        texts = list(found)
    else:
        raise ValueError(f"{field}: {_expected(found)}")
    for i, text in enumerate(texts, 1):
        try:
            tree = parse_python(text)
        except SyntaxError as error:
            raise ValueError(f"{field}: test {i} is not Python: {error}; {text[:60]!r}") from None
        if not any(isinstance(n, ast.Assert | ast.FunctionDef) for n in ast.walk(tree)):
            raise ValueError(f"{field}: test {i} asserts nothing: {text[:60]!r}; write assert ...")
    return found if isinstance(found, str) else texts


def _expected(found: object) -> str:
    tail = "" if found is None else f", got {found!r:.60}"
    wanted = 'kind "tests" expects a list of tests such as ["assert add(1, 2) == 3"], or a text with asserts or test_ functions'
    return wanted + tail


def tests_problem(source: Source) -> Callable[[Example], str]:
    """Why ``tests`` cannot judge an example, or ""."""

    def problem(example: Example) -> str:
        try:
            tests_of(example, source)
        except ValueError as error:
            return str(error)
        return ""

    return problem


def unit_tests(
    *,
    source: Source = "target",
    score: Literal["all", "share"] = "all",
    seconds: float = 5.0,
    memory_mb: int = 256,
) -> Critic:
    """The program in the answer passes its tests; the message tells each test that failed and why.

    source: where the tests are: the example's target, or ``visible`` in its meta, which Solvers see as well.
    score: ``all`` or nothing, a Verdict; or the ``share`` of tests passed, a Score. seconds, memory_mb: limits of a run.
    Raises SandboxMissing where there is no sandbox.
    """
    by = Rater(kind="code", name="tests", version=f"{source},{score}")

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        try:
            wanted = tests_of(rollout.example, source)
        except ValueError as error:
            raise CheckerError(f"example {rollout.example.id}: {error}") from None
        program = program_of(rollout.output)

        async def call() -> bytes:
            from loopwright.sandbox import Limits
            from loopwright.sandbox.unittests import run_tests

            sandbox = ctx.engine.sandbox
            if sandbox is None:
                raise SandboxMissing("this run was started without a sandbox, so no tests are run")
            limits = Limits(seconds=seconds, cpu_seconds=seconds, memory_mb=memory_mb)
            return json.dumps(asdict(await run_tests(sandbox, program, wanted, limits=limits))).encode()

        content = [program, wanted, seconds, memory_mb]
        report = json.loads(await ctx.external("tests", content, call, summary=f"tests of {rollout.example.id}"))
        passed, total = int(report["passed"]), int(report["total"])
        lines = [f"{passed} of {total} tests passed"]
        lines += [m if t in m else f"{t}: {m}" for t, m in report["failures"]]
        message = "\n".join(lines)[:_MESSAGE_CHARS]
        if score == "share":
            return Score(value=passed / total, aspect="tests", message=message if passed < total else "", by=by)
        return Verdict(passed=passed == total, message=message, by=by)

    return judge
