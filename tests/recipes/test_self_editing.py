"""What the archives of self-editing agents keep, try and offer. The agents here are a few lines, run in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from loopwright.blocks.convert import convert
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import InputError
from loopwright.core.feedback import Verdict
from loopwright.core.model import Request
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate, Example, Rollout
from loopwright.improve.plots.lineage import Version, lineage_figure, versions_of
from loopwright.models.scripted import ScriptedModel
from loopwright.store import MemoryStore
from loopwright.trainable.agent import ADDRESS
from loopwright.worlds.small import Small


@dataclass(frozen=True)
class Outcome:
    status: str
    stdout: str = ""
    stderr: str = ""


class InProcess:
    """For agents that the tests themselves wrote."""

    async def run(self, code: str, *, stdin: str, **options: Any) -> Outcome:
        job = json.loads(stdin)
        space: dict[str, Any] = {}
        try:
            exec(job["source"], space)
            said = space[job["function"]](*job["arguments"])
        except Exception as error:
            return Outcome("error", stderr=f"{type(error).__name__}: {error}")
        return Outcome("ok", "\nloopwright-agent:" + json.dumps({"said": said}))


# It solves tasks up to its N, and its children are what CHILDREN says.
AGENT = """N = 3
def improve(source, log, seed):
    import random
    rng = random.Random(seed)
    return rng.choice(CHILDREN)(source, rng)
def solve(task):
    return "" if N < 0 else str(N)
