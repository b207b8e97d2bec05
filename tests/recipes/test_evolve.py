"""Learners that keep many solutions: several out at once, late, failed and in batches, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopwright.blocks import archive as archives
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Measures, Preference
from loopwright.core.learner import Session, drive
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial
from loopwright.worlds.landscapes import Landscape, planar_arm, rotated


def made(name: str, **options: Any) -> Any:
    return get_recipe(f"loopwright.recipes.evolve.{name}:{name}")(**options)


def told_backwards(session: Session, world: Landscape, rounds: int, out: int) -> None:
    """``out`` trials are out at once; the last asked is answered first."""
    for _ in range(rounds):
        asked = [(session.asked, session.ask()) for _ in range(out)]
        for t, trial in reversed(asked):
            session.tell(world.respond(session.seed, t, trial).model_copy(update={"about": trial.id}))


@pytest.mark.parametrize(("name", "options"), [
    ("map_elites", {"initial": 30}), ("cma_me", {"emitters": 10}), ("cma_me", {"emitters": 30, "batch": 10}),
    ("map_elites", {"initial": 30, "batch": 7, "line": 0.2}), ("cma_me", {"emitters": 30, "batch": 5, "at_once": 3}),
])  # fmt: skip
def test_many_out_at_once_answered_backwards_and_some_failed(name: str, options: dict[str, Any]) -> None:
    world = planar_arm(joints=5, cells=10, failing=0.2)
    session = Session(made(name, cells=10, **options), world.spec, seed=4)
    told_backwards(session, world, 12, 25)
    per_trial = options.get("batch", 1) * options.get("at_once", 1)
    blind = world.archive(world.evaluate(4, np.random.default_rng(0).uniform(-np.pi, np.pi, (300 * per_trial, 5))))
    mine, theirs = archives.figures(session.state.archive), archives.figures(blind)
    assert mine["qd_score"] > theirs["qd_score"]
    kept = archives.elites(session.state.archive)
    again = world.evaluate(4, kept.kept)
    assert (archives.cells(session.state.archive, again.measures) == kept.cell).all()
    assert again.objective == pytest.approx(kept.objective)


@pytest.mark.parametrize("batch", [1, 6])
def test_cma_es_finds_the_optimum_with_populations_out_at_once(batch: int) -> None:
    world = rotated("sphere", dimensions=5, failing=0.1)
    session = Session(made("cma_es", batch=batch), world.spec, seed=1)
    told_backwards(session, world, 260 // batch, 8)
    assert session.state.best_value > -1e-3
    assert world.evaluate(1, session.state.best[None]).objective[0] == pytest.approx(session.state.best_value)


def test_each_emitter_asked_at_once_hears_of_its_own_share() -> None:
    world = planar_arm(joints=4, cells=10)
    session = Session(made("cma_me", cells=10, emitters=5, batch=3, at_once=4, population=100), world.spec, seed=2)
    low, high = session.state.box
    for t in range(2):
        trial = session.ask()
        share = (np.asarray(trial.proposal) - low) / (high - low)
        before = [emitter.points for emitter in session.state.emitters]
        session.tell(world.respond(2, t, trial).model_copy(update={"about": trial.id}))
        new = {i: e.points[len(before[i]) :] for i, e in enumerate(session.state.emitters) if len(e.points) > len(before[i])}
        asked = [int(parent.split()[1]) for parent in trial.parents]
        assert sorted(new) == sorted(asked) and len(asked) == 4
        for i, number in enumerate(asked):
            assert new[number] == pytest.approx(share[3 * i : 3 * i + 3])


def test_cma_es_starts_anew_where_it_is_flat_with_a_larger_population() -> None:
    session = Session(made("cma_es", population=6), {"dimensions": 3, "low": 0, "high": 1}, seed=0)
    for _ in range(200):
        trial = session.ask()
        session.tell(Measures(values={"objective": 1.0}, about=trial.id))
    assert session.state.population >= 24


def asks_triplets(session: Session, world: Landscape, steps: int) -> list[Trial]:
    return [one.trial for one in drive(session, world, steps) if isinstance(one.trial.proposal, dict)]


def test_qdhf_asks_at_its_stages_and_looks_again_after_each() -> None:
    world = planar_arm(joints=4, hidden=True)
    session = Session(made("qdhf", judgements=40, stages=(30, 100), cells=10, epochs=30), world.spec, seed=2)
    assert not asks_triplets(session, world, 30) and not session.state.archive.filled
    assert len(asks_triplets(session, world, 20)) == 20 and session.state.archive.filled > 10
    first = session.state.lens.weights
    assert not asks_triplets(session, world, 70)
    assert len(asks_triplets(session, world, 30)) == 20
    assert session.state.judged == len(session.state.second) == 40 and not np.array_equal(first, session.state.lens.weights)


def test_qdhf_hears_late_judgements_ties_and_refuses_other_ids() -> None:
    world = planar_arm(joints=4, hidden=True)
    session = Session(made("qdhf", judgements=12, stages=(10, 20), cells=10, epochs=5), world.spec, seed=2)
    drive(session, world, 10)
    questions = [session.ask() for _ in range(9)]  # more than are due, as nothing is known of those that are out
    assert all(isinstance(q.proposal, dict) for q in questions)

    def say(trial: Trial, chosen: str = "1", rejected: str = "2", **more: Any) -> Feedback:
        return Preference(chosen=chosen, rejected=rejected, about=trial.id, **more)

    with pytest.raises(InputError, match="'1' or '2'"):
        session.tell(say(questions[0], "0", "1"))
    session.tell(say(questions[0], tie=True))
    session.tell(say(questions[1], status="censored"))
    assert session.state.judged == 1 and len(session.state.second) == 0
    for question in reversed(questions[2:]):
        session.tell(say(question))
    assert session.state.judged == 8 and len(session.state.second) == 7 and session.state.archive.filled


def test_projections_that_nobody_is_asked_about() -> None:
    world = planar_arm(joints=4, hidden=True)
    seen = []
    for seed, options in ((1, {}), (2, {}), (1, {"judgements": 10}), (1, {"metric": "principal"})):
        name = "random_projection" if "metric" not in options else "qdhf"
        given = {"stages": (20, 40), "cells": 10, "judgements": 0, **options}
        session = Session(made(name, **given), world.spec, seed=seed)
        log = drive(session, world, 60)
        assert sum(isinstance(one.trial.proposal, dict) for one in log) == given["judgements"]
        assert session.state.archive.filled > 5
        seen.append(session.state.lens.weights)
    assert not np.array_equal(seen[0], seen[1]) and np.array_equal(seen[0], seen[2])


def test_what_they_refuse() -> None:
    plain = {"dimensions": 3, "low": 0, "high": 1}
    for name in ("map_elites", "cma_me"):
        with pytest.raises(InputError, match="measures"):
            made(name).init(plain)
    with pytest.raises(InputError, match="features"):
        made("qdhf").init(plain)
    for stages in ((), (1,), (50, 20)):
        with pytest.raises(InputError, match="stages"):
            made("qdhf", stages=stages)
    learner = made("cma_me", emitters=2)
    state = learner.init({**plain, "measures": {"x": [0, 1]}})
    answer, batch = Measures(values={"objective": 1.0, "x": 0.5}), Measures(values={"objective": [1.0] * 3, "x": [0.5] * 3})  # type: ignore[dict-item]
    for parents in ((), ("emitter 2",), ("somebody",)):
        with pytest.raises(InputError, match="emitter 0"):
            learner.tell(state, Trial(id="", proposal=[0.1, 0.2, 0.3], parents=parents), answer)
    for parents in (("emitter 0", "somebody"), ("emitter 0", "emitter 1")):  # three solutions are no equal shares of two
        with pytest.raises(InputError, match="emitter"):
            learner.tell(state, Trial(id="", proposal=[[0.1] * 3] * 3, parents=parents), batch)
    with pytest.raises(InputError, match="of the 2 emitters"):
        made("cma_me", emitters=2, at_once=3)
    with pytest.raises(InputError, match="must measure x"):
        learner.tell(state, Trial(id="", proposal=[0.1, 0.2, 0.3], parents=("emitter 1",)), Measures(values={"objective": 1.0}))
