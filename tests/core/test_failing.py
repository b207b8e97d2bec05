"""How many examples with an error a run bears, what counts as one, and which recorded failures are asked again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from core_kit import Counting, engine_for, new_run, request

from loopwright.core.again import Again, apart
from loopwright.core.errors import BadOutput, InputError, LoopwrightError, NoReply, TooManyErrors
from loopwright.core.failing import ErrorRules, Failures, error_of
from loopwright.core.feedback import Missing, Rater, Score
from loopwright.core.identity import describe
from loopwright.core.types import Example, Rollout, Turn
from loopwright.store import MemoryStore


def attempt(example: str, error: str = "", **more: Any) -> Rollout:
    turns = (Turn(role="user", text="q"), Turn(role="assistant", text="a"))
    status = "lost" if error else "ok"
    return Rollout(
        id=f"r-{example}", example=Example(id=example, input="q"), turns=turns, status=status, error=error, **more
    )


@pytest.mark.parametrize(
    ("given", "most"),
    [
        (True, 0), (False, math.inf), (0.5, 50), (0.0, 0), (1.0, 100), (1, 1), (7, 7), (7.0, 7), ("true", 0), ("No", math.inf),
        ("0.2", 20), ("3", 3), ("1e-1", 10),
    ],
)  # fmt: skip
def test_how_many_errors_of_a_hundred_examples_are_borne(given: object, most: float) -> None:
    assert ErrorRules.checked(given).most(100) == most


@pytest.mark.parametrize("given", [-1, -0.1, 1.5, math.nan, math.inf, None, "some", "", [0.5], {}])
def test_a_rule_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(InputError, match=r"fail_on_error: expected true, false, a share such as 0\.2"):
        ErrorRules.checked(given)


@pytest.mark.parametrize("given", [-1, 1.0, True, "2", None, 101])
def test_a_number_of_tries_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="retry_on_error: expected a whole number"):
        ErrorRules.checked(False, given)


def test_errors_are_named_by_class() -> None:
    assert error_of(attempt("a", "toy at http://h/v1: 500 no (tried 6 times)")) == ("HTTP 500", "toy at http://h/v1: 500 no (tried 6 times)")  # fmt: skip # noqa: E501
    assert error_of(attempt("a", "toy at http://h/v1: no answer within 120 s"))[0] == "timeout"  # type: ignore[index]
    assert error_of(attempt("a", "toy: the reply is larger than 32 MiB"))[0] == "reply too large"  # type: ignore[index]
    broken = Missing(
        expected="score", message="check: ZeroDivisionError: division by zero", by=Rater(kind="code", name="check")
    )
    assert error_of(attempt("a", feedback=(broken,)))[0] == "ZeroDivisionError"  # type: ignore[index]
    judge = Missing(expected="score", message="no verdict in the reply", by=Rater(kind="model", name="judge"))
    assert error_of(attempt("a", feedback=(judge,))) == ("judgement failed", "no verdict in the reply")
    assert error_of(attempt("a", feedback=(Score(value=0.0),))) is None
    assert error_of(attempt("a").model_copy(update={"status": "failed", "error": "refused"})) is None


def test_an_example_has_the_error_of_its_latest_attempt() -> None:
    failures = Failures(ErrorRules(fail_on_error=0.2), of=10)
    failures.note("train", [attempt("a", "x: 500"), attempt("b", "x: 500"), attempt("c")])
    failures.note("train", [attempt("b")])
    failures.note("gate", [attempt("b", "x: 400")])
    assert failures.told() == [
        {"error": "HTTP 500", "examples": 1, "first": "x: 500"}, {"error": "HTTP 400", "examples": 1, "first": "x: 400"},
    ]  # fmt: skip
    with pytest.raises(TooManyErrors, match=r'3 of 10 examples have an error: 2 HTTP 500 \("x: 500"\); 1 HTTP 400'):
        failures.note("test", [attempt("z", "x: 500")])
    one = Failures(ErrorRules(fail_on_error=False), of=10)
    one.note("train", [attempt("a", "x: 500")])
    assert one.message().startswith("1 of 10 examples has an error: ")
    Failures().note("train", [attempt(str(i), "x") for i in range(1000)])  # without rules no number ends it


@pytest.mark.parametrize(
    ("first", "second", "is_apart"),
    [
        ("i/gate.x/evaluate1/1.3/solve/answer", "i/gate.x/evaluate1/1.4/solve/answer", True),
        ("i/gate.x/evaluate1/1.3/solve/answer", "i/gate.x/evaluate1/2.4/solve/answer", False),
        ("i/gate.x/evaluate1/1.3/solve/answer", "i/gate.x/evaluate2/1.4", False),
        ("i/gate.x/evaluate1/1.3", "i/gate.x/evaluate1/1.3/again1", False),
        ("i/gate.x/evaluate1/1.3", "i/gate.x/evaluate1", False),
        ("i/gate.x/1.3", "i/gate.y/1.3", False),
        ("i/test.x/1.3", "i/test.y/1.9", True),
        ("i/test.x/1.3", "i/2.rft/1.9", False),
        ("i/1.rft/1.3", "i/2.rft/1.9", False),
        ("a", "a", False),
    ],
)
def test_only_branches_of_one_map_know_nothing_of_each_other(first: str, second: str, is_apart: bool) -> None:
    assert apart(first, second) is apart(second, first) is is_apart


def row(scope: str, error: LoopwrightError | None = None) -> tuple[str, str, str, str]:
    return scope, scope, "generate", describe(error) if error else ""


def test_failures_are_asked_again_while_nothing_was_built_on_them() -> None:
    no_reply, large, refused = NoReply("x: 400"), BadOutput("x", kind="too-large"), BadOutput("x", kind="empty")
    again = Again()
    for one in (row("r/1.0", no_reply), row("r/1.1", large), row("r/1.2", refused), row("r/1.3")):
        again.see(*one)
    assert set(again.keys) == {"r/1.0", "r/1.1"}, "an empty answer is the model's, and stays"
    again.see(*row("r/2.0", no_reply))
    assert set(again.keys) == {"r/2.0"}
    told = Again(["r"])
    told.see(*row("r/1.0", no_reply))
    assert not told.keys


def test_an_engine_asks_again_only_where_it_is_told_to() -> None:
    import asyncio

    store = MemoryStore()
    run = new_run(store)
    down = [True]

    def act(requests: object) -> None:
        if down[0]:
            raise NoReply("x: 400", kind="bad-request")

    async def ask(again: bool) -> str:
        engine = engine_for(store, run, Counting(act=act), again=again)
        return (await engine.generate("r/1.0", "policy", request("q"), summary="q")).choices[0].text

    with pytest.raises(NoReply):
        asyncio.run(ask(False))
    down[0] = False
    with pytest.raises(NoReply):
        asyncio.run(ask(False))
    assert asyncio.run(ask(True)) == asyncio.run(ask(False)) != ""
