"""One bad example, one failing method: the run goes on, proves what it has and says what happened; so does a resumed one."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from loopwright.cli.progress import Watcher
from loopwright.cli.working import _Shown
from loopwright.core.context import Context
from loopwright.core.errors import InputError, NothingScored
from loopwright.core.registry import improver, solver
from loopwright.core.types import Candidate, Example, Rollout
from loopwright.improve.html import render_html
from loopwright.improve.job import resume_improve, run_improve
from loopwright.improve.report import build_report
from loopwright.store import open_store

sys.path.append(str(Path(__file__).parents[1] / "fakes"))
from openai_server import Server, completion, fails, serving

TOO_LONG = fails(400, "This model's maximum context length is 10 tokens. You requested 99 tokens", "context_length_exceeded")
FILTERED = fails(400, "The response was filtered as the prompt triggered a content management policy", "content_filter")
NOT_UNDERSTOOD = fails(400, "I do not understand this message")
CRASHED = fails(500, "crashed on this one")


@improver(improves="prompt", needs=("model",))
async def better(base: Candidate, ctx: Context) -> AsyncIterator[Candidate]:
    """Asks for care."""
    yield base.child(by="better", prompt={"instruction": "carefully"})


@improver(improves="prompt", needs=("model",))
async def broken(base: Candidate, ctx: Context) -> AsyncIterator[Candidate]:
    """A method with a mistake in it."""
    await ctx.generate("a first thought")
    await ctx.rollout(base, ctx.world.examples("train")[:4])
    raise KeyError("nothing of this name")
    yield base


@improver(improves="prompt", needs=("model",))
async def refused(base: Candidate, ctx: Context) -> AsyncIterator[Candidate]:
    """A method whose prompt no server takes."""
    await ctx.generate("say something forbidden")
    yield base


@improver(improves="prompt", needs=("model",))
async def worse(base: Candidate, ctx: Context) -> AsyncIterator[Candidate]:
    """Makes several rounds and offers something useless."""
    await ctx.rollout(base, ctx.world.examples("train")[:4], judge=False)
    ctx.round = 1
    await ctx.rollout(base, ctx.world.examples("train")[:4], judge=False)
    yield base.child(by="worse", prompt={"instruction": "badly"})


@solver(needs=("model",))
async def careful_but_broken(example: Example, ctx: Context) -> Rollout:
    """Right, except that it breaks on some examples of the test split."""
    if ctx.split == "test" and int(example.id[1:]) % 5 == 0:
        raise ZeroDivisionError("an example it was not made for")
    return await ctx.answer(example, "carefully now")


def method(recipe: Any) -> str:
    return f"{__name__}:{recipe.function.__name__}"


def sums(body: dict[str, Any]) -> Any:
    """Right where care is asked for, else in a third of the questions."""
    text = "\n".join(m["content"] for m in body["messages"])
    if "forbidden" in text:
        return FILTERED(body)
    found = re.search(r"(\d+) \+ (\d+)", text)
    if found is None:
        return completion(body, ["well"])
    a, b = int(found[1]), int(found[2])
    right = "carefully" in text or (a * 7 + b) % 3 == 0
    return completion(body, [str(a + b if right else a - b)])


def on(questions: Callable[[int, int], bool], step: Any) -> Any:
    """``sums``, with another step for some questions."""

    def act(body: dict[str, Any]) -> Any:
        found = re.search(r"(\d+) \+ (\d+)", body["messages"][-1]["content"])
        return step(body) if found and questions(int(found[1]), int(found[2])) else sums(body)

    return act


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        made.will(sums)
        yield made


CHECKERS = {
    "exact": '[checker]\nkind = "exact"\n',
    "loose": '[checker]\nkind = "regex"\npattern = "(?!-).*"\n',
    "python": '[checker]\nkind = "python"\nfunction = "check.py:check"\n',
}


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Path]:
    def make(checker: str = "exact", more: str = "") -> Path:
        folder = tmp_path / "task"
        folder.mkdir()
        rows = [{"id": f"e{i}", "input": f"{10 + i} + {3 * i % 37}", "target": str(10 + i + 3 * i % 37)} for i in range(120)]
        (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "check.py").write_text("def check(output, example):\n    return output == example['target']\n")
        (folder / "task.toml").write_text(
            f'name = "sums"\n[examples]\nfile = "examples.jsonl"\n[answer]\nmax_tokens = 16\n{CHECKERS[checker]}{more}'
        )
        return folder

    return make


class Run:
    def __init__(self, server: Server, folder: Path, out: Path) -> None:
        self.store = out / "store"
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.given: dict[str, Any] = {
            "task_folder": folder, "out": out / "out", "store_path": f"{self.store}/", "cache": False,
            "model": {
                "backend": "openai", "model": "toy", "base_url": server.url, "concurrency": 4, "attempts": 2, "backoff": 0.01,
            },
        }  # fmt: skip

    def begin(self, *methods: Any, **more: Any) -> dict[str, Any]:
        only = [method(m) for m in methods]
        return asyncio.run(run_improve(**self.given, only=only, progress=self.tell, **more))

    def resume(self) -> dict[str, Any]:
        return asyncio.run(resume_improve("last", store_path=f"{self.store}/", progress=self.tell))

    def tell(self, type: str, payload: dict[str, Any]) -> None:
        self.events.append((type, payload))

    def told(self, type: str) -> list[dict[str, Any]]:
        return [payload for kind, payload in self.events if kind == type]

    def report(self) -> Any:
        store = open_store(f"{self.store}/")
        try:
            return build_report(store, "last")
        finally:
            store.close()


@pytest.fixture
def run(server: Server, tmp_path: Path, task: Callable[..., Path]) -> Callable[..., Run]:
    return lambda checker="exact", more="": Run(server, task(checker, more), tmp_path)


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    return {k: result[k] for k in ("baseline", "final", "gain", "accepted", "rejected", "failures", "tried", "reason")}


# ---- methods that fail ------------------------------------------------------------------------------------------------


def test_a_method_that_fails_ends_alone_and_the_others_are_tried_and_proved(run: Callable[..., Run], tmp_path: Path) -> None:
    job = run()
    result = job.begin(broken, refused, better)
    assert [f["method"] for f in result["failures"]] == ["broken", "refused"]
    assert result["failures"][0]["error"].startswith("KeyError: 'nothing of this name' (test_goes_on.py:")
    assert result["failures"][1]["error"].startswith("Refused: ")
    assert [look["by"] for look in result["accepted"]] == ["better"]
    assert result["final"]["score"] == 1.0
    assert result["reason"] == "every method has run; 2 of 3 ended by an error: broken, refused"
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written["failures"] == result["failures"] and written["tried"] == ["broken", "refused", "better"]
    report = job.report()
    assert [(f.slug, f.error) for f in report.failures] == [(f["method"], f["error"]) for f in result["failures"]]
    page = render_html(report)
    assert "broken ended by an error" in page and "nothing of this name" in page


def test_what_failed_is_said_in_the_terminal(run: Callable[..., Run], capsys: pytest.CaptureFixture[str]) -> None:
    job = run()
    job.begin(broken)
    watcher = Watcher()
    for type, payload in job.events:
        watcher.tell(type, payload)
    assert "broken ended by an error, the run goes on: KeyError" in capsys.readouterr().err.replace("\n", " ")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["method 1", "failure 0", "method 2", "failure 1", "method 3", "look 1", "final 0"])
def test_killed_and_resumed_it_ends_as_if_it_had_not_been(
    moment: str, run: Callable[..., Run], server: Server, tmp_path: Path
) -> None:
    job = run()
    expected = outcome(job.begin(broken, refused, better))
    asked = len(server.bodies)
    job.given |= {"out": tmp_path / "out2", "store_path": f"{tmp_path / 'second'}/"}
    job.store = tmp_path / "second"
    kind, _, number = moment.partition(" ")
    seen: list[str] = []

    def kill(type: str, payload: dict[str, Any]) -> None:
        seen.append(type)
        if type == kind and seen.count(type) == max(int(number), 1):
            raise Killed

    with pytest.raises(Killed):
        asyncio.run(run_improve(**job.given, only=[method(m) for m in (broken, refused, better)], progress=kill))
    assert outcome(job.resume()) == expected
    assert len(server.bodies) <= 2 * asked + 1, "what was recorded was asked again"


def test_a_mistake_that_is_gone_when_the_run_is_resumed_changes_nothing_that_came_after(
    run: Callable[..., Run], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was tried after it was tried without it: the record stays as it is."""
    mistakes = iter([True, False, False])

    async def sometimes(base: Candidate, ctx: Context) -> AsyncIterator[Candidate]:
        """Fails the first time."""
        await ctx.generate("a first thought")
        if next(mistakes):
            raise RuntimeError("not today")
        await ctx.generate("a second thought")
        yield base.child(by="sometimes", prompt={"instruction": "carefully, but otherwise"})

    recipe = improver(improves="prompt", needs=("model",))(sometimes)
    monkeypatch.setattr(sys.modules[__name__], "sometimes", recipe, raising=False)
    job = run()

    def kill(type: str, payload: dict[str, Any]) -> None:
        if type == "final":
            raise Killed

    with pytest.raises(Killed):
        asyncio.run(run_improve(**job.given, only=[f"{__name__}:sometimes", method(better)], progress=kill))
    result = job.resume()
    assert [f["error"].split(" (")[0] for f in result["failures"]] == ["RuntimeError: not today"]
    assert [look["by"] for look in result["accepted"]] == ["better"]


