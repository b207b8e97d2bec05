"""A Learner on a stream, as ``loopwright run`` does it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from loopwright.blocks.watching import watch
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe
from loopwright.improve import stream
from loopwright.improve.job import resume_improve
from loopwright.worlds.arms import Arms
from loopwright.worlds.incremental import Incremental
from loopwright.worlds.named import named_stream


def run(folder: Path, slug: str = "ucb1", world: str = "arms:arms=4", **more: Any) -> dict[str, Any]:
    return asyncio.run(stream.run_stream(slug, world, out=folder / "out", store_path=folder / "runs.db", **more))


def test_a_learner_is_measured_and_its_state_goes_on_elsewhere(tmp_path: Path) -> None:
    result = run(tmp_path, steps=400, seed=3)
    regret, blind = result["measures"]["regret"], result["measures"]["blind"]
    assert regret["steps"] == blind["steps"] == result["answered"] == 400
    assert regret["last_tenth"] < 0.5 * blind["mean"] < blind["mean"] == pytest.approx(0.3)
    assert regret["total"] == pytest.approx(400 * regret["mean"])
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == result
    state = json.loads(Path(result["state"]).read_text())
    session = Session.restore(get_recipe(state.pop("recipe"))(**state.pop("options")), state)
    assert session.asked == 400 and session.ask().proposal == max(range(4), key=lambda arm: Arms(4).means(3, 0)[arm])


def test_a_stopped_run_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole", steps=300)
    answered = 0
    respond = Arms.respond

    def dies(self: Arms, seed: int, t: int, trial: Any) -> Any:
        nonlocal answered
        answered += 1
        if answered == 200:
            raise RuntimeError("the power went")
        return respond(self, seed, t, trial)

    monkeypatch.setattr(Arms, "respond", dies)
    with pytest.raises(Exception, match="the power went"):
        run(tmp_path, steps=300)
    again = asyncio.run(resume_improve("last", store_path=tmp_path / "runs.db"))
    assert again["measures"] == whole["measures"]
    assert answered == 200 + 300 - 180, "blocks of 30 steps: six were recorded, and one was begun again"


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rest-em is improver, not learner"):
        run(tmp_path, "rest-em")
    with pytest.raises(InputError, match="world of examples, not a stream"):
        run(tmp_path, world="sums")
    with pytest.raises(UnknownName, match="option of the world arms"):
        run(tmp_path, world="arms:arm=4")
    with pytest.raises(InputError, match="at least one step"):
        run(tmp_path, steps=0)
    with pytest.raises(InputError, match="widht"):
        run(tmp_path, options={"widht": 3})
    assert not (tmp_path / "runs.db").exists() and not (tmp_path / "out").exists()


def test_a_stream_of_tasks_is_asked_what_is_still_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = "blobs:examples=20"
    result = run(tmp_path / "whole", "replay", world)
    stream_of: Any = named_stream(world)
    seen = watch(get_recipe("replay")(), stream_of, seed=0)
    assert result["steps"] == stream_of.ends(0)[-1], "one pass where nothing is said"
    assert result["knowledge"]["matrix"] == seen.matrix.tolist() and result["knowledge"]["ends"] == seen.ends
    assert result["knowledge"]["figures"]["ACC"]["value"] == pytest.approx(seen.figures()["ACC"])
    page = Path(result["report"]).read_text()
    assert "What is still known of every task" in page and page.count("<svg") == 3  # two of accuracies, and regret
    for name in ("accuracy.png", "accuracy.svg", "accuracy-heat.png", "accuracy-heat.svg"):
        assert (tmp_path / "whole" / "out" / name).is_file()
    answered = 0
    respond = Incremental.respond

    def dies(self: Incremental, seed: int, t: int, trial: Any) -> Any:
        nonlocal answered
        answered += 1
        if answered == 9:
            raise RuntimeError("the power went")
        return respond(self, seed, t, trial)

    monkeypatch.setattr(Incremental, "respond", dies)
    with pytest.raises(Exception, match="the power went"):
        run(tmp_path, "replay", world)
    again = asyncio.run(resume_improve("last", store_path=tmp_path / "runs.db"))
    assert again["knowledge"] == result["knowledge"]


def test_no_task_ends_in_a_run_that_is_too_short(tmp_path: Path) -> None:
    result = run(tmp_path, "replay", "blobs:examples=20", steps=2)
    assert "knowledge" not in result and "still known" not in Path(result["report"]).read_text()
