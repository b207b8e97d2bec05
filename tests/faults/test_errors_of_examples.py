"""One prompt that cannot be answered, or an answer that is none for a moment: whole runs against a real server."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from loopwright.core.errors import InputError, QuotaExhausted, TooManyErrors
from loopwright.core.types import Budget
from loopwright.improve.job import resume_improve, run_improve

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.billing_server import Billing, billing

N = 120


def question(body: dict[str, Any]) -> tuple[int, int]:
    """The sum that is asked for last: worked examples come before it. (0, 0) where it is another question."""
    found = re.findall(r"(\d+) \+ (\d+)", body["messages"][-1]["content"]) or [(0, 0)]
    return int(found[-1][0]), int(found[-1][1])


def answer(body: dict[str, Any]) -> str:
    """Right where it is told to be brief or was shown examples, else one time in three; the same whenever it is asked."""
    a, b = question(body)
    told = len(body["messages"]) > 2 or "only" in body["messages"][-1]["content"]
    return str(a + b) if told or (a + b) % 3 == 0 else f"It is {a + b}."


def made(folder: Path) -> Path:
    """The task: 120 sums."""
    folder.mkdir()
    pairs = random.Random(3).sample([(a, b) for a in range(10, 60) for b in range(10, 60)], N)
    (folder / "examples.jsonl").write_text(
        "".join(f'{{"input": "{a} + {b}", "target": "{a + b}"}}\n' for a, b in pairs)
    )
    (folder / "task.toml").write_text(
        'name = "sums"\n[examples]\nfile = "examples.jsonl"\n[answer]\nmax_tokens = 16\n[checker]\nkind = "exact"\n'
        "[methods.few-shot]\nexamples = 4\nsizes = [0, 2]\n"
    )
    return folder


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return made(tmp_path / "task")


class Undisturbed(NamedTuple):
    """A run against a server that only answers: its result, and the sums of gate and test."""

    result: dict[str, Any]
    gate: list[tuple[int, int]]
    test: list[tuple[int, int]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    with billing(lambda i, body: "ok") as server:
        server.answer = answer
        result = improve(made(folder / "task"), server)
    return Undisturbed(result, asked_in("gate", folder / "run.db"), asked_in("test", folder / "run.db"))


def improve(task: Path, server: Billing, name: str = "run", **more: Any) -> dict[str, Any]:
    model = {
        "backend": "openai",
        "model": "toy",
        "base_url": server.url,
        "api_key_env": "",
        "attempts": 3,
        "backoff": 0.001,
    }
    options = {"only": ["few-shot"], "cache": False, **more}
    place = {"out": task.parent / f"out-{name}", "store_path": task.parent / f"{name}.db"}
    return asyncio.run(run_improve(task, model=model, budget=Budget(calls=3000), **place, **options))


def resume(task: Path, name: str = "run", **more: Any) -> dict[str, Any]:
    return asyncio.run(resume_improve("last", store_path=task.parent / f"{name}.db", **more))


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    return {
        key: result[key]
        for key in ("baseline", "final", "gain", "accepted", "rejected", "screened", "errors", "reason")
    }


def asked_in(split: str, store: Path) -> list[tuple[int, int]]:
    """The sums of the examples of a split, as a run recorded them."""
    with sqlite3.connect(store) as connection:
        rows = connection.execute(
            "SELECT DISTINCT summary FROM effect WHERE scope LIKE ?", (f"improve/{split}.%",)
        ).fetchall()
    return sorted({(int(a), int(b)) for (summary,) in rows for a, b in re.findall(r"(\d+) \+ (\d+)", summary)[-1:]})


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    "what", ["400", "413", "422", "500", "html", "not-json", "no-choices", "cut", "huge", "1e1000000"]
)
def test_what_one_prompt_of_120_meets_belongs_to_its_example(
    task: Path, undisturbed: Undisturbed, what: str, seen: Callable[[str], None]
) -> None:
    before = undisturbed.result
    bad = undisturbed.test[0]
    with billing(
        lambda i, body: what if question(body) == bad and what not in ("huge", "1e1000000") else "ok"
    ) as server:
        special = {"huge": "9" * 50_000_000, "1e1000000": "1e1000000"}.get(what)
        server.answer = lambda body: special if special and question(body) == bad else answer(body)
        result = improve(task, server, "hit")
    assert result["status"] == "done" and result["tried"] == before["tried"]
    lost = 0 if what in ("413", "1e1000000") else 1  # a prompt too long for the model, or a wrong answer, is judged
    assert result["baseline"]["missing"] == result["final"]["missing"] == lost
    assert sum(error["examples"] for error in result["errors"]) == lost
    assert abs(result["final"]["score"] - before["final"]["score"]) <= 1 / 20
    told = result["errors"][0] if lost else {"error": "none: judged"}
    seen(
        f"{what} for one prompt of {N}: run done, {lost} test example without an answer ({told['error']}), others as before"
    )


@pytest.mark.fault(48)
@pytest.mark.parametrize("what", ["html", "error-200", "no-choices", "no-message", "not-json", "half", "broken-gzip"])
def test_what_is_no_answer_for_a_moment_is_asked_again_and_never_recorded(
    task: Path, undisturbed: Undisturbed, what: str, seen: Callable[[str], None]
) -> None:
    before = undisturbed.result
    with billing(lambda i, body: what if i % 3 == 0 else "ok") as server:
        server.answer = answer
        result = improve(task, server, "hit", retry_on_error=2)
    assert outcome(result) == outcome(before)
    with sqlite3.connect(task.parent / "hit.db") as connection:
        results = [str(row) for row in connection.execute("SELECT result FROM effect WHERE status = 'done'")]
    assert not any("html" in row or "internal error" in row for row in results)
    gone = server.received // 3
    final = f"{result['final']['score']:.2f}"
    seen(f"{what} with status 200 to {gone} of {server.received} requests: final {final} as without")


@pytest.mark.fault(47, 48)
@pytest.mark.parametrize("keep", [False, True])
def test_an_error_that_ended_the_run_is_asked_again_when_it_is_resumed(
    task: Path, undisturbed: Undisturbed, keep: bool, seen: Callable[[str], None]
) -> None:
    before = undisturbed.result
    bad = set(undisturbed.gate[:3])
    with billing(lambda i, body: "400" if question(body) in bad else "ok") as server:
        server.answer = answer
        with pytest.raises(
            TooManyErrors, match=r"3 of 120 examples have an error: 3 HTTP 400 .*fail_on_error = 2 ends the run"
        ):
            improve(task, server, fail_on_error=2)
        with sqlite3.connect(task.parent / "run.db") as connection:
            assert connection.execute("SELECT status FROM run").fetchone() == ("failed",)
        server.plan = lambda i, body: "ok"
        if keep:
            with pytest.raises(TooManyErrors, match="3 of 120"):
                resume(task, keep_failures=True)
            with pytest.raises(InputError, match="fail_on_error: expected"):
                resume(task, fail_on_error=1.5)
            result = resume(task, keep_failures=True, fail_on_error=3)
            assert result["status"] == "done" and len(result["accepted"]) == len(before["accepted"])
        else:
            assert outcome(resume(task)) == outcome(before)
    then = "with --keep-failures it ends again" if keep else "they are asked again, and it is as if undisturbed"
    seen(f"3 prompts refused with 400, fail_on_error=2: the run ends; resumed, {then}")


def test_what_a_run_was_built_on_stays_when_it_is_resumed(task: Path, undisturbed: Undisturbed) -> None:
    """A failure in the first measurement, on which methods went on, is not asked again: their record would not fit any more."""
    bad = undisturbed.gate[0]
    with billing(lambda i, body: "400" if question(body) == bad else "ok") as server:
        server.answer = answer
        expected = improve(task, server, "expected")
        calls = server.calls

        def quota(i: int, body: dict[str, Any]) -> str:
            return "402" if server.calls > calls + calls * 3 // 4 else "400" if question(body) == bad else "ok"

        server.plan = quota
        with pytest.raises(Exception, match="402"):
            improve(task, server)
        server.plan = lambda i, body: "ok"
        result = resume(task)
    assert [error["examples"] for error in result["errors"]] == [1]
    assert {**outcome(result), "errors": []} == {**outcome(expected), "errors": []}


@pytest.mark.fault(47)
def test_an_example_that_had_an_error_is_tried_again(
    task: Path, undisturbed: Undisturbed, seen: Callable[[str], None]
) -> None:
    """Each of five prompts is refused the first time it is asked in each place, whatever its tries there."""
    before = undisturbed.result
    bad = set(undisturbed.gate[:5])
    met: dict[tuple[tuple[int, int], str], int] = {}

    def plan(i: int, body: dict[str, Any]) -> str:
        key = question(body), body["messages"][-1]["content"]
        met[key] = met.get(key, 0) + 1
        return "400" if question(body) in bad and met[key] == 1 else "ok"

    with billing(plan) as server:
        server.answer = answer
        result = improve(task, server, "hit", retry_on_error=1)
    assert outcome(result) == outcome(before)
    seen(f"five prompts refused once, retry_on_error=1: final {result['final']['score']:.2f} as without, no error left")


@pytest.mark.fault(47, 31)
def test_stopped_at_any_moment_with_errors_a_run_goes_on_without_contradiction(
    tmp_path: Path, undisturbed: Undisturbed, seen: Callable[[str], None]
) -> None:
    """Seven prompts are refused until the account is empty; when it is filled they are answered. No record may diverge."""
    bad = {*undisturbed.gate[:3], *undisturbed.test[:2], *undisturbed.gate[-2:]}
    left: list[int] = []
    for moment in (5, 25, 60, 100, 140, 180, 200):
        task = made(tmp_path / f"task{moment}")
        with billing(lambda i, body: "ok") as server:
            server.answer = answer

            def plan(i: int, body: dict[str, Any], server: Billing = server, moment: int = moment) -> str:
                return "402" if server.calls >= moment else "400" if question(body) in bad else "ok"

            server.plan = plan
            with pytest.raises(QuotaExhausted):
                improve(task, server, f"at{moment}")
            server.plan = lambda i, body: "ok"
            result = resume(task, f"at{moment}")
        assert result["status"] == "done"
        assert result["calls"] == server.calls, "something that was recorded was paid again"
        left.append(sum(error["examples"] for error in result["errors"]))
        if moment <= 25:  # in the first measurement, on which nothing had been built
            assert outcome(result) == outcome(undisturbed.result)
    seen(f"stopped after 5 to 200 calls with up to 7 prompts refused, then resumed: errors left {left}, no record diverged")
