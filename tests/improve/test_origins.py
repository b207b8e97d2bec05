"""Other weights behind the same name and address must not make a gain, in the same run or the next."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from loopwright.cli.main import app
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import QuotaExhausted
from loopwright.core.model import Sampling
from loopwright.core.store import RunRow, Store
from loopwright.core.types import Budget, Candidate, Example, Rollout, Turn
from loopwright.critics.model_judge import pairwise
from loopwright.improve.html import render_html
from loopwright.improve.job import resume_improve, run_improve
from loopwright.improve.report import build_report
from loopwright.models.openai import OpenAIModel
from loopwright.store import MemoryStore, open_store
from loopwright.worlds.files import load_task

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import Server, completion, serving


class Weights:
    """A server's model: always right, or always wrong; ``says`` is what it tells of itself."""

    def __init__(self) -> None:
        self.right = False
        self.says: dict[str, Any] = {}
        self.asked: list[str] = []
        self.swap_after = 10**9

    def __call__(self, body: dict[str, Any]) -> web.Response:
        text = body["messages"][-1]["content"]
        self.asked.append(text)
        if len(self.asked) > self.swap_after:
            self.right, self.says = True, {"model": "tiny", "system_fingerprint": "fp_new"}
        a, b = re.findall(r"(\d+) \+ (\d+)", text)[-1]
        said = str(int(a) + int(b)) if self.right else "no idea"
        return completion(body, [said] * body.get("n", 1), top=self.says)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def weights(server: Server) -> Weights:
    made = Weights()
    server.will(made)
    return made


@pytest.fixture
def task(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    rows = [{"id": f"e{i}", "input": f"{i + 10} + {i * 3 + 7}", "target": str(4 * i + 17)} for i in range(80)]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.toml").write_text(
        'name = "sums"\n[examples]\nfile = "examples.jsonl"\n[answer]\nmax_tokens = 16\n[checker]\nkind = "exact"\n'
        "[methods.few-shot]\nsizes = [2]\n"
    )
    return folder


@pytest.fixture
def no_screen(task: Path) -> Path:
    """The same task with too few train examples for a screen, so that the gate is asked at once."""
    path = task / "task.toml"
    path.write_text(path.read_text() + "[split]\ntrain = 0.1\ngate = 0.5\ntest = 0.4\n")
    return task