def test_a_solver_that_breaks_on_test_examples_is_proved_on_all_of_them(run: Callable[..., Run]) -> None:
    result = run().begin(careful_but_broken)
    assert [look["by"] for look in result["accepted"]] == ["careful-but-broken"]
    assert 0 < result["final"]["missing"] < result["baseline"]["n"]
    assert result["status"] == "done"


# ---- examples that fail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [TOO_LONG, FILTERED, NOT_UNDERSTOOD, CRASHED], ids=["too long", "filtered", "not understood", "500"]
)
@pytest.mark.parametrize("when", ["always", "after the acceptance"])
def test_one_example_that_the_server_turns_away_never_ends_a_run(
    step: Any, when: str, run: Callable[..., Run], server: Server
) -> None:
    job = run()
    some = on(lambda a, b: a % 9 == 0, step)

    def act(body: dict[str, Any]) -> Any:
        careful = "carefully" in json.dumps(body["messages"])
        return (some if when == "always" or careful else sums)(body)

    server.will(act)
    result = job.begin(better, worse)
    given = step in (TOO_LONG, FILTERED)  # answers "", on both sides alike; of the others nothing is known
    if given or when == "after the acceptance":
        assert [look["by"] for look in result["accepted"]] == ["better"]
    assert (result["failures"], result["status"]) == ([], "done")
    assert (result["final"]["missing"] == 0) == given
    assert result["final"]["score"] < 1.0, "what was not answered is not left out"
    again = job.resume()
    assert outcome(again) == outcome(result)


