"""Claims about what a Learner still knows of each task, by itself and through a Measure."""

import pytest

from loopwright.claims.runners import Runner
from loopwright.claims.table import Claim
from loopwright.core.errors import InputError


def _claim(**changes) -> Claim:
    fields = {"recipe": "replay", "baseline": "naive-sgd", "world": "blobs", "metric": "ACC", "direction": "higher"}
    return Claim.model_validate({**fields, **changes})


def test_learners_are_compared_by_what_they_still_know() -> None:
    runner = Runner(_claim(setting={"every": 0}))
    mine, theirs = (runner.run(slug, {}, 3) for slug in ("replay", "naive-sgd"))
    assert mine.value > theirs.value and mine.steps == theirs.steps > 0


def test_a_measure_looks_at_a_learner_s_run() -> None:
    setting = {"recipe_run": {"recipe": "replay", "every": 1}, "baseline_run": {"recipe": "replay", "every": 0}}
    runner = Runner(_claim(recipe="stability-gap", baseline="stability-gap", metric="stability gap", setting=setting))
    seen, unseen = (runner.run("stability-gap", {}, 3, arm=arm) for arm in ("recipe", "baseline"))
    assert seen.value > unseen.value == 0.0


def test_a_measure_may_look_at_experts_too() -> None:
    run = {"recipe": "naive-sgd", "every": 2, "experts": True}
    claim = _claim(recipe="lifelong-metrics", baseline="lifelong-metrics", setting={"recipe_run": run, "baseline_run": run})
    runner = Runner(claim.model_copy(update={"metric": "relative performance"}))
    assert 0.5 < runner.run("lifelong-metrics", {}, 3).value < 2.0


def test_a_stream_without_tasks_has_no_such_figure() -> None:
    with pytest.raises(InputError, match="held-out questions"):
        Runner(_claim(recipe="ucb1", world="arms")).run("ucb1", {}, 0)
