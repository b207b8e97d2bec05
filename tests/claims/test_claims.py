"""Claims on toys: what is measured, at which budget, what is called a result, and the pages made of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import ValidationError

from loopwright.checks.toy import ToyModel, ToyWorld
from loopwright.claims import Claim, all_claims, claim_of, reproduce
from loopwright.claims.catalogue import MADE, write_catalogue
from loopwright.claims.judged import drawn
from loopwright.claims.reproduce import Result, read_result, rejudged
from loopwright.claims.table import LEAST_SEEDS
from loopwright.core.context import Context
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.registry import all_recipes, get_recipe
from loopwright.core.statistics import t_interval, two_way_interval
from loopwright.core.types import Example
from loopwright.worlds import registry
from loopwright.worlds.registry import Known


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.WORLDS, "toy", Known(ToyWorld, lambda blobs: ToyModel(1, blobs)))


def toy(recipe: str, **more: object) -> Claim:
    given = {"baseline": "answer", "world": "toy", "metric": "score", "direction": "higher", "seeds": 8, **more}
    return Claim.model_validate({"recipe": recipe, **given})


def run(claim: Claim, **more: object):
    return reproduce(claim.recipe, claim=claim, out=None, conformance=False, **more)


def test_a_solver_is_compared_with_the_answer_it_would_improve() -> None:
    result = run(toy("best-of-n", options={"n": 8}))
    assert result.claim == "holds" and result.low > 0.2
    assert result.cost["recipe"]["sequences"] == 40 * 8 and result.cost["baseline"]["sequences"] == 40


def test_a_claim_that_is_not_so_does_not_hold() -> None:
    result = run(toy("self-consistency", baseline="best-of-n"))
    assert result.claim == "does not hold" and result.difference < 0
    assert run(toy("best-of-n", margin=0.9)).claim == "does not hold"


def test_an_improver_is_scored_by_its_last_offer() -> None:
    result = run(toy("rest-em", options={"rounds": 1, "samples": 4, "epochs": 2}), seeds=2)
    assert result.difference > 0.2
    assert result.cost["recipe"]["sequences"] == 24 * 4 and result.cost["baseline"]["sequences"] == 0
    assert result.cost["recipe"]["trained"] > 0


def test_more_than_the_budget_is_no_comparison() -> None:
    result = run(toy("best-of-n", options={"n": 8}, budget={"sequences": 100}))
    assert result.claim == "not yet" and "capped at 100" in result.notes[0] and result.values == ()
    assert run(toy("best-of-n", options={"n": 2}, budget={"sequences": 80})).claim != "not yet"


def test_fewer_seeds_are_a_first_look() -> None:
    result = run(toy("best-of-n"), seeds=2)
    assert result.claim == "not yet" and len(result.values) == 2 and "2 of 8 seeds" in result.notes[0]
    few = run(toy("best-of-n", seeds=4), seeds=4)
    assert few.claim == "not yet" and "4 of 8 seeds" in few.notes[0], "no row may ask for fewer than a verdict takes"


def test_both_arms_have_one_shape_and_someone_answers() -> None:
    with pytest.raises(InputError, match="baseline"):
        run(toy("best-of-n", baseline="rest-em"))
    with pytest.raises(InputError, match="nothing answers"):
        run(toy("best-of-n", world="bandit"))
    with pytest.raises(UnknownName, match="toy"):
        run(toy("best-of-n", world="toi"))


def test_learners_meet_the_same_luck_and_the_result_is_written(tmp_path: Path) -> None:
    claim = Claim(
        recipe="lin-ucb", baseline="epsilon-greedy", world="bandit", metric="regret", direction="lower", seeds=8,
        setting={"steps": 600, "world": {"arms": 3}},
    )  # fmt: skip
    told: list[str] = []
    result = reproduce(
        "lin-ucb", claim=claim, out=tmp_path, conformance=False, on_progress=lambda what, data: told.append(what)
    )
    assert result.claim == "holds" and result.cost["recipe"]["steps"] == 600 and told == ["seed"] * 8
    again = reproduce("lin-ucb", claim=claim, out=None, conformance=False)
    assert again.values == result.values
    assert read_result(tmp_path, "lin-ucb") == result
    data = json.loads((tmp_path / "lin-ucb.json").read_text())
    assert list(data) == sorted(data) and data["row"]["baseline"] == "epsilon-greedy"
    with pytest.raises(UnknownName, match="lin-ucb"):
        read_result(tmp_path, "lin-ucp")


def test_one_question_is_told_as_such_and_not_as_seeds_that_are_alike() -> None:
    assert two_way_interval([{"one": 0.1 * seed} for seed in range(8)]) == (-math.inf, math.inf)
    values = [{"seed": seed, "recipe": 0.1 * seed, "baseline": 0.0} for seed in range(8)]
    row = toy("best-of-n").model_dump(mode="json")
    result = rejudged(Result(slug="best-of-n", claim="not yet", row=row, values=tuple(values), questions=1))
    assert result.claim == "does not hold" and result.notes == ("the interval is unknown: one question tells nothing of others",)
    assert rejudged(result) == result


def test_the_same_recipe_against_itself_is_no_better() -> None:
    result = run(toy("best-of-n", baseline="best-of-n"))
    assert (result.claim, result.difference, result.low, result.high) == ("does not hold", 0.0, None, None)
    assert "every seed gave the same difference" in result.notes[0]
    exact = run(toy("best-of-n", baseline="best-of-n", setting={"exact": True}))
    assert (exact.claim, exact.low, exact.high, exact.notes) == ("does not hold", 0.0, 0.0, ())


def test_seeds_that_share_questions_are_not_taken_for_independent() -> None:
    """The same forty questions with every seed: what is particular about them does not average out over seeds."""
    shared = run(toy("best-of-n", options={"n": 2}))
    assert shared.questions == 40
    alone = t_interval([v["recipe"] - v["baseline"] for v in shared.values])
    assert shared.low is not None and shared.high is not None
    assert shared.high - shared.low >= alone[1] - alone[0] - 2e-6


def test_a_stored_result_is_judged_by_the_rules_of_today() -> None:
    result = run(toy("best-of-n", options={"n": 8}))
    assert rejudged(result) == result
    old = result.model_copy(update={"values": result.values[:4], "questions": None, "notes": ("4 of 3 seeds were run",)})
    assert rejudged(old).claim == "not yet" and rejudged(old).notes == ("4 of 8 seeds were run",)
    same = old.model_copy(update={"values": tuple({"seed": s, "recipe": 0.5208, "baseline": 0.5} for s in range(8))})
    assert (rejudged(same).claim, rejudged(same).low) == ("does not hold", None)


def test_seeds_of_a_value_that_is_no_mean_are_given_other_questions() -> None:
    class Examples:
        def examples(self, split: str) -> list[Example]:
            return [Example(id=str(i), input=str(i)) for i in range(50)]

    def of(seed: int, **setting: int) -> list[str]:
        ctx = SimpleNamespace(world=Examples(), engine=SimpleNamespace(seed=seed))
        return [e.id for e in drawn(cast(Context, ctx), setting, apart=True)]

    asked = [of(seed, examples=6) for seed in range(100, 108)]
    assert len({i for ids in asked for i in ids}) == 48
    assert of(3, examples=6) == of(3, examples=6) and len(of(3)) == 50
    assert len(set(of(0, examples=30)) | set(of(1, examples=30))) == 30, "too few to keep apart"


def test_rows_are_whole_and_name_what_exists() -> None:
    assert claim_of("no-such-recipe") is None
    for slug, claim in all_claims().items():
        recipe = get_recipe(slug)
        recipe.check(claim.options)
        registry.known_world(claim.world)
        if claim.baseline != "answer":
            get_recipe(claim.baseline).check(claim.baseline_options)
    with pytest.raises(ValidationError):
        toy("best-of-n", seeds=1)


def _judged_as_a_whole() -> list[str]:
    """Claims of critics and measures that draw questions: one figure a seed, no score by question."""
    shapes = {slug: get_recipe(slug).card.shape for slug in all_claims()}
    return [slug for slug, claim in all_claims().items() if shapes[slug] in ("critic", "measure") and "examples" in claim.setting]


@pytest.mark.parametrize("slug", _judged_as_a_whole())
def test_seeds_whose_value_is_no_mean_over_questions_share_none(slug: str) -> None:
    """Their interval takes seeds for independent, and a world may have fewer questions than it was asked for."""
    claim = claim_of(slug)
    assert claim is not None
    world = registry.known_world(claim.world).make(**cast("dict[str, object]", claim.setting["world"]))
    seen: set[str] = set()
    for seed in range(claim.first_seed, claim.first_seed + max(claim.seeds, LEAST_SEEDS)):
        ctx = cast(Context, SimpleNamespace(world=world, engine=SimpleNamespace(seed=seed)))
        asked = {e.id for e in drawn(ctx, claim.setting, apart=True)}
        assert asked and not asked & seen
        seen |= asked


def test_the_interval_of_a_few_differences_is_students() -> None:
    low, high = t_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert t_interval([1.0]) == (-float("inf"), float("inf"))


def test_pages_say_what_was_run_and_no_more(tmp_path: Path) -> None:
    pages, results = tmp_path / "pages", tmp_path / "results"
    pages.mkdir()
    (pages / "gone.md").write_text(f"an old page\n\n{MADE}\n")
    (pages / "mine.md").write_text("a page of somebody's own")
    reproduce("lin-ucb", seeds=2, out=results, conformance=False)
    written = write_catalogue(pages, results)
    assert {p.stem for p in written} == {"index", "costs", *all_recipes()} == {p.stem for p in pages.glob("*")} - {"mine"}
    assert (pages / "mine.md").read_text() == "a page of somebody's own"
    ucb = (pages / "lin-ucb.md").read_text()
    assert "https://arxiv.org/abs/1003.0146" in ucb and "`alpha`" in ucb and "2 of 20 seeds were run" in ucb
    assert "not yet checked" in ucb
    assert "No claim has been written" in (pages / "best-of-n.md").read_text() or claim_of("best-of-n")
    index = (pages / "index.md").read_text()
    assert "## online" in index and "[lin-ucb](lin-ucb.md)" in index


RESULTS = sorted((Path(__file__).resolve().parents[2] / "docs" / "results").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_committed_verdicts_are_those_of_the_rules_of_today(path: Path) -> None:
    result = read_result(path.parent, path.stem)
    assert rejudged(result) == result
