"""Worlds of vectors: what they measure is what they say, people judge by what is hidden, and evaluations may fail."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from loopwright.core.arrays import Numbers
from loopwright.core.errors import InputError
from loopwright.core.feedback import Measures, Missing, Preference
from loopwright.core.types import Trial
from loopwright.worlds.bandit import stream
from loopwright.worlds.landscapes import planar_arm, rotated, sphere
from loopwright.worlds.registry import known_world


def asked(proposal: Any) -> Trial:
    return Trial(id="x", proposal=proposal)


def test_an_arm_that_is_stretched_out_and_one_that_is_bent() -> None:
    world = planar_arm(joints=4)
    straight = world.respond(0, 0, asked([0.0] * 4))
    assert isinstance(straight, Measures) and straight.values == {"objective": 100.0, "x": 4.0, "y": 0.0}
    bent = world.respond(0, 0, asked([math.pi / 2, 0.0, 0.0, 0.0]))
    assert bent.values["x"] == pytest.approx(0.0) and bent.values["y"] == pytest.approx(4.0)  # type: ignore[union-attr]
    assert world.regret(0, 0, asked([0.0] * 4)) == 0.0 < world.regret(0, 0, asked([1.0, 0.0, 0.0, 0.0])) < world.blind(0, 0)
    reach = planar_arm(joints=4, measure="reach").respond(0, 0, asked([0.0, 0.0, math.pi, 0.0]))
    assert reach.values["hand"] == pytest.approx(0.0) and reach.values["middle"] == pytest.approx(2.0)  # type: ignore[union-attr]


def test_a_person_judges_by_what_is_hidden() -> None:
    world = planar_arm(joints=3, hidden=True)
    assert "measures" not in world.spec and len(world.spec["features"]) == 6  # type: ignore[arg-type]
    seen = world.respond(0, 0, asked([0.0] * 3))
    assert isinstance(seen, Measures) and "x" not in seen.values and set(world.spec["features"]) < set(seen.values)  # type: ignore[arg-type]
    ahead, aside, behind = [0.0] * 3, [0.3, 0.0, 0.0], [math.pi, 0.0, 0.0]
    said = world.respond(0, 0, asked({"triplet": [ahead, behind, aside]}))
    assert isinstance(said, Preference) and said.chosen == "2" and said.by.kind == "human"
    assert world.respond(0, 0, asked({"triplet": [ahead, aside, behind]})).chosen == "1"  # type: ignore[union-attr]
    doubtful = planar_arm(joints=3, hidden=True, doubt=0.5)
    told = [doubtful.respond(0, t, asked({"triplet": [ahead, behind, aside]})).chosen == "2" for t in range(2000)]  # type: ignore[union-attr]
    gap = (6.0 - math.hypot(3 - 3 * math.cos(0.3), 3 * math.sin(0.3))) / 6.0  # each range is 1
    assert np.mean(told) == pytest.approx(1 / (1 + math.exp(-gap / 0.5)), abs=0.03)


def test_the_sphere_of_the_papers() -> None:
    world = sphere(dimensions=20)
    optimum = world.respond(0, 0, asked([0.4 * 5.12] * 20)).values  # type: ignore[union-attr]
    assert optimum["objective"] == pytest.approx(100.0) and optimum["first"] == pytest.approx(20.48)
    assert world.respond(0, 0, asked([-5.12] * 20)).values["objective"] == pytest.approx(0.0)  # type: ignore[union-attr]
    beyond = world.respond(0, 0, asked([10.24] * 10 + [0.0] * 10)).values  # type: ignore[union-attr]
    assert beyond["first"] == pytest.approx(5.0) and beyond["second"] == 0.0


@pytest.mark.parametrize("function", ["sphere", "ellipsoid", "rosenbrock", "rastrigin"])
def test_the_optimum_lies_elsewhere_for_every_seed(function: Any) -> None:
    world, found = rotated(function, dimensions=4), []
    for seed in (1, 2):
        optimum = stream(seed, 4).uniform(-3.0, 3.0, 4)
        assert world.regret(seed, 0, asked(optimum.tolist())) == pytest.approx(0.0, abs=1e-9)
        assert world.regret(seed, 0, asked((optimum + 0.1).tolist())) > 0
        found.append(optimum)
    assert not np.allclose(*found)


def test_a_batch_is_answered_in_columns_and_some_of_it_may_fail() -> None:
    world = sphere(dimensions=4, failing=0.5)
    batch = np.random.default_rng(0).uniform(-5, 5, (40, 4)).tolist()
    told = world.respond(3, 1, asked(batch))
    assert isinstance(told, Measures) and set(told.values) == {"objective", "first", "second"}
    objective = told.values["objective"]
    assert isinstance(objective, Numbers) and len(objective) == 40 and 5 < objective.tolist().count(None) < 35
    one = [world.respond(3, t, asked(batch[0])) for t in range(40)]
    assert {type(f) for f in one} == {Measures, Missing}


def test_figures_count_solutions_and_not_questions() -> None:
    world = planar_arm(joints=2, cells=2)
    question = asked({"triplet": [[0.0, 0.0]] * 3})
    found = world.figures(0, [asked([0.3, 0.0]), question, asked([[math.pi - 0.3, 0.0], [0.3, 0.1]])])
    assert found["coverage"] == 0.5 and found["best"] == pytest.approx(99.0)
    with pytest.raises(InputError, match="no solution"):
        world.figures(0, [question])
    assert set(rotated(dimensions=2).figures(0, [asked([0.0, 0.0])])) == {"best"}
    assert world.gain(0, [asked([2.0, 2.0])] * 30) < 0


def test_bad_input_is_told() -> None:
    for bad in ({"pair": []}, [1.0], "x"):
        with pytest.raises(InputError):
            planar_arm(joints=3).respond(0, 0, asked(bad))
    with pytest.raises(InputError):
        rotated().respond(0, 0, asked({"triplet": []}))
    for make in (planar_arm, sphere, rotated):
        with pytest.raises(InputError, match="at least two"):
            make(1) if make is not rotated else make(dimensions=1)  # type: ignore[operator]
    assert {known_world(name).make().name for name in ("planar-arm", "sphere", "rotated")} == {"planar-arm", "sphere", "rotated"}