def improve(
    server: Server, task: Path, out: str = "out", told: list[tuple[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    return asyncio.run(
        run_improve(
            task, change=["prompt"], only=["few-shot"], out=task.parent / out, store_path=task.parent / "store",
            model={"backend": "openai", "model": "tiny", "base_url": server.url},  # type: ignore[arg-type]
            progress=lambda type, payload: told.append((type, payload)) if told is not None else None, **more,
        )
    )  # fmt: skip


def stored(task: Path) -> Store:
    return open_store(f"{task.parent / 'store'}/")


@pytest.mark.parametrize("says", [{}, {"model": "tiny", "system_fingerprint": "fp_1"}])
def test_other_weights_behind_the_same_name_give_no_gain(
    server: Server, weights: Weights, task: Path, says: dict[str, Any]
) -> None:
    weights.says = says
    first = improve(server, task, "first")
    assert first["baseline"]["score"] == 0.0
    weights.right = True
    second = improve(server, task, "second")
    assert second["baseline"]["score"] == second["final"]["score"] == 1.0
    assert second["gain"]["effect"] == 0.0 and not second["accepted"]


def test_what_is_measured_is_asked_again_and_what_is_not_is_told_with_its_run_and_date(
    server: Server, weights: Weights, task: Path
) -> None:
    weights.right = True
    weights.says = {"model": "tiny-7b", "system_fingerprint": "fp_1"}
    first = improve(server, task, "first")
    asked = len(weights.asked)
    second = improve(server, task, "second")
    again = len(weights.asked) - asked
    (reused,) = second["replies"]["reused"]
    assert reused["run"] == first["run"] and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", reused["date"])
    assert 0 < reused["replies"] == asked - again
    with stored(task) as store:  # type: ignore[attr-defined]
        compared = [e for e in store.effects(second["run"]) if "/gate." in e.scope or "/test." in e.scope]
        assert compared and all(b'"run":' not in e.result for e in compared)
        report = build_report(store, second["run"])
        page = render_html(report, [])
    assert [r.count for r in report.replies if r.run == first["run"]] == [reused["replies"]]
    assert [(r.model, r.system_fingerprint) for r in report.replies if not r.run] == [("tiny-7b", "fp_1")]
    assert f"{reused['replies']} replies were recorded by run {first['run']} (" in page


def test_a_reply_of_another_fingerprint_is_not_taken_even_where_nothing_is_compared(
    server: Server, weights: Weights, task: Path
) -> None:
    weights.right = True
    weights.says = {"model": "tiny", "system_fingerprint": "fp_1"}
    improve(server, task, "first")
    weights.says = {"model": "tiny", "system_fingerprint": "fp_2"}
    assert improve(server, task, "second")["replies"]["reused"] == []


def test_a_server_that_changes_between_the_baseline_and_the_candidate_gives_no_gain(
    server: Server, weights: Weights, no_screen: Path
) -> None:
    """Measured again after the change, the baseline is as good as the candidate."""
    weights.says = {"model": "tiny", "system_fingerprint": "fp_old"}
    gate = len(load_task(no_screen).examples("gate"))
    weights.swap_after = gate + len(load_task(no_screen).examples("train"))
    told: list[tuple[str, Any]] = []
    result = improve(server, no_screen, told=told, cache=False)
    assert not result["accepted"] and result["gain"]["effect"] == 0.0
    (change,) = [payload["message"] for type, payload in told if type == "server-changed"]
    assert "fp_old" in change and "fp_new" in change
    with stored(no_screen) as store:  # type: ignore[attr-defined]
        report = build_report(store, result["run"])
        measured = {e.scope.split("/")[1] for e in store.effects(result["run"]) if "/gate." in e.scope}
    assert [k["incumbent_score"] for k in result["rejected"]] == [k["candidate_score"] for k in result["rejected"]]
    assert report.server_changes == (change,) and "fp_new" in render_html(report, [])
    assert [name for name in measured if name.endswith("~2")], measured


@pytest.mark.parametrize("swap", [7, 27, 33, 45, 50, 60, 70])
@pytest.mark.parametrize("screen", [True, False])
def test_whenever_it_changes_there_is_no_gain(
    server: Server, weights: Weights, task: Path, request: pytest.FixtureRequest, swap: int, screen: bool
) -> None:
    if not screen:
        request.getfixturevalue("no_screen")
    weights.says = {"model": "tiny", "system_fingerprint": "fp_old"}
    weights.swap_after = swap
    result = improve(server, task, cache=False)
    assert not result["accepted"] and result["gain"]["effect"] == 0.0


@pytest.mark.parametrize("dies", [45, 62, 75, 95, 120, 150])
def test_a_run_that_stops_around_the_change_goes_on_and_gains_nothing(
    server: Server, weights: Weights, no_screen: Path, dies: int
) -> None:
    weights.says = {"model": "tiny", "system_fingerprint": "fp_old"}
    weights.swap_after = 60

    def step(body: dict[str, Any]) -> web.Response:
        if len(weights.asked) >= dies:
            return web.json_response({"error": {"message": "no credit", "code": "insufficient_quota"}}, status=402)
        return weights(body)

    server.will(step)
    with pytest.raises(QuotaExhausted):
        improve(server, no_screen, cache=False)
    server.will(weights)
    result = asyncio.run(resume_improve("last", store_path=no_screen.parent / "store"))
    assert result["status"] == "done" and not result["accepted"] and result["gain"]["effect"] == 0.0


def test_a_server_of_several_fingerprints_is_told_once_and_does_not_loop(
    server: Server, weights: Weights, task: Path
) -> None:
    weights.right = True

    def several(body: dict[str, Any]) -> web.Response:
        weights.says = {"model": "tiny", "system_fingerprint": f"fp_{len(weights.asked) * 7919 % 5}"}
        return weights(body)

    server.will(several)
    told: list[tuple[str, Any]] = []
    result = improve(server, task, told=told, cache=False)
    assert result["status"] == "done" and len(weights.asked) < 250
    assert len([1 for type, _ in told if type == "server-changed"]) <= 6


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"model": "tiny", "system_fingerprint": "fp_1"}, {"model": "tiny", "system_fingerprint": "fp_1"}, ()),
        ({"model": "tiny", "system_fingerprint": "fp_1"}, {"model": "tiny", "system_fingerprint": "fp_2"}, ("fp_1", "fp_2")),
        ({"model": "tiny"}, {"model": "tiny"}, ("fingerprint not given",)),
        ({}, {}, ("says nothing of itself",)),
    ],
)
def test_compare_says_where_two_runs_may_have_had_other_weights(
    server: Server, weights: Weights, task: Path, first: dict[str, Any], second: dict[str, Any], words: tuple[str, ...]
) -> None:
    weights.says = first
    one = improve(server, task, "first")
    weights.right, weights.says = True, second
    two = improve(server, task, "second")
    place = str(task.parent / "store" / "loopwright.db")
    done = CliRunner().invoke(app, ["compare", one["run"], two["run"], "--store", place, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["better"] == "B" and bool(result["caution"]) == bool(words)
    assert all(word in result["caution"] for word in words)
    said = CliRunner().invoke(app, ["compare", one["run"], two["run"], "--store", place]).stdout
    assert ("What differs may be the server" in said) == bool(words)


@pytest.mark.parametrize("swap", [1, 2, 3, 4])
def test_a_pair_is_judged_by_one_judge_in_both_orders(server: Server, tmp_path: Path, swap: int) -> None:
    """The first judge always prefers A, the second B: of one reply each the pair would seem to have a clear winner."""
    asked: list[str] = []

    def judge(body: dict[str, Any]) -> web.Response:
        asked.append(body["messages"][-1]["content"])
        name = "old" if len(asked) <= swap else "new"
        return completion(body, ["Better: A" if name == "old" else "Better: B"], top={"system_fingerprint": name})

    server.will(judge)
    model = OpenAIModel("judge", base_url=server.url, concurrency=1)
    world = SimpleNamespace(
        name="w", sampling=Sampling(max_tokens=8), critics=(), checker=None, tools={},
        compare=pairwise(rubric="Which is better?", swap=True),
    )  # fmt: skip

    async def main(store: Store, run: RunRow) -> list[Any]:
        engine = Engine(store=store, run=run, ledger=Ledger(Budget()), models={"policy": model})
        ctx = Context(engine, "r", world=world, policy=Candidate())  # type: ignore[arg-type]
        said = [await ctx.compare(attempt(f"a{i}"), attempt(f"b{i}")) for i in range(2)]
        engine.past.finish()
        await model.close()
        return said

    store = MemoryStore()
    run = store.create_run({}, seed=0, budget={}, code_version="")
    said = asyncio.run(main(store, run))
    assert [p.tie for p in said] == [True, True]
    assert len(asked) == (4 if swap in (2, 4) else 5)  # what the new one had said already is not asked again
    known = len(asked)
    assert asyncio.run(main(store, run)) == said and len(asked) == known  # all of it is in the record


def attempt(id: str) -> Rollout:
    return Rollout(id=id, example=Example(id="e", input="q"), turns=(Turn(role="assistant", text=f"answer {id}"),))
