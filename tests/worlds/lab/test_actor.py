"""Programs in a model's place: they read what they are sent, slip at the stated rates, and learn nothing that is not shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from loopwright.claims.runners import Runner
from loopwright.claims.table import Claim, claim_of
from loopwright.core.model import Request, Sampling
from loopwright.core.types import Turn
from loopwright.worlds.lab.actor import Sent, cast
from loopwright.worlds.registry import known_world


def say(model: Any, *texts: str, seed: int = 0, temperature: float = 1.0) -> str:
    """The answer to a conversation that a person begins."""
    turns = tuple(Turn(role="assistant" if i % 2 else "user", text=text) for i, text in enumerate(texts))
    request = Request(turns=turns, seed=seed, sampling=Sampling(temperature=temperature))
    return str(asyncio.run(model.generate([request]))[0].choices[0].text)


def worth(slug: str, options: Mapping[str, Any], *, arm: str = "recipe", seeds: int = 3, **setting: Any) -> float:
    """The mean over some seeds of the claim's recipe or baseline with other options, or of the start ("answer")."""
    claim = claim_of(slug)
    assert isinstance(claim, Claim)
    runner = Runner(claim.model_copy(update={"setting": {**claim.setting, **setting}, "budget": {}}))
    who, own = {"recipe": (slug, claim.options), "baseline": (claim.baseline, claim.baseline_options)}.get(arm, (arm, {}))
    try:
        return sum(runner.run(who, {**own, **options}, seed).value for seed in range(seeds)) / seeds
    finally:
        runner.close()


def test_a_role_is_known_by_its_words_and_greedy_answers_do_not_differ() -> None:
    def speak(sent: Sent) -> str:
        return f"{sent.rng.random()} {sent.slips(1.0)} {sent.noticed([1, 2], 0.0)} {sent.question} {sent.own}"

    model = cast("two", 1, {"Judge.": lambda sent: "judged", "": speak})(None)
    assert say(model, "Judge. This") == "judged"
    assert say(model, "a", seed=1) != say(model, "a", seed=2)
    assert say(model, "a", seed=1, temperature=0.0) == say(model, "a", seed=2, temperature=0.0)
    assert say(model, "a", "b", "c").endswith(" True [1, 2] a ['b']")
    assert cast("two", 2, {})(None).fingerprint != model.fingerprint
    assert say(cast("none", 1, {"Judge.": speak})(None), "a") == ""


@pytest.mark.parametrize("name", ["lab-notes", "lab-diagnosis", "lab-repair", "lab-modelling"])
def test_who_plays_a_world_is_never_sent_what_only_the_checker_knows(name: str) -> None:
    """Without a method, the player answers the plain question, mostly wrongly."""
    known: Any = known_world(name)
    world = known.make(count=60)
    model = known.model(None)
    said = [say(model, world.prompt.ask(e.question), temperature=0.0) for e in world.examples("test")]
    assert sum(text == str(e.target) for text, e in zip(said, world.examples("test"), strict=True)) < 0.5 * len(said)


def test_gepa_without_feedback_learns_nothing() -> None:
    setting = {"world": {"seed": 3}}
    start = worth("gepa", {}, arm="answer", **setting)
    assert worth("gepa", {}, **setting) > start + 0.2
    assert abs(worth("gepa", {"reflect": "<text>\n{text}\n</text>"}, **setting) - start) < 0.05


def test_a_panel_whose_words_do_not_reach_the_decision_is_no_better_than_one_alone() -> None:
    act = "Findings so far:\n{findings}\n\nDecide what is done now. Write one line:\n{forms}"
    commit = "Findings so far:\n{findings}\n\nNo more can be asked. Name the likeliest cause: DIAGNOSIS: name"
    setting = {"world": {"weight": 0.5, "seed": 3}}
    alone = worth("mai-dxo", {}, arm="baseline", **setting)
    assert worth("mai-dxo", {"mode": "free"}, **setting) > alone + 0.05
    assert abs(worth("mai-dxo", {"mode": "free", "act": act, "commit": commit}, **setting) - alone) < 0.05


def test_alpha_opt_that_shows_no_right_answer_learns_nothing() -> None:
    pytest.importorskip("highspy", reason="pip install 'loopwright[milp]'")
    setting = {"world": {"seed": 3}, "examples": 24}
    plain = worth("alpha-opt", {}, arm="answer", seeds=1, **setting)
    deaf = {"extract": "A problem was answered wrongly first.\n\nProblem:\n{question}\n"}
    assert worth("alpha-opt", {**deaf, "rounds": 1}, seeds=1, **setting) == plain
    assert worth("alpha-opt", {}, seeds=1, **setting) > plain + 0.2