"""
MORE = "lambda s, r: s.replace(f'N = {N}', f'N = {N + r.randint(-2, 3)}', 1)"
BROKEN = "lambda s, r: s + ')'"
DUMB = "lambda s, r: s.replace('def improve', 'def unprove')"
LOST = "lambda s, r: s.replace('def solve', 'def salve')"
MUTE = "lambda s, r: s.replace(f'N = {N}', 'N = -1', 1)"
STUCK = "lambda s, r: s.replace('return rng.choice', 'return 1 / 0; rng.choice')"
SAME = "lambda s, r: s"


def agent(*children: str) -> str:
    return AGENT.replace("CHILDREN", f"[{', '.join(children)}]")


def bred(slug: str, source: str, *, seed: int = 0, say: Callable[[str], str] = lambda text: "-", **options: Any) -> Any:
    """(offered candidates, noted versions, how many tasks were tried)"""

    async def check(rollout: Rollout, ctx: Context) -> Verdict:
        said = rollout.output
        return Verdict(passed=said.isdigit() and int(said) >= int(str(rollout.example.target)), message="too little")

    def answer(request: Request, i: int) -> str:
        return say(request.turns[-1].text)

    examples = [Example(id=f"t{k}", input={"k": k}, target=k) for k in range(40)]
    world = Small("ladder", examples, check, part=lambda question: "train", solver=None)
    store = MemoryStore()
    run = store.create_run({}, seed=seed, budget={}, code_version="test")
    engine = Engine(
        store=store, run=run, ledger=Ledger(Budget()), models={"policy": ScriptedModel(answer, fingerprint="lines")},
        convert=convert, sandbox=InProcess(), cache=False,
    )  # fmt: skip
    recipe = get_recipe(slug)
    base = Candidate(parts={"solver": {"recipe": ADDRESS, "options": {"source": source}}})
    ctx = Context(engine, "test", world=world, policy=base, recipe=recipe)
    offered: list[Candidate] = []

    async def offer(candidate: Candidate) -> bool:
        offered.append(candidate)
        return True

    asyncio.run(loop.improve(recipe, base, ctx, offer, options))
    return offered, versions_of(store.events(run.id)), len(list(store.rollouts(run.id)))


FEW = {"rounds": 12, "stages": (10, 10, 20), "threshold": 0.2}


def test_the_archive_keeps_what_works_however_poor_and_nothing_else() -> None:
    offered, versions, _ = bred("dgm", agent(MORE, MORE, MORE, BROKEN, DUMB, LOST, MUTE, STUCK, SAME), **{**FEW, "rounds": 40})
    kept = [v for v in versions if v.index is not None]
    why = {v.why.split(":")[0] for v in versions if v.index is None}
    assert [v.index for v in kept] == list(range(len(kept))) and kept[0].parent is None
    assert all(v.parent is not None and v.parent < v.index for v in kept[1:])
    assert any(v.score < kept[v.parent].score for v in kept[1:])
    assert len(why) >= 5 and why <= {
        "broken", "it has lost its function improve", "it answers nothing", "its edits are broken", "nothing was changed",
        "it is in the archive already", "its sibling is the same",
    }  # fmt: skip
    assert len(offered) == sum((v.tried, v.score) > max((w.tried, w.score) for w in kept[: v.index]) for v in kept[1:])


def test_stages_are_for_the_good_and_the_budget_holds() -> None:
    _, versions, tried = bred("dgm", agent(MORE), **FEW)
    kept = [v for v in versions if v.index is not None]
    assert {v.tried for v in kept} <= {10, 20, 40} and len({v.tried for v in kept}) > 1
    assert all(v.score <= 0.25 for v in kept if v.tried == 10)
    assert sum(v.tried for v in versions) == tried
    for cap in (10, 35, 100):
        for slug in ("dgm", "dgm-no-archive", "hgm"):
            more = {"evaluations": cap} if slug == "hgm" else {"evaluations": cap, **FEW}
            assert bred(slug, agent(MORE), **more)[2] <= cap


def test_without_an_archive_the_last_version_goes_on() -> None:
    _, versions, _ = bred("dgm-no-archive", agent(MORE, BROKEN), **FEW)
    kept = [v.index for v in versions if v.index is not None]
    assert [v.parent for v in versions if v.index is not None] == [None, *kept[:-1]]
    _, versions, _ = bred("dgm-no-archive", agent(MORE), parent="best", **FEW)
    scores: list[float] = []
    for v in versions:
        if v.parent is not None and v.index is not None:
            assert scores[v.parent] == max(scores)
        if v.index is not None:
            scores.append(v.score)


@pytest.mark.parametrize("slug", ["dgm", "dgm-no-archive", "hgm"])
@pytest.mark.parametrize("child", [BROKEN, DUMB, SAME, "lambda s, r: 7", "lambda s, r: s[:40]"])
def test_an_agent_without_any_offspring_stays_alone(slug: str, child: str) -> None:
    more = {"evaluations": 60} if slug == "hgm" else FEW
    offered, versions, _ = bred(slug, agent(child), **more)
    assert offered == [] and [v.index for v in versions if v.index is not None] == [0]
    assert lineage_figure(versions).startswith(b"<?xml")


def test_a_model_may_be_the_editor() -> None:
    def say(text: str) -> str:
        if "Describe" in text or "describe" in text:
            return "Count on."
        n = int(text.split("N = ")[1].split("\n")[0])
        return f"source.py\n<<<<<<< SEARCH\nN = {n}\n=======\nN = {n + 2}\n>>>>>>> REPLACE"

    for slug, more in (("dgm", FEW), ("hgm", {"evaluations": 150})):
        offered, versions, _ = bred(slug, "N = 3\ndef solve(task):\n    return str(N)\n", say=say, **more)
        assert offered and max(v.score for v in versions) > 0.2


def test_lines_of_descent_are_widened_and_tried_by_what_they_bring() -> None:
    offered, versions, tried = bred("hgm", agent(MORE), evaluations=150, at_once=3)
    kept = [v for v in versions if v.index is not None]
    assert tried == 150 == sum(v.tried for v in kept) and offered
    # N^0.6 >= versions - 1 at the last widening; the first five come without asking.
    assert 5 < len(kept) <= 150**0.6 + 5
    assert max(v.score for v in kept if v.tried > 10) > kept[0].score


def test_what_cannot_be_bred_is_said() -> None:
    with pytest.raises(InputError, match="stages of at least 1"):
        bred("dgm", agent(MORE), stages=())


def test_figures() -> None:
    versions = [Version(0, None, 0.2, 10), Version(1, 0, 0.4, 60), Version(None, 1, why="broken"), Version(2, 1, 0.5, 60)]
    svg = lineage_figure(versions, title="an archive")
    assert b"1 not kept" in svg and b"3 kept" in svg and svg == lineage_figure(versions, title="an archive")
    assert lineage_figure(versions, form="png").startswith(b"\x89PNG")
    for bad in ([], [Version(None, None)], [Version(0, 3)]):
        with pytest.raises(InputError):
            lineage_figure(bad)
