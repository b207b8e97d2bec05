"""Each check catches the recipes made to break it, and no other check is misled by them."""

from __future__ import annotations

from pathlib import Path

import bad_critics
import bad_globals
import bad_measures
import bad_recipes
import bad_torch
import pytest

from loopwright.checks import CheckResult, all_checks, check_recipe
from loopwright.core.errors import UnknownName
from loopwright.core.registry import Recipe

CAUGHT: dict[str, set[str]] = {
    "well_behaved": set(),
    "good_learner": set(),
    "good_improver": set(),
    "without_a_paper": {"card"},
    "unknown_need": {"card"},
    "untyped_option": {"options"},
    "option_of_another_type": {"options"},
    "positional_option": {"options"},
    # What it counts goes on over every run there is, so every comparison of two runs sees it.
    "counts_on_a_function": {"same-seed-same-result", "same-result-in-a-new-process", "resumes-after-a-kill"},
    "order_of_a_set": {"same-result-in-a-new-process"},
    "knows_the_replay": {"resumes-after-a-kill"},
    "around_the_engine": {"resumes-after-a-kill", "budget-holds"},
    "tries_for_ever": {"budget-holds"},
    "hides_the_reason": {"budget-holds"},
    "judges_in_secret": {"touches-what-it-declares"},
    "compares_with_nothing": {"survives-missing-judgements"},
    "swallows_the_refusal": {"refuses-feedback-it-cannot-use"},
    "does_not_listen": {"loop-is-closed"},
    "never_asks": {"loop-is-closed"},
    "writes_in_place": {"tell-changes-no-argument"},
    "minds_the_censor": {"feedback-in-any-order"},
    "good_with_arms": set(),
    "forgets_the_order": {"arms-and-sums-keep-what-is-known"},
    "keeps_its_own": {"arms-and-sums-keep-what-is-known"},
    "merges_in_place": {"arms-and-sums-keep-what-is-known"},
    "learns_nothing": {"loop-is-closed"},
}

CRITICS: dict[str, set[str]] = {
    "share_of_yes": set(),
    "checklist": set(),
    "written_checklist": set(),
    "pairwise": set(),
    "in_words": set(),
    "steps": set(),
    "rubric_in_json": set(),
    "agreement": set(),
    "runs_tests": set(),
    "calculator": set(),
    "panel": set(),
    "how_sure_it_was": set(),
    "unclear_is_no": {"survives-missing-judgements"},
    "silence_is_praise": {"survives-missing-judgements"},
    "no_critic_is_zero": {"survives-missing-judgements"},
    "asks_for_show": {"loop-is-closed"},
    "flatters": {"loop-is-closed"},
    "upside_down": {"loop-is-closed"},
    "misread": {"loop-is-closed"},
    "needs_and_asks_nothing": {"loop-is-closed"},
    "tool_in_secret": {"touches-what-it-declares"},
    "counts_answers": {"same-seed-same-result", "same-result-in-a-new-process", "resumes-after-a-kill"},
    "order_of_aspects": {"same-result-in-a-new-process"},
    "critic_knows_the_replay": {"resumes-after-a-kill"},
    "judges_for_ever": {"budget-holds"},
    "shrugs": {"refuses-feedback-it-cannot-use"},
    "gives_a_number": {
        "same-seed-same-result", "same-result-in-a-new-process", "resumes-after-a-kill", "budget-holds",
        "touches-what-it-declares", "survives-missing-judgements", "loop-is-closed",
    },
}  # fmt: skip

MEASURES: dict[str, set[str]] = {
    "mean_score": set(),
    "agreement_of_raters": set(),
    "length_of_answers": set(),
    "missing_is_zero": {"no-figure-from-nothing"},
    "zero_of_nothing": {"no-figure-from-nothing"},
    "divides_by_nothing": {"no-figure-from-nothing"},
    "first_in_the_list": {"order-does-not-matter"},
    "sorts_in_place": {"order-does-not-matter"},
    "no_interval": {"interval-holds-the-figure"},
    "same_width": {"interval-holds-the-figure"},
    "beside_itself": {"interval-holds-the-figure"},
    "counts_records": {"loop-is-closed"},
    "reads_no_feedback": {"loop-is-closed"},
    "wants_a_model": {"touches-what-it-declares"},
    "counts_its_calls": {"same-seed-same-result", "same-result-in-a-new-process", "order-does-not-matter"},
}


def failed(results: list[CheckResult]) -> dict[str, str]:
    return {r.check: r.message for r in results if not r.passed}


ROWS = [
    pytest.param(getattr(module, name), checks, id=name)
    for module, rows in ((bad_recipes, CAUGHT), (bad_critics, CRITICS), (bad_measures, MEASURES))
    for name, checks in rows.items()
]


@pytest.mark.parametrize(("recipe", "checks"), ROWS)
def test_what_is_caught(recipe: Recipe, checks: set[str]) -> None:
    found = failed(check_recipe(recipe))
    assert set(found) == checks, found


def test_clocks_and_globals_are_caught_by_their_line() -> None:
    found = failed(check_recipe(bad_globals.looks_at_the_clock))
    assert set(found) == {"no-clock-no-globals"}
    message = found["no-clock-no-globals"]
    source = Path(bad_globals.__file__).read_text().splitlines()
    for words in ("import time", "SEEN = {}"):
        assert f"line {source.index(words) + 1}:" in message
    from loopwright.checks import form

    tree = form.ast.parse(Path(bad_globals.__file__).read_text())
    whole = " ".join(what for _, what in form._forbidden(tree))
    for word in ("imports time", "SEEN", "global COUNT", "np.random.rand", "default_rng()", "hash()", "ctx.engine", "ctx._cr"):
        assert word in whole


def test_an_import_of_torch_is_caught() -> None:
    found = failed(check_recipe(bad_torch.needs_torch))
    assert set(found) == {"imports-without-torch"} and "torch was imported" in found["imports-without-torch"]


def test_every_check_has_a_sentence_and_is_broken_by_somebody() -> None:
    broken = set().union(*CAUGHT.values(), *CRITICS.values(), *MEASURES.values())
    broken |= {"no-clock-no-globals", "imports-without-torch", "held-out-stays-hidden"}  # see test_peeking_recipes
    assert set(all_checks()) == broken
    for one in all_checks().values():
        assert one.summary.endswith(".") and "\n" not in one.summary


def test_checks_run_by_name_and_tell_as_they_go() -> None:
    told: list[CheckResult] = []
    results = check_recipe("bad_recipes:well_behaved", ["card", "budget-holds"], told.append)
    assert [r.check for r in results] == ["card", "budget-holds"] and told == results
    with pytest.raises(UnknownName, match="budget-holds"):
        check_recipe("best-of-n", ["budget-hold"])