def test_a_baseline_that_cannot_be_scored_stops_before_any_method(run: Callable[..., Run], server: Server) -> None:
    server.will(on(lambda a, b: True, fails(400, "unknown field: messages")))
    job = run()
    with pytest.raises(NothingScored, match=r"none of the \d+ \w+ examples could be scored.*unknown field: messages.*No method"):
        job.begin(better)
    assert job.told("method") == job.told("baseline") == []
    assert 0 < len(server.bodies) < 130
    with pytest.raises(NothingScored, match="unknown field: messages"):
        job.resume()


def test_what_was_not_judged_is_no_part_of_the_baseline_that_is_shown(
    run: Callable[..., Run], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a comparison it counts 1 for what is there now; as the figure of the baseline that would be a score nobody gave."""
    server.will(on(lambda a, b: a % 3 == 0, NOT_UNDERSTOOD))
    job = run()
    job.begin(worse)
    (screen,) = [p for p in job.told("baseline") if p["split"] == "screen"]
    store = open_store(f"{job.store}/")
    scores: dict[str, float | None] = {}
    for row in store.rollouts(store.runs()[0].id):
        if row.split == "screen":
            scores.setdefault(row.example, row.score)  # the baseline is asked first
    store.close()
    judged = [score for score in scores.values() if score is not None]
    assert 0 < len(judged) < len(scores)
    assert (screen["n"], screen["missing"]) == (len(judged), len(scores) - len(judged))
    assert screen["score"] == pytest.approx(sum(judged) / len(judged))


def test_a_baseline_of_refusals_stops_too(run: Callable[..., Run], server: Server) -> None:
    server.will(FILTERED)
    job = run()
    with pytest.raises(NothingScored, match="was answered"):
        job.begin(better)
    assert job.told("method") == []


def test_a_checker_that_always_fails_stops_with_its_reason(run: Callable[..., Run], server: Server, tmp_path: Path) -> None:
    job = run("python")
    (tmp_path / "task" / "check.py").write_text("def check(output, example):\n    return output['answer']\n")
    with pytest.raises(Exception, match="string indices must be integers"):
        job.begin(better)
    assert job.told("method") == []


@pytest.mark.fault(32)
def test_cut_answers_are_counted_where_they_are_and_judged_by_their_text(
    run: Callable[..., Run], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def act(body: dict[str, Any]) -> Any:
        found = re.search(r"(\d+) \+ (\d+)", json.dumps(body["messages"]))
        if found and int(found[1]) % 2:
            return completion(body, [str(int(found[1]) + int(found[2]))], finish_reason="length")
        return sums(body)

    server.will(act)
    job = run()
    result = job.begin(worse)
    assert result["baseline"]["score"] > 0.5, "a cut answer that is right is right"
    report = job.report()
    assert report.cut["gate"] > 0 and report.cut["test"] > 0
    page = render_html(report)
    assert re.search(r"\d+ of \d+ test answers were cut at max_tokens", page)
    watcher = Watcher()
    for type, payload in job.events:
        watcher.tell(type, payload)
    assert re.search(r"gate: \d+ of \d+ answers were cut at max_tokens", capsys.readouterr().err)


def test_rounds_that_nobody_scored_show_no_score(run: Callable[..., Run], capsys: pytest.CaptureFixture[str]) -> None:
    job = run()
    job.begin(worse)
    (told,) = job.told("round")
    assert told["score"] is None and told["attempts"] == 4
    watcher = Watcher()
    for type, payload in job.events:
        watcher.tell(type, payload)
    assert "worse round 1: 4 attempts on train examples, not scored" in capsys.readouterr().err
    report = job.report()
    assert [r.score for r in report.rounds] == [None]
    assert report.unjudged["train"] == 8 and "train" not in report.missing
    assert "0.0%" not in render_html(report).split("Attempts while learning")[-1].split("</section>")[0]


@pytest.mark.fault(71)
def test_a_checker_that_likes_silence_is_named_at_the_start(run: Callable[..., Run]) -> None:
    job = run("loose")
    job.begin(worse)
    (warning,) = [w for w in job.told("warning") if "SILENCE" in w["message"]]
    assert "the checker (regex) gives an empty answer 100.0%" in warning["message"]
    assert "SILENCE WOULD WIN" in render_html(job.report())
    assert [k for k, _ in job.events].index("warning") < [k for k, _ in job.events].index("method")


def test_a_checker_that_does_not_is_not(run: Callable[..., Run]) -> None:
    job = run()
    job.begin(worse)
    assert not [w for w in job.told("warning") if "SILENCE" in w["message"]]


def test_a_mistake_in_the_options_is_still_found_before_anything_is_spent(run: Callable[..., Run], server: Server) -> None:
    with pytest.raises(InputError):
        run().begin(better, methods={method(better): {"no_such": 1}})
    assert server.bodies == []


@pytest.mark.parametrize(("methods", "code"), [((broken, refused), 1), ((broken, worse), 0), ((broken, better), 0)])
def test_the_command_exits_with_one_only_where_every_method_failed(
    methods: tuple[Any, ...], code: int, run: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    job = run()

    async def whole() -> dict[str, Any]:
        return await run_improve(**job.given, only=[method(m) for m in methods])

    with _Shown(True) as shown:
        try:
            shown.finish(whole())
            ended = 0
        except typer.Exit as error:
            ended = error.exit_code
    assert ended == code
    assert json.loads(capsys.readouterr().out)["failures"][0]["method"] == "broken"
